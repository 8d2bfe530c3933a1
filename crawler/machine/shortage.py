"""Shortages of this machine itself, and the errors by which each shows. The tables are the documentation.

    error of the system ──▶ MachineShort: the task is given back, no attempt is counted, no host is blamed
                       └──▶ None: the host's own failure

An error that may be a host's failure too is examined: the system is asked whether there is a route to any address, which sends
nothing. Import it early: without free descriptors a module cannot be imported.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple

from crawler.errors import MachineShort, StorageError
from crawler.machine.room import NO_NETWORK

WANTED: Final = 4_096  # open files that no worker or hub needs more of
FEW: Final = 512  # open files with less of which fewer requests are made at once than otherwise
MORE: Final = f"allow it more with 'ulimit -n {WANTED}', LimitNOFILE= of a service or --ulimit nofile= of a container"
_NO_THREAD: Final = "can't start new thread"  # the text of Python's RuntimeError

log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """One kind of shortage; see `MachineShort`."""

    lack: str
    cause: str
    advice: str


FILES: Final = "files"
THREADS: Final = "threads"
NETWORK: Final = "network"

KINDS: Final = {
    FILES: Kind("is short of open files", "a process may have {limit} files and connections open (ulimit -n)", MORE),
    "system files": Kind("is short of open files", "the whole system has no more of them (fs.file-max)",
                         "end other programs, or raise fs.file-max with sysctl"),
    "memory": Kind("is short of memory", "the system gives this process no more (ulimit -v, or the limit of a container)",
                   "end other programs, use fewer processes, or allow it more"),
    "buffers": Kind("is short of memory for connections", "the system has no more buffers for them (net.core, net.ipv4.tcp_mem)",
                    "end other programs, or raise these limits with sysctl"),
    "ports": Kind("is short of ports", "all local ports for such connections are in use (net.ipv4.ip_local_port_range)",
                  "end other programs, or widen the range with sysctl"),
    THREADS: Kind("is short of threads", "the system starts no more of them for this user (ulimit -u, or pids.max of a container)",
                  "end other programs, or allow it more"),
    NETWORK: Kind(NO_NETWORK, "{limit}", "it goes on by itself once there is one"),
}  # fmt: skip

BY_ERRNO: Final = {
    errno.EMFILE: FILES,
    errno.ENFILE: "system files",
    errno.ENOMEM: "memory",
    errno.ENOBUFS: "buffers",
    errno.EADDRNOTAVAIL: "ports",      # unless this machine has no address from which to reach that one
    errno.EAGAIN: "ports",             # of connect(2), on Linux
}  # fmt: skip
# Of connect(2): this machine's, if there is no route to anywhere else either.
UNREACHABLE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
# Of getaddrinfo(3): no name server could be asked, or none knew. EAI_SYSTEM comes as an OSError with an errno.
UNRESOLVED: Final = frozenset({socket.EAI_AGAIN, socket.EAI_FAIL})

# Nobody is there (RFC 5737, RFC 3849), and nothing is sent.
_ELSEWHERE: Final = ((socket.AF_INET, "203.0.113.1"), (socket.AF_INET6, "2001:db8::1"))
_PORT: Final = 9  # discard


def machine_short(error: BaseException) -> MachineShort | None:
    """Return what this machine lacks, if a stage failed of that."""
    if isinstance(error, MachineShort):
        return error
    is_of_system = isinstance(error, OSError | RuntimeError) and not isinstance(error, StorageError)
    return shortage_of(error) if is_of_system else None


def short_of(kind: str, limit: str = "") -> MachineShort:
    """Return the error of a kind of `KINDS`. limit: facts about the limit that was reached."""
    lack, cause, advice = KINDS[kind]
    if kind == FILES:
        limit = limit or str(open_files() or "no more")
    return MachineShort(lack, cause.format(limit=limit), advice)


def shortage_of(error: BaseException, address: str = "") -> MachineShort | None:
    """Return the shortage that an error, or one that it wraps, shows; None if the machine lacks nothing.

    address: that was to be connected to, if there was one.
    """
    for each in _wrapped(error):
        if isinstance(each, MachineShort):
            return each
        if isinstance(each, MemoryError):
            return short_of("memory")
        if isinstance(each, RuntimeError) and _NO_THREAD in str(each):
            return short_of(THREADS)
        if isinstance(each, socket.gaierror):
            return _of_resolver(each)
        if isinstance(each, OSError) and (found := shortage_by_errno(each.errno, address)) is not None:
            return found
    return None


def shortage_by_errno(number: int | None, address: str = "") -> MachineShort | None:
    """Return the same, going by the number of an error of the system."""
    if number not in BY_ERRNO and number not in UNREACHABLE:
        return None
    kind = BY_ERRNO.get(number or 0)
    leads_there = bool(address) and _leads_to(_family(address), address) is None
    if kind is not None and (kind != "ports" or leads_there):
        return short_of(kind)
    if not leads_there and not has_route():
        return no_network(f"no route leads to {address or 'other machines'}")
    return None


def no_network(cause: str) -> MachineShort:
    return short_of(NETWORK, cause)


def has_route() -> bool:
    """Tell whether this machine knows a way to any address outside of its own networks. Nothing is sent."""
    return any(_leads_to(family, address) is None for family, address in _ELSEWHERE)


def open_files() -> int:
    """Return the number of files and connections that this process may have open; 0: there is no limit, or it is not known."""
    try:
        import resource  # here, because Windows does not have it
    except ImportError:
        return 0
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft


def provide_open_files(*, is_told: bool) -> None:
    """Raise the limit as far as the system allows, for this process and those that it starts.

    is_told: a warning says that it is low.
    """
    raise_open_files()
    limit = open_files()
    if is_told and 0 < limit < FEW:
        log.warning("a process may have only %d files and connections open, so fewer requests are made at once; %s", limit, MORE)


def raise_open_files() -> None:
    try:
        import resource  # here, because Windows does not have it
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # macOS names a hard limit that it does not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _of_resolver(error: socket.gaierror) -> MachineShort | None:
    if error.errno == socket.EAI_MEMORY:
        return short_of("memory")
    # It needs sockets and files of its own, and where it gets none it may say that the name is unknown.
    try:
        with socket.socket(), socket.socket():
            pass
    except OSError as cause:
        return shortage_by_errno(cause.errno)
    is_cut_off = error.errno in UNRESOLVED and not has_route()
    return no_network("no route leads to a name server") if is_cut_off else None


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _leads_to(family: socket.AddressFamily, address: str) -> OSError | None:
    """Return the error of the system if it knows no way to an address. Nothing is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, _PORT))
    except OSError as error:
        return None if error.errno in (errno.EMFILE, errno.ENFILE, errno.EACCES) else error
    return None


def _wrapped(error: BaseException) -> Iterable[BaseException]:
    """Yield an error, and those that libraries have wrapped in it, as cause, reason or argument; the outermost first."""
    found: list[BaseException] = [error]
    for each in found:
        inner = (getattr(each, "reason", None), each.__cause__, *each.args)
        found += [one for one in inner if isinstance(one, BaseException) and one not in found]
        yield each
