"""Errors that any part of the package may raise, in one tree; each class says whose move it is.

    CrawlerError
    ├── UsageError            the person at the keyboard: a command, a setting, a file           exit 2
    │   ├── ConfigError         … in the configuration
    │   │   └── Mistakes          several of them at once, a line each
    │   └── BadUrl              … a URL, or what was meant to be one
    ├── HubError              the hub could not be used                                          exit 5
    │   ├── HubUnreachable      nothing answers at its address
    │   ├── HubLost             it was there and went away in the middle of a call (a client tries again)
    │   ├── HubGone             it was there, and a worker that waited for its return has given up
    │   ├── NotAHub             something else is there
    │   ├── KeyRefused          it answers, and refuses the key
    │   ├── TlsRefused          it or we do not accept the other's certificate, or one of us speaks no TLS
    │   └── CallRefused         it heard the call and will not do it: unknown queue, bad argument
    ├── StageFailed           a stage's code fails on an item that a person gave it              exit 3
    ├── StageUnusable         a stage's code fails before its first task                         exit 1
    ├── WireError             a frame that is not ours: too big, cut, not plain data
    ├── AddressRefused        a host is at an address that the web has no business with
    ├── PageTooCostly         a page would take far more memory than others of its size
    ├── MachineShort          this machine lacks something: open files, memory, ports, a network   (a worker waits, and tries again)
    └── StorageError          the disk under the hub or a sink failed                            exit 75
        │   ├── StorageFull         the disk is full: the same call succeeds once there is room
        │   │   └── QueueFull       what producers may fill of it is full
        │   └── OutputClosed        the program that read the rows from a pipe has ended                 exit 141

Errors of one module alone, also below CrawlerError, stand there: the hung stage of a worker, the failures of an HTTP client.
`Retry`, `Drop` and `GiveUp`, which a stage raises to steer its task, are not errors: see `stage`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class CrawlerError(Exception):
    """Base class of all errors that this package raises on purpose."""


class UsageError(CrawlerError):
    """The command, its arguments or a file named by them cannot be used as they are."""


class ConfigError(UsageError):
    """A setting is unknown, of the wrong type, or contradicts another."""


class Mistakes(ConfigError):
    """One or several mistakes in one configuration."""

    def __init__(self, each: Sequence[str]) -> None:
        super().__init__(*each)
        self.each = tuple(each)

    def __str__(self) -> str:
        if len(self.each) == 1:
            return self.each[0]
        return "\n  ".join([f"{len(self.each)} mistakes in the configuration", *self.each])


class Collected:
    """Collects the mistakes in a configuration, so that all of them are reported and not only the first."""

    def __init__(self) -> None:
        self.each: list[str] = []

    @contextmanager
    def mistakes(self) -> Iterator[None]:
        """Store a UsageError raised in this block, and continue after the block."""
        try:
            yield
        except Mistakes as several:
            self.each += several.each
        except UsageError as error:
            self.each.append(str(error))

    def refuse(self) -> None:
        """Raise ConfigError if any mistakes were found."""
        told = list(dict.fromkeys(self.each))
        if told:
            raise ConfigError(told[0]) if len(told) == 1 else Mistakes(told)


class StageUnusable(CrawlerError):
    """A stage failed outside its tasks: its `open` or `close` raised an error that is not ours."""

    def __init__(self, stage: str, reason: str, done: str = "opened") -> None:
        """done: what cannot be done to the stage: "opened" or "closed"."""
        super().__init__(stage, reason, done)
        self.stage = stage
        self.reason = reason
        self.done = done

    def __str__(self) -> str:
        return f"stage {self.stage} cannot be {self.done}: {self.reason}"


class StageFailed(CrawlerError):
    """A stage's code failed on an item that a person gave it with a command; the message names the place in the code."""


class BadUrl(UsageError, ValueError):
    """Raised for a text that is no URL, or none that can be crawled; the message names it."""


class HubError(CrawlerError):
    """The hub could not be used."""


class HubUnreachable(HubError):
    """Raised if no hub answers at the address."""

    def __init__(self, address: str, advice: str = "") -> None:
        """advice: what else is known, and the next step; "": start a hub there."""
        super().__init__(address)
        self.address = address
        there = "" if address.startswith(("unix:", "127.", "localhost:", "[::1]:")) else " there"
        self.advice = advice or f"start one{there} with 'crawler hub --address {address}', or name another with --hub"

    def __str__(self) -> str:
        return f"no hub answers at {self.address}; {self.advice}"


