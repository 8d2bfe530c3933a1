"""Table of the shared notes: who may write each, and its value; checked when one is written, and when it is read.

    note             written by                    value
    root/HOST        put, with the seeds           "seed": a person named this host, it may be at a private address
                     a worker                      "redirect": a seed redirects there, to a host of its own site
    below/HOST/DIR/  put, a worker for such hosts  "seed"
    auth/ORIGIN      put                           user name and password from the URL of a seed
    bare/HOST        a worker                      nothing: the site wants no www
    robots/ORIGIN    a worker that fetches         status and body of robots.txt, good for a day at most
    rows/OUTPUT      a worker that stores          counts of rows
    field/NAME       a worker that parses          an example of a text that could not be read
    crawl, definition, hub/…                       an admin alone
    any other        all                           what a stage of the user's own shares

An admin may write all of them. "put" stands for producers. A worker's notes can be wrong if its key was stolen: the others believe
its robots.txt, for a day, and its hosts of a seed's site that are in scope. It cannot open a private address.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from crawler.errors import CallRefused
from crawler.items import Note

ROOT: Final = "root/"  # these prefixes are those of the modules that use the notes
BELOW: Final = "below/"
SEED: Final = b"seed"
REDIRECT: Final = b"redirect"
GONE: Final = b""

DAY: Final = 86_400.0  # s; RFC 9309 §2.4: a robots.txt is not used for longer
SKEW: Final = 3_600.0  # s; the clocks of two machines may differ by this
ROBOTS_BYTES: Final = 500 << 10  # of a body: as much as a fetcher reads of a robots.txt
SMALL: Final = 4_096  # bytes of a value that is a word, a password, a few counts
DEFINITION_BYTES: Final = 16 << 20
OWN_BYTES: Final = 1 << 20  # of a value that a stage of the user's own shares

PUT: Final = frozenset({"admin", "producer"})
WORK: Final = frozenset({"admin", "worker"})
ALL: Final = frozenset({"admin", "producer", "worker"})
ADMIN: Final = frozenset({"admin"})

_HOST: Final = re.compile(r"(?:\[[0-9a-f:.]{2,45}\]|[^\s/\\@?#:\[\]\x00-\x20\x7f]{1,8192})(?::[0-9]{1,5})?")
_ORIGIN: Final = re.compile(rf"https?://{_HOST.pattern}")


class RobotsNote(Struct, frozen=True):
    """The answer of an origin to a request for its robots.txt."""

    expires: float  # s since the epoch
    status: int
    body: bytes  # b"" where the status means that all is allowed


class RowsNote(Struct, frozen=True):
    """The rows of one output; it may tell more, which only the store reads."""

    was_empty: bool
    rows: int


class Kind(Struct, frozen=True):
    """The notes of one prefix."""

    prefix: str
    writers: frozenset[str]  # roles
    size: int  # bytes of a value at most
    fault: Callable[[str, bytes], str]  # the fault of a note, given its name after the prefix and its value; "": none
    is_one: bool = False  # the prefix is the whole name
    is_remade: bool = False  # after a power cut a lost note is found out again


def read_robots(value: bytes | None, now: float) -> RobotsNote | None:
    """Return the contents of a note of a robots.txt; None if it cannot be read, or claims to be good for longer than one may be.

    now: s since the epoch.
    """
    if not value:
        return None
    try:
        found = msgspec.msgpack.decode(value, type=RobotsNote)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    is_possible = 100 <= found.status <= 999 and len(found.body) <= ROBOTS_BYTES and found.expires <= now + DAY + SKEW
    return found if is_possible and (not found.body or 200 <= found.status < 300) else None


def read_rows(value: bytes | None) -> RowsNote | None:
    """Return the contents of a note of an output's rows; None if it cannot be read."""
    try:
        found = msgspec.json.decode(value or b"", type=RowsNote)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found if 0 <= found.rows < 1 << 53 else None


def is_host(text: str) -> bool:
    """Tell whether this can be a host of a URL, perhaps with a port."""
    return _HOST.fullmatch(text) is not None


def hosts(noted: Mapping[str, bytes], prefix: str) -> list[str]:
    """Return the hosts, or directories with their hosts, in notes of this prefix that hold, without those that cannot be read."""
    found = (name.removeprefix(prefix) for name, value in noted.items() if value in (SEED, REDIRECT))
    return [each for each in found if is_host(each.partition("/")[0])]


def _root(host: str, value: bytes) -> str:
    if not is_host(host):
        return "it has no host in its name"
    return "" if value in (SEED, REDIRECT, GONE) else "its value is neither seed nor redirect"


def _below(place: str, value: bytes) -> str:
    host, slash, path = place.partition("/")
    if not is_host(host) or not slash or (path and not path.endswith("/")):
        return "it has no directory in its name, as in below/example.org/docs/"
    return "" if value in (SEED, GONE) else "its value is not seed"


