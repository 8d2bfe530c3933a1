"""crawler dead: tasks that were given up."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from crawler.cli import common
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.hub.client import HubClient
    from crawler.items import Dead

PAGE = 500            # tasks in one call


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "dead", help="tasks that were given up: list, show, retry or drop them",
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
            sub.add_argument("ids", metavar="ID", nargs="+" if verb == "show" else "*", type=common.number("Id"))
        if verb in ("retry", "drop"):
            sub.add_argument("--all", action="store_true", help="all there are")
        sub.set_defaults(run=run, verb=verb)


def run(args: argparse.Namespace) -> int:
    config = common.load(args)
    with common.connect(config) as hub:
        if args.verb == "list":
            return listed(hub, args.queue)
        if args.verb == "show":
            return shown(hub, args.ids)
        if bool(args.ids) == args.all:
            raise UsageError(f"crawler dead {args.verb} takes the ids of tasks, or --all; see 'crawler dead list'")
        ids = [task.id for task in every(hub)] if args.all else args.ids
        changed = (hub.revive if args.verb == "retry" else hub.drop)(ids)
        print(f"{changed} task(s) {'ready again' if args.verb == 'retry' else 'dropped'}", file=sys.stderr)
        if changed < len(ids):
            raise UsageError(f"{len(ids) - changed} of these are not dead tasks of this hub; see 'crawler dead list'")
    return common.OK


def every(hub: HubClient, queue: str | None = None) -> Iterator[Dead]:
    after = 0
    while tasks := hub.dead(queue, PAGE, after):
        yield from tasks
        after = tasks[-1].id


def listed(hub: HubClient, queue: str | None) -> int:
    is_empty = True
    for task in every(hub, queue):
        is_empty = False
        print(f"{task.id}\t{task.queue}\t{task.attempt} attempt(s)\t{brief(task)}\t{task.reason}")
    if is_empty:
        print("no dead tasks", file=sys.stderr)
    return common.OK


def shown(hub: HubClient, ids: list[int]) -> int:
    import msgspec

    wanted = dict.fromkeys(ids)
    for task in every(hub):
        if task.id in wanted:
            wanted.pop(task.id)
            whole = {**msgspec.to_builtins(task), "item": plain(task.item)}
            print(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
    if wanted:
        raise UsageError(f"no dead task has the id {', '.join(map(str, wanted))}; see 'crawler dead list'")
    return common.OK


def plain(item: bytes) -> Any:
    """An item as far as it can be read without its stage: bytes inside it are shown by their length."""
    import msgspec

    try:
        return _short(msgspec.msgpack.decode(item))
    except msgspec.DecodeError:
        return f"{len(item)} bytes that are no msgpack"


def _short(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, dict):
        return {str(name): _short(each) for name, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list) else value


def brief(task: Dead) -> str:
    """A task in a few words: its URL if it has one."""
    value = plain(task.item)
    text = value.get("url", value) if isinstance(value, dict) else value
    return str(text)[:200]