class NoCrawl(HubUnreachable):
    """Raised if no hub answers, and the data directory has no store either."""

    def __str__(self) -> str:
        return f"no crawl here: {self.advice}"


class HubLost(HubError):
    """The hub was there and the connection broke; whether the call took effect is not known. Calls are idempotent: repeat."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address

    def __str__(self) -> str:
        return f"the hub at {self.address} went away in the middle of a call; is it still running?"


class HubGone(HubError):
    """A worker has lost its hub and waited for it in vain."""

    def __init__(self, address: str, waited: float) -> None:
        """waited: s."""
        super().__init__(address, waited)
        self.address = address
        self.waited = waited

    def __str__(self) -> str:
        return f"gave up after {self.waited:.0f} s without the hub at {self.address}; start it, then this stage again"


class NotAHub(HubError):
    """Something answers at the hub's address, and it speaks another protocol."""

    def __init__(self, address: str, protocol: str) -> None:
        super().__init__(address, protocol)
        self.address = address
        self.protocol = protocol

    def __str__(self) -> str:
        said = f"something answers at {self.address}, and it is no hub: it speaks {self.protocol}"
        return f"{said}; name the hub with --hub or hub.address"


class KeyRefused(HubError):
    """The hub answered and did not accept the authkey (or could not prove that it knows ours)."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address

    def __str__(self) -> str:
        return (
            f"the hub at {self.address} refused the key; "
            "set CRAWLER_AUTHKEY or hub.authkey_file to the key the hub was started with"
        )


class TlsRefused(HubError):
    """The hub and we do not get through TLS: the reason says which of us does not accept what."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"TLS with the hub at {self.address} failed: {self.reason}"


class CallRefused(HubError):
    """Raised if the hub knows who we are and refuses the call; the message says why."""

    @classmethod
    def by_role(cls, role: str, what: str, *others: str) -> CallRefused:
        """Return the error for something that a role may not do. others: the roles that may.

        A client whose key and certificate are of two roles has both in its name.
        """
        way = "use a key and a certificate of one role," if " and " in role else "use the key (and with TLS the certificate) of"
        return cls(f"the role {role!r} may not {what}; {way} {' or '.join(others)}")


class WireError(CrawlerError):
    """A frame that cannot be accepted: too big, cut short, or not plain data."""


class PageTooCostly(CrawlerError):
    """Reading a page takes far more memory than other pages of its size."""

    def __init__(self, size: int, room: int) -> None:
        """size: of the page, room: that it was given; bytes."""
        super().__init__(size, room)
        self.size = size
        self.room = room

    def __str__(self) -> str:
        return f"the tree of {self.size} bytes of HTML needs more than {self.room >> 20} MiB of memory, far more than others do"


class AddressRefused(CrawlerError):
    """A host is at a private or otherwise special address, and no person named that host."""

    def __init__(self, host: str, address: str, reason: str, *, is_named: bool = False) -> None:
        """is_named: a person named the host, and it is refused in spite of that."""
        super().__init__(host, address, reason)
        self.host = host
        self.address = address
        self.reason = reason
        self.is_named = is_named

    def __str__(self) -> str:
        way = f'if you mean it, make it a seed, or set stages.fetch.allow_private = ["{self.host}"]'
        said = f"{self.host} is at {self.address}, which is {self.reason} and not on the web"
        return said if self.is_named else f"{said}; {way}"


class MachineShort(CrawlerError):
    """Raised if this machine lacks what every task needs. Task and host are not to blame: the worker releases the task."""

    def __init__(self, lack: str, cause: str, advice: str) -> None:
        """lack: "is short of open files"; cause: which limit was reached; advice: what to do."""
        super().__init__(lack, cause, advice)
        self.lack = lack
        self.cause = cause
        self.advice = advice

    def __str__(self) -> str:
        return f"this machine {self.lack}: {self.cause}; {self.advice}"


class StorageError(CrawlerError):
    """Raised if the storage under the hub or a sink failed; all that was acknowledged before is safe."""


class StorageFull(StorageError):
    """Raised if the disk is full. No part of the call was kept; it can be repeated when there is room again."""


class QueueFull(StorageFull):
    """Raised when a queue holds as much from outside as it may, or the disk's reserve is reached. Nothing of the call was kept."""


class OutputClosed(StorageError):
    """The program that read our rows from a pipe has ended, as `head` does. Rows that were not acknowledged stay on their queue."""