def _auth(origin: str, value: bytes) -> str:
    return "" if _ORIGIN.fullmatch(origin) else "it has no origin in its name, as in auth/https://example.org"


def _bare(host: str, value: bytes) -> str:
    is_right = is_host(host) and not host.startswith("www.") and not value
    return "" if is_right else "it has no host without www in its name, or it has a value"


def _robots(origin: str, value: bytes) -> str:
    if not _ORIGIN.fullmatch(origin):
        return "it has no origin in its name, as in robots/https://example.org"
    is_right = read_robots(value, time.time()) is not None
    return "" if is_right else "it is no answer for a robots.txt, or claims to be good for more than a day"


def _rows(output: str, value: bytes) -> str:
    return "" if read_rows(value) is not None else "it has no counts of rows"


def _any(name: str, value: bytes) -> str:
    return ""


KINDS: Final = (
    Kind(ROOT, ALL, SMALL, _root),
    Kind(BELOW, ALL, SMALL, _below),
    Kind("auth/", PUT, SMALL, _auth),
    Kind("bare/", WORK, SMALL, _bare, is_remade=True),
    Kind("robots/", WORK, ROBOTS_BYTES + SMALL, _robots, is_remade=True),
    Kind("rows/", WORK, SMALL, _rows, is_remade=True),
    Kind("field/", WORK, SMALL, _any, is_remade=True),
    Kind("hub/", ADMIN, DEFINITION_BYTES, _any),
    Kind("crawl", ADMIN, SMALL, _any, is_one=True),
    Kind("definition", ADMIN, DEFINITION_BYTES, _any, is_one=True),
)
OWN: Final = Kind("", ALL, OWN_BYTES, _any)


def kind(name: str) -> Kind:
    """Return the kind of a note with this name."""
    return next((each for each in KINDS if (name == each.prefix if each.is_one else name.startswith(each.prefix))), OWN)


def are_remade(notes: Sequence[Note]) -> bool:
    """Tell whether all of these notes are found out again after a power cut, so that a call need not wait for the disk."""
    return all(kind(note.name).is_remade for note in notes)


class HasNotes(Protocol):
    """The part of a broker that is needed here."""

    def notes(self, prefix: str, since: int = 0, after: str | None = None) -> list[Note]: ...


class Gate:
    """Decides which notes a client may write to the notes of one hub. Thread-safe: at worst two threads read the same notes."""

    def __init__(self, broker: HasNotes, *, is_any_site: bool = False) -> None:
        """is_any_site: seeds may redirect to every site."""
        self._broker = broker
        self._is_any_site = is_any_site
        self._sites: frozenset[str] = frozenset()
        self._version = 0

    def check(self, role: str, notes: list[Note]) -> None:
        """Raise CallRefused unless a role may write all of these notes as they are."""
        for note in notes:
            found = kind(note.name)
            if role not in found.writers:
                raise CallRefused.by_role(role, f"write the note {note.name[:80]!r}", *sorted(found.writers))
            if len(note.value) > found.size:
                raise CallRefused(f"the note {note.name[:80]!r} has {len(note.value)} bytes; at most {found.size} are stored")
            fault = found.fault(note.name.removeprefix(found.prefix), note.value)
            if not fault and role != "admin" and found.prefix in (ROOT, BELOW):
                fault = self._scope_fault(role, note)
            if fault:
                raise CallRefused(f"the note {note.name[:80]!r} is refused: {fault}")

    def _scope_fault(self, role: str, note: Note) -> str:
        """Return why somebody other than an admin may not bring a host or directory into scope; "" if it may."""
        if note.value == GONE:
            return "only an admin takes a host out of scope"
        if role == "producer":
            return "" if note.value == SEED else "a producer brings hosts into scope as seeds"
        host = note.name.partition("/")[2].partition("/")[0]
        if note.name.startswith(BELOW):
            return "" if self._value(ROOT + host) else "its host is not in scope"
        if note.value != REDIRECT:
            return "only a producer or an admin may put seeds; use the key, and with TLS the certificate, of one"
        if self._value(note.name) == SEED:
            return "its host is that of a seed"
        return "" if self._is_any_site or self._is_of_a_seed(host) else "no seed is of its site (see frontier.seed_redirects)"

    def _value(self, name: str) -> bytes:
        first_page = self._broker.notes(name, 0, "")
        return next((note.value for note in first_page[:1] if note.name == name), b"")

    def _is_of_a_seed(self, host: str) -> bool:
        from crawler.web.domains import site  # here, because a hub needs it only where a seed redirects

        changed = self._broker.notes(ROOT, self._version)
        if changed:
            seeds = {note.name: note.value for note in changed if note.value == SEED}
            self._sites |= {site(each) for each in hosts(seeds, ROOT)}
            self._version = max(note.version for note in changed)
        return site(host) in self._sites
