"""Roles of a hub's clients: a key has a role and so has a certificate, and a client may do what both allow.

             worker       leases and hands in, in its own name: a stage
    key  ──▶ producer     puts, and takes results
             admin        everything, but hands in nothing in the name of another's worker

A key or a certificate copied from a machine with a stage can lease tasks, and answer them wrongly or not at all. It cannot end
another worker, finish its tasks, free its leases, drop a dead task or empty a queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from msgspec import Struct

from crawler.broker.contract import TAKER
from crawler.errors import CallRefused
from crawler.hub.verbs import SESSION_VERBS, VERBS
from crawler.items import Note, Pace, Step

PRIVATE_NOTES = "auth/"  # prefix of the notes that hold a password: see `web.frontier`


class Role(Struct, frozen=True):
    """A name for people, and the verbs of the wire that go with it."""

    name: str
    verbs: frozenset[str]
    is_admin: bool = False  # may `take` tasks of a stage, not only results, and may end any worker


_ALL = frozenset({"stats", "hosts", "drained", "note", "notes"})  # a seed and a stage leave notes for all stages

ADMIN = Role("admin", frozenset(VERBS), is_admin=True)
WORKER = Role("worker", _ALL | SESSION_VERBS.keys() | {"step", "extend", "expire", "held", "pace"})
PRODUCER = Role("producer", _ALL | SESSION_VERBS.keys() | {"put", "take", "step", "why", "find"})  # see `check_step`
NOBODY = Role("none", frozenset())  # a certificate that names no role

ROLES = {role.name: role for role in (ADMIN, PRODUCER, WORKER)}  # the strongest first

CLASSIC = {                # the methods of a classic queue, and the verb each of them is
    "get": "take", "get_nowait": "take",
    "put": "put", "put_nowait": "put",
    "empty": "stats", "full": "stats", "qsize": "stats",
}  # fmt: skip


def both(first: Role, second: Role) -> Role:
    """Return the role that allows what both of these allow."""
    for one, other in ((first, second), (second, first)):
        if one.verbs <= other.verbs and one.is_admin <= other.is_admin:
            return one
    return Role(f"{first.name} and {second.name}", first.verbs & second.verbs, first.is_admin and second.is_admin)


def of_certificate(certificate: Mapping[str, Any]) -> Role:
    """Return the role in the subject of a certificate, as `ssl` reads it: its one OU. It can be trusted, as the CA is the hub's
    own."""
    units = [value for part in certificate.get("subject", ()) for name, value in part if name == "organizationalUnitName"]
    return ROLES.get(units[0], NOBODY) if len(units) == 1 else NOBODY


def check(role: Role, verb: str) -> None:
    """Raises CallRefused for a verb that is not this role's."""
    if verb not in role.verbs:
        others = [other.name for other in ROLES.values() if verb in other.verbs]
        what = "speak as a worker" if verb in SESSION_VERBS else f"call {verb!r}"
        raise CallRefused.by_role(role.name, what, *others)


def needs_name(role: Role, verb: str) -> bool:
    """Tell whether a verb about a worker, which is its first argument, is only for connections that have claimed its name.

    An admin may end any worker. Nobody may extend or hand in another's leases: for `step`, see `HubServer`.
    """
    return verb == "extend" or (verb in ("expire", "held") and not role.is_admin)


def check_paces(role: Role, paces: Sequence[Pace]) -> None:
    """Check that only an admin pauses a host or fixes its delay by hand. Raises CallRefused."""
    if not role.is_admin:
        for pace in paces:
            if pace.paused is not None or pace.fixed is not None:
                raise CallRefused.by_role(role.name, f"pause the host {pace.host[:80]!r} or fix its delay", "admin")


def readable(role: Role, notes: list[Note]) -> list[Note]:
    """Return the shared notes that a role may read: passwords are only for workers that fetch."""
    return notes if "extend" in role.verbs else [note for note in notes if not note.name.startswith(PRIVATE_NOTES)]


def check_session(role: Role, arguments: Sequence[object]) -> None:
    """Raise CallRefused for a name that is not for this role: a producer takes and is no worker, and a worker takes nothing."""
    is_taker = bool(arguments) and str(arguments[0]).startswith(TAKER)
    if is_taker:
        check(role, "take")
    if "extend" not in role.verbs and arguments and not is_taker:
        raise CallRefused.by_role(role.name, "speak as a worker", "admin", "worker")


def check_step(role: Role, step: Step, work: Set[str]) -> None:
    """Raise CallRefused for a step that does more than take values, by a role that may do no more. work: what stages read."""
    if "extend" in role.verbs:
        return
    check_take(role, step.queue, is_work=step.queue in work)
    if step.failed or step.arrived or step.paces or step.counters or step.is_probe or any(done.children for done in step.done):
        raise CallRefused(
            f"the role {role.name!r} may take values in a step, and nothing else; use the key (and with TLS the "
            "certificate) of worker"
        )


def check_take(role: Role, queue: str, *, is_work: bool) -> None:
    """Check that a role that may take only results takes no task of a stage. Raises CallRefused."""
    if is_work and not role.is_admin:
        raise CallRefused.by_role(role.name, f"take from {queue!r}, which a stage reads", "admin")
