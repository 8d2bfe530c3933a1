"""What a client may ask of a hub: its key has a role and so has its certificate, and it may do what both of them may.

             worker       lends and hands in: a stage
    key  ──▶ producer     puts, and takes results
             admin        everything

A key or a certificate that was copied from a machine with a stage frees no lease, drops no dead task and empties no queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from crawler.errors import CallRefused
from crawler.hub.verbs import VERBS
from crawler.items import Note

PRIVATE_NOTES = "auth/"    # prefix of the notes that hold a password: see `web.frontier`


class Role(Struct, frozen=True):
    """A name for people, and the verbs of the wire that go with it."""

    name: str
    verbs: frozenset[str]
    takes_work: bool           # may `take` what a stage is to do, and not only results


_ALL = frozenset({"hello", "bye", "stats", "hosts", "drained", "note", "notes"})   # a seed and a stage leave notes for all stages

ADMIN = Role("admin", frozenset(VERBS), takes_work=True)
WORKER = Role("worker", _ALL | {"step", "extend", "pace"}, takes_work=False)
PRODUCER = Role("producer", _ALL | {"put", "take", "why", "find"}, takes_work=False)
NOBODY = Role("none", frozenset(), takes_work=False)       # a certificate that names no role

ROLES = {role.name: role for role in (ADMIN, PRODUCER, WORKER)}     # the strongest first

CLASSIC = {                # the methods of a classic queue, and the verb each of them is
    "get": "take", "get_nowait": "take",
    "put": "put", "put_nowait": "put",
    "empty": "stats", "full": "stats", "qsize": "stats",
}  # fmt: skip


def both(first: Role, second: Role) -> Role:
    """What is allowed by two roles that one client has shown."""
    for one, other in ((first, second), (second, first)):
        if one.verbs <= other.verbs and one.takes_work <= other.takes_work:
            return one
    name = f"{first.name} and {second.name}"
    return Role(name, first.verbs & second.verbs, first.takes_work and second.takes_work)


def of_certificate(certificate: Mapping[str, Any]) -> Role:
    """The role in the subject of a certificate, as `ssl` reads it: its one OU. The CA is the hub's own: what it says holds."""
    units = [value for part in certificate.get("subject", ()) for name, value in part if name == "organizationalUnitName"]
    return ROLES.get(units[0], NOBODY) if len(units) == 1 else NOBODY


def check(role: Role, verb: str) -> None:
    """Raises CallRefused for a verb that is not this role's."""
    if verb not in role.verbs:
        others = [other.name for other in ROLES.values() if verb in other.verbs]
        raise CallRefused(f"the role {role.name!r} may not call {verb!r}; use the key (and with TLS the certificate) "
                          f"of {' or '.join(others)}")


def readable(role: Role, notes: list[Note]) -> list[Note]:
    """Return the shared notes that a role may read: passwords are only for workers that fetch."""
    return notes if "step" in role.verbs else [note for note in notes if not note.name.startswith(PRIVATE_NOTES)]


def check_take(role: Role, queue: str, *, is_work: bool) -> None:
    """Raises CallRefused where tasks that a stage is to do would be taken away by a role that may take results only."""
    if is_work and not role.takes_work:
        raise CallRefused(f"the role {role.name!r} may not take from {queue!r}, which a stage reads; "
                          "use the key (and with TLS the certificate) of admin")
