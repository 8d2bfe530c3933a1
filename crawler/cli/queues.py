"""crawler put and crawler take: queues by hand."""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from crawler.cli import common
from crawler.cli.printing import tell
from crawler.cli.reach import reach
from crawler.cli.taking import run_take
from crawler.errors import CallRefused, ConfigError, QueueFull, StorageFull, UsageError

if TYPE_CHECKING:
    from crawler.broker.contract import Broker
    from crawler.config.load import Config
    from crawler.items import New

log = logging.getLogger(__name__)

STDIN = "standard input"
BATCH = 1_000  # values in one call


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    put_parser = commands.add_parser(
        "put", parents=[common.options()],
        description="Put values on a queue; on disk when the command ends. A value is JSON, or else taken as a string; on "
        "'urls' it is a URL to begin from. '-' reads values from standard input, one a line.",
    )  # fmt: skip
    put_parser.add_argument("queue", metavar="QUEUE")
    put_parser.add_argument("values", metavar="VALUE", nargs="+")
    common.hub_option(put_parser)
    put_parser.set_defaults(run=run_put)
    take_parser = commands.add_parser(
        "take", parents=[common.options()],
        description="Take values off a queue: what is printed is on the queue no more.",
    )  # fmt: skip
    take_parser.add_argument("queue", metavar="QUEUE")
    take_parser.add_argument("-n", type=common.number("Values"), default=1, metavar="N", help="how many (default: 1)")
    take_parser.add_argument(
        "--timeout", type=common.number("Wait"), default=5.0, metavar="S", help="seconds to wait for them (default: 5)"
    )
    common.hub_option(take_parser)
    take_parser.set_defaults(run=run_take)


def run_put(args: argparse.Namespace) -> int:
    from crawler.cli import seeds
    from crawler.items import Verdict
    from crawler.machine.room import in_short
    from crawler.pipeline.build import FRONTIER

    config = common.load(args)
    is_frontier = args.queue == FRONTIER
    values: Iterable[str] = texts(args.values)
    if is_frontier:
        try:
            values = seeds.settle(seeds.read(args.values), config, seeds.tell)
        except UsageError as error:
            raise UsageError(f"{error}; nothing was put") from error
    with reach(args, config, role="producer") as hub:
        make = maker(config, hub, args.queue)
        taken = known = 0
        values = values if is_frontier else checked(values, args.queue, config)
        for batch in batched((make(text) for text in values), BATCH):
            try:
                verdicts = hub.put(batch)
            except QueueFull as full:
                raise QueueFull(f"{full}; {so_far(args.queue, taken + known)}") from full
            except StorageFull as full:
                done = so_far(args.queue, taken + known)
                raise StorageFull(f"{in_short(full)}; {done}: make room there and repeat the command") from full
            taken += verdicts.count(Verdict.ACCEPTED)
            known += verdicts.count(Verdict.DUPLICATE)
            if Verdict.TOO_BIG in verdicts:
                raise CallRefused(f"a value is too big for queue {args.queue!r}; at most 16 MiB fit on a queue")
    tell(f"put {taken} on {args.queue}" + (f", {known} known already" if known else ""))
    return common.OK


def so_far(queue: str, n: int) -> str:
    """Describe the part that was put before a failure. n: values that are on the queue."""
    return f"the first {n} are on {queue}" if n else "nothing was put"


def maker(config: Config, hub: Broker, queue: str) -> Callable[[str], New]:
    """Return the function that makes a line of text a task of this queue."""

    from crawler.items import New
    from crawler.pipeline.build import FRONTIER
    from crawler.web.frontier import Frontier
    from crawler.worker.shared_notes import SharedNotes

    hub.drained([queue])  # says at once if there is no such queue, and which there are
    if queue == FRONTIER:
        return Frontier(config.settings.frontier, SharedNotes(hub)).seed
    return lambda text: New(queue, encoded(value(text)))


def encoded(item: Any) -> bytes:
    """Return a value as bytes for a queue, and warn about each kind of part that had to be replaced."""
    from collections import Counter

    from crawler.codec.bodies import encode

    counts = Counter[str]()
    body = encode(item, lambda what: counts.update([what]))
    for what, n in counts.items():
        log.warning("a value is put with a replacement: %s (%d)", what, n)
    return body


def checked(values: Iterable[str], queue: str, config: Config) -> Iterator[str]:
    """Yield the values. Warn about the first that does not fit the built-in stage that reads the queue: it will be given up."""
    import msgspec

    from crawler.codec.bodies import encode
    from crawler.pipeline.build import build
    from crawler.pipeline.plugins import find, item_schema
    from crawler.web.urls import shown

    schemas = {}
    for stage in build(config).readers(queue):
        if ":" not in stage.use:  # code of a person's own is not run here
            with suppress(ConfigError):
                schemas[stage.name] = item_schema(find(stage.use))[0]
    for text in values:
        for name, schema in list(schemas.items()):
            try:
                msgspec.msgpack.decode(encode(value(text)), type=schema)
            except msgspec.ValidationError as error:
                log.warning("%s does not fit stage %s, which reads %s (%s): it will be given up", shown(text), name, queue, error)
                del schemas[name]
        yield text


def value(text: str) -> Any:
    """JSON, or else the text itself."""
    import json

    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        pass
    if text[:1] in ("{", "[", '"'):  # half of a character in \u, NaN: JSON to most tools
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def texts(values: Iterable[str]) -> Iterator[str]:
    from crawler.web import seeds

    for text in values:
        if text == "-":
            yield from seeds.stream(sys.stdin.buffer, STDIN)
        else:
            yield text


def batched(items: Iterable[New], size: int) -> Iterator[list[New]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
