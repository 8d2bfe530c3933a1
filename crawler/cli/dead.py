"""crawler dead: tasks that were given up."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import TYPE_CHECKING

from crawler.cli import common
from crawler.cli.printing import columns, data, say, tell
from crawler.cli.reach import reach
from crawler.errors import UsageError
from crawler.wording.counting import agree, counted

if TYPE_CHECKING:
    from crawler.broker.contract import Broker
    from crawler.items import Dead

COLUMN = 60  # characters to which a task's URL is padded; a longer one is shown whole and shifts its reason


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "dead",
        description="Tasks that failed too often are kept, with the last error, until somebody decides.",
    )  # fmt: skip
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb, text in (
        ("list", "one line each: id, queue, attempts, what, why"),
        ("show", "all of one task, its item included"),
        ("retry", "make them ready again, attempts at zero"),
        ("drop", "forget them: they count as done"),
    ):
        sub = verbs.add_parser(verb, parents=[common.options()], help=text, description=text)
        common.hub_option(sub)
        if verb == "list":
            sub.add_argument("--queue", metavar="QUEUE", help="only of this queue")
        else:
            kind = common.number("Id") if verb == "show" else task_id
            sub.add_argument("ids", metavar="ID", nargs="+" if verb == "show" else "*", type=kind)
        if verb in ("retry", "drop"):
            sub.add_argument("--all", action="store_true", help="all there are")
        sub.set_defaults(run=run, verb=verb)


def run(args: argparse.Namespace) -> int:
    config = common.load(args)
    hint = common.hints(args, config)
    if args.verb in ("retry", "drop") and bool(args.ids) == args.all:
        raise UsageError(f"crawler dead {args.verb} takes the ids of tasks, or --all; see '{hint('dead list')}'")
    with reach(args, config) as broker:
        if args.verb == "list":
            return listed(broker, args.queue, hint)
        if args.verb == "show":
            return shown(broker, args.ids, hint)
        return changed(broker, args, hint)


def listed(broker: Broker, queue: str | None, hint: common.Hint) -> int:
    """Print the dead tasks in columns, and their number by reason on stderr."""
    from crawler.run.report.given_up import every, given_up

    page: list[Dead] = []
    total = 0
    for task in every(broker, queue):
        total += 1
        page.append(task)
        if len(page) == 500:
            table(page)
            page = []
    table(page)
    if not total:
        tell("no dead tasks")
        return common.OK
    if queue is None and total > 1:
        for group in given_up(broker, total):
            tell(f"{group.count:,} × {group.reason}")
    tell(
        f"{counted(total, 'dead task')}; '{hint('dead show ID')}' shows one in full, "
        f"'{hint('dead retry --all')}' tries {agree(total, 'it', 'them')} again"
    )
    return common.OK


def task_id(text: str) -> int:
    """Return the id of a task, as of the command line."""
    if text == "all":
        raise argparse.ArgumentTypeError("for all tasks write --all")
    id: int = common.number("Id")(text)
    return id


def table(tasks: list[Dead]) -> None:
    """Print one line for each task: in columns on a terminal, separated by tabs otherwise."""
    from crawler.run.report.given_up import brief

    rows = [(str(task.id), task.queue, counted(task.attempt, "attempt"), brief(task), task.reason) for task in tasks]
    if not sys.stdout.isatty():
        for row in rows:
            columns(*row)
        return
    widths = [min(max(len(row[column]) for row in rows), COLUMN) for column in range(4)] if rows else []
    for row in rows:
        say("  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]))


def shown(broker: Broker, ids: list[int], hint: common.Hint) -> int:
    """Print these tasks as JSON, each with its item."""
    import msgspec

    from crawler.run.report.given_up import every, plain

    wanted = dict.fromkeys(ids)
    for task in every(broker):
        if task.id in wanted:
            wanted.pop(task.id)
            at = datetime.fromtimestamp(task.at).astimezone().isoformat(sep=" ", timespec="seconds")
            whole = {**msgspec.to_builtins(task), "item": plain(task.item), "at": at, "trace": task.trace.splitlines()}
            data(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
    if wanted:
        raise UsageError(f"no dead task has the id {', '.join(map(str, wanted))}; see '{hint('dead list')}'")
    return common.OK


def changed(broker: Broker, args: argparse.Namespace, hint: common.Hint) -> int:
    """Retry or drop tasks."""
    from crawler.hub.client import HubClient
    from crawler.run.report.given_up import every

    ids = [task.id for task in every(broker)] if args.all else list(dict.fromkeys(args.ids))
    strange = [] if args.all else [id for id in ids if not is_dead(broker, id)]
    n = (broker.revive if args.verb == "retry" else broker.drop)(ids)
    next_step = f"; '{hint('run')}' goes on with {agree(n, 'it', 'them')}" if n and not isinstance(broker, HubClient) else ""
    said = f"{agree(n, 'is', 'are')} ready again{next_step}" if args.verb == "retry" else f"{agree(n, 'is', 'are')} dropped"
    if n or not strange:
        tell(f"{counted(n, 'task')} {said}")
    if strange:
        raise UsageError(f"no dead task has the id {', '.join(map(str, strange))}; see '{hint('dead list')}'")
    return common.OK


def is_dead(broker: Broker, id: int) -> bool:
    return any(task.id == id for task in broker.dead(None, 1, id - 1))
