"""crawler put and crawler take: queues by hand."""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from crawler.cli import common, streams
from crawler.cli.printing import data, tell
from crawler.cli.reach import reach
from crawler.counting import agree, counted
from crawler.errors import CallRefused, ConfigError, StorageFull, UsageError

if TYPE_CHECKING:
    from crawler.broker.base import Broker
    from crawler.config import Config
    from crawler.items import New, Stats

log = logging.getLogger("crawler.cli")

STDIN = "standard input"
BATCH = 1_000         # values in one call


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
    from crawler.pipeline import FRONTIER
    from crawler.room import in_short

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
            except StorageFull as full:
                done = f"the first {taken + known} are on {args.queue}" if taken + known else "nothing was put"
                raise StorageFull(f"{in_short(full)}; {done}: make room there and repeat the command") from full
            taken += verdicts.count(Verdict.ACCEPTED)
            known += verdicts.count(Verdict.DUPLICATE)
            if Verdict.TOO_BIG in verdicts:
                raise CallRefused(f"a value is too big for queue {args.queue!r}; at most 16 MiB fit on a queue")
    tell(f"put {taken} on {args.queue}" + (f", {known} known already" if known else ""))
    return common.OK


def maker(config: Config, hub: Broker, queue: str) -> Callable[[str], New]:
    """How a line of text becomes a task of this queue."""

    from crawler.items import New
    from crawler.pipeline import FRONTIER
    from crawler.shared import SharedNotes
    from crawler.web.frontier import Frontier

    hub.drained([queue])                     # says at once if there is no such queue, and which there are
    if queue == FRONTIER:
        return Frontier(config.settings.frontier, SharedNotes(hub)).seed
    return lambda text: New(queue, encoded(value(text)))


def encoded(item: Any) -> bytes:
    """Return a value as bytes for a queue, and warn about each kind of what had to be replaced in it."""
    from collections import Counter

    from crawler.codec import encode

    counts = Counter[str]()
    body = encode(item, lambda what: counts.update([what]))
    for what, n in counts.items():
        log.warning("a value is put with a replacement: %s (%d)", what, n)
    return body


def checked(values: Iterable[str], queue: str, config: Config) -> Iterator[str]:
    """Yield the values. Warn about the first that does not fit the built-in stage that reads the queue: it will be given up."""
    import msgspec

    from crawler.codec import encode
    from crawler.pipeline import build
    from crawler.plugins import find, item_schema
    from crawler.web.urls import shown

    schemas = {}
    for stage in build(config).readers(queue):
        if ":" not in stage.use:                  # code of a person's own is not run here
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
    if text[:1] in ("{", "[", '"'):           # half of a character in \u, NaN: JSON to most tools
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


def run_take(args: argparse.Namespace) -> int:
    from crawler.run import obeyed

    streams.refuse_closed_output("what is taken would be lost")
    config = common.load(args)
    left = args.n
    is_told = not sys.stderr.isatty()
    with reach(args, config, role="producer") as hub:
        give_up = time.monotonic() + args.timeout
        while left > 0:
            wait = max(min(give_up - time.monotonic(), 10.0), 0.0)
            bodies = hub.take(args.queue, min(left, BATCH), wait if is_told else 0.0)
            if not bodies and not is_told:
                is_told = True
                if wait > 0:
                    tell(f"crawler: waiting up to {args.timeout:g} s for {args.queue}")
                    continue
            show(hub, args.queue, bodies)
            left -= len(bodies)
            if not bodies and time.monotonic() >= give_up:
                hint = common.hints(args, config)
                why = why_none(hub.stats(), args.queue, args.timeout, hint, is_by_hand=obeyed.is_by_hand(hub))
                tell(f"crawler: {args.n - left} of {args.n}: {why}")
                break
    return common.OK


def show(hub: Broker, queue: str, bodies: Sequence[bytes]) -> None:
    """Print these values, each at once. Those that cannot be printed, because nobody reads them, are put back on their queue."""
    import msgspec

    from crawler.codec import readable
    from crawler.items import New

    printed = 0
    try:
        for body in bodies:
            data(msgspec.json.encode(readable(body)).decode(), flush=True)
            printed += 1
    except OSError:
        is_keyed = any(each.keyed for each in hub.stats().queues if each.name == queue)
        if not is_keyed:               # a keyed queue has each task once, and had these
            hub.put([New(queue, body) for body in bodies[printed:]])
        raise


def why_none(stats: Stats, name: str, timeout: float, hint: common.Hint, *, is_by_hand: bool = False) -> str:
    """Explain why no value was taken within so many s. is_by_hand: see `why_hosts_wait`."""
    from crawler.run.waits import why_hosts_wait

    queue = next((queue for queue in stats.queues if queue.name == name), None)
    if queue is None or not queue.ready + queue.delayed:
        return f"{name} had no more within {timeout:g} s"
    there = f"{counted(queue.ready + queue.delayed, 'task')} {agree(queue.ready + queue.delayed, 'waits', 'wait')} on {name}"
    is_held = queue.polite and queue.ready and not stats.hosts_open
    why = why_hosts_wait(stats, hint, is_by_hand=is_by_hand) if is_held else ""
    if queue.delayed and not queue.ready:
        why = f"to be tried again, the next in {queue.due:.0f} s"
    return f"{there}, and none could be taken within {timeout:g} s" + (f": {why}" if why else "")
