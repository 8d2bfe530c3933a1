"""crawler workers, notes, counters: look at what workers and producers have told a hub, and undo it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from crawler.cli import common
from crawler.cli.printing import columns, tell
from crawler.cli.reach import reach
from crawler.errors import UsageError
from crawler.wording.counting import agree, counted

if TYPE_CHECKING:
    from crawler.broker.contract import Broker

BATCH = 1_000  # names in one call
ALL = "*"  # at the end of a name: all names that begin so
ENDED = "was ended by hand"
DESCRIPTIONS = {
    "workers": "Workers as the hub knows them, and the tasks that they hold.",
    "notes": "Notes that workers share: hosts in scope (root/, below/), robots.txt (robots/), passwords of seeds (auth/), rows "
    "(rows/), and what stages of your own share.",
    "counters": "Counters of the stages. Some end a crawl, if it has a limit of time or bytes.",
}  # fmt: skip
VERBS: dict[str, tuple[tuple[str, str, str], ...]] = {     # by command: verb, the names that it takes, help
    "workers": (
        ("list", "", "one line each: name, tasks held, seconds since it was heard of"),
        ("end", "NAME", "take its tasks from a worker: others get them, and a worker that still runs loses them"),
    ),
    "notes": (
        ("list", "PREFIX", "one line each: name, bytes"),
        ("drop", "NAME", "delete notes; hosts go out of scope. NAME* means all names that begin with NAME"),
    ),
    "counters": (
        ("list", "", "one line each: name, number"),
        ("drop", "NAME", "delete counters, which begin at 0 again. NAME* means all names that begin with NAME"),
    ),
}  # fmt: skip


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for command, verbs in VERBS.items():
        parser = commands.add_parser(command, description=DESCRIPTIONS[command])
        below = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
        for verb, names, text in verbs:
            sub = below.add_parser(verb, parents=[common.options()], help=text, description=text)
            common.hub_option(sub)
            if names:
                sub.add_argument("names", metavar=names, nargs="?" if verb == "list" else "+")
            sub.set_defaults(run=run, verb=verb, command=command)


def run(args: argparse.Namespace) -> int:
    config = common.load(args)
    hint = common.hints(args, config)
    act: Callable[[Broker], None] = {
        ("workers", "list"): list_workers,
        ("workers", "end"): lambda hub: end_workers(hub, args.names, hint),
        ("notes", "list"): lambda hub: list_notes(hub, args.names or ""),
        ("notes", "drop"): lambda hub: drop_notes(hub, args.names),
        ("counters", "list"): list_counters,
        ("counters", "drop"): lambda hub: drop_counters(hub, args.names),
    }[args.command, args.verb]
    with reach(args, config) as hub:
        act(hub)
    return common.OK


def list_workers(hub: Broker) -> None:
    stats = hub.stats()
    for worker in stats.workers:
        columns(worker.name, counted(worker.leased, "task"), f"{worker.seen:.0f} s" if worker.is_heard else "not heard of")
    if (more := stats.workers_total - len(stats.workers)) > 0:
        tell(f"and {more:,} more workers")
    if not stats.workers:
        tell("no workers")


def end_workers(hub: Broker, names: Sequence[str], hint: common.Hint) -> None:
    """Raises UsageError for a worker that the hub does not know."""
    known = {worker.name for worker in hub.stats().workers}
    for name in names:
        n = hub.expire(name, ENDED)
        if not n and name not in known:
            raise UsageError(f"no worker {name!r} on this hub; '{hint('workers list')}' shows those there are")
        tell(f"{name}: {counted(n, 'task')} {agree(n, 'was', 'were')} taken from it")


def list_notes(hub: Broker, prefix: str) -> None:
    notes = hub.notes(prefix)
    for note in notes:
        columns(note.name, f"{len(note.value)} bytes")
    if not notes:
        tell(f"no notes begin with {prefix!r}" if prefix else "no notes")


def drop_notes(hub: Broker, names: Sequence[str]) -> None:
    """Notes about hosts in scope are emptied, which workers that run hear of; others are deleted."""
    from crawler.items import Note
    from crawler.notes import BELOW, GONE, ROOT

    found = chosen(names, lambda prefix: [note.name for note in hub.notes(prefix)])
    emptied = [name for name in found if name.startswith((ROOT, BELOW))]
    for batch in batches(emptied):
        hub.note([Note(name, GONE) for name in batch])
    n = len(emptied) + sum(hub.forget(batch) for batch in batches(name for name in found if not name.startswith((ROOT, BELOW))))
    tell(f"{counted(n, 'note')} deleted; workers that run may keep what they have read of {agree(n, 'it', 'them')} until they end")


def list_counters(hub: Broker) -> None:
    counters = hub.stats().counters
    for name, n in counters.items():
        columns(name, str(n))
    if not counters:
        tell("no counters")


def drop_counters(hub: Broker, names: Sequence[str]) -> None:
    there = hub.stats().counters
    found = chosen(names, lambda prefix: [name for name in there if name.startswith(prefix)])
    tell(f"{counted(sum(hub.forget((), batch) for batch in batches(found)), 'counter')} deleted")


def chosen(names: Sequence[str], beginning: Callable[[str], list[str]]) -> list[str]:
    """Return the names that are meant: each as it is, or all that begin with it."""
    found: dict[str, None] = {}
    for name in names:
        prefix = name.removesuffix(ALL)
        found |= dict.fromkeys(each for each in beginning(prefix) if each == name or prefix != name)
    return list(found)


def batches(names: Iterable[str]) -> Iterable[list[str]]:
    rest = iter(names)
    while batch := list(islice(rest, BATCH)):
        yield batch
