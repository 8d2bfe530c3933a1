"""crawler take: values leave their queue once they are printed, and not before.

    lease some ──▶ print each ──▶ hand in those that were printed, give back the others, and lease the next

A value that was printed when this process was killed is on its queue again: twice is fine, never is not.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import secrets
import sys
import time
from typing import TYPE_CHECKING

from crawler.broker.contract import TAKER
from crawler.cli import common, streams
from crawler.cli.printing import data, tell
from crawler.cli.reach import reach
from crawler.wording.counting import agree, counted

if TYPE_CHECKING:
    from crawler.broker.contract import Broker
    from crawler.items import Lease, Stats

log = logging.getLogger(__name__)

BATCH = 500  # values that are leased at once
LEASE = 60.0  # s they are leased for: the reader may be slow
LATE = LEASE / 2  # s, see `Taking`
POLL = 10.0  # s of one wait for values


class Taking:
    """Values of one queue, taken off it one by one. A context manager: at its end nothing is leased any more."""

    def __init__(self, broker: Broker, queue: str, worker: str, late: float = LATE) -> None:
        """late: s after which values that are leased and not printed are leased anew."""
        self._broker = broker
        self._queue = queue
        self._worker = worker
        self._late = late
        self._calls = itertools.count(1)
        self._leased: list[Lease] = []  # not printed yet, the first one last
        self._printed: list[Lease] = []  # not handed in yet

    def __enter__(self) -> Taking:
        return self

    def __exit__(self, *_: object) -> None:
        if self._printed or self._leased:
            self._step(0, 0.0)

    def values(self, n: int, wait: float) -> int:
        """Print up to n values, the first of them within `wait` s, and return how many there were."""
        self._leased = self._step(min(n, BATCH), wait)[::-1]
        began = time.monotonic()
        while self._leased:
            show(self._leased[-1].item)
            self._printed.append(self._leased.pop())
            if time.monotonic() - began >= self._late:
                break
        return len(self._printed)

    def _step(self, n: int, wait: float) -> list[Lease]:
        """Hand in what was printed, give back what was not, and lease up to n more."""
        from crawler.items import Done, Step, Verdict

        done = [Done(lease.token, report="taken") for lease in self._printed]
        stepped = self._broker.step(Step(
            self._worker, next(self._calls), self._queue if n else "", n, LEASE, 0.0 if done else wait, done=done,
            returned=[lease.token for lease in self._leased], is_last=not n,
        ))  # fmt: skip
        late = stepped.verdicts[: len(done)].count(Verdict.STALE)
        if late:
            again = agree(late, "it is", "they are")
            log.warning("%s printed so late that %s on %s again", counted(late, "value"), again, self._queue)
        self._printed, self._leased = [], []
        return list(stepped.leases)


def run_take(args: argparse.Namespace) -> int:
    from crawler.run import obeyed

    streams.refuse_closed_output("what is taken would be lost")
    config = common.load(args)
    left = args.n
    is_told = not sys.stderr.isatty()
    worker = f"{TAKER}{secrets.token_hex(6)}"
    with reach(args, config, worker, role="producer") as hub, Taking(hub, args.queue, worker) as taking:
        give_up = time.monotonic() + args.timeout
        while left > 0:
            wait = max(min(give_up - time.monotonic(), POLL), 0.0)
            n = taking.values(left, wait if is_told else 0.0)
            if not n and not is_told:
                is_told = True
                if wait > 0:
                    tell(f"crawler: waiting up to {args.timeout:g} s for {args.queue}")
                    continue
            left -= n
            if not n and time.monotonic() >= give_up:
                hint = common.hints(args, config)
                why = why_none(hub.stats(), args.queue, args.timeout, hint, is_by_hand=obeyed.is_by_hand(hub))
                tell(f"crawler: {args.n - left} of {args.n}: {why}")
                break
    return common.OK


def show(body: bytes) -> None:
    """Print a value as one line of JSON, at once."""
    import msgspec

    from crawler.codec.bodies import readable

    data(msgspec.json.encode(readable(body)).decode(), flush=True)


def why_none(stats: Stats, name: str, timeout: float, hint: common.Hint, *, is_by_hand: bool = False) -> str:
    """Explain why no value was taken within `timeout` s. is_by_hand: see `why_hosts_wait`."""
    from crawler.run.explain.waits import why_hosts_wait

    queue = next((queue for queue in stats.queues if queue.name == name), None)
    if queue is None or not queue.ready + queue.delayed:
        return f"no more came on {name} within {timeout:g} s"
    there = f"{counted(queue.ready + queue.delayed, 'task')} {agree(queue.ready + queue.delayed, 'waits', 'wait')} on {name}"
    is_held = queue.polite and queue.ready and not stats.hosts_open
    why = why_hosts_wait(stats, hint, is_by_hand=is_by_hand) if is_held else ""
    if queue.delayed and not queue.ready:
        why = f"to be tried again, the next in {queue.due:.0f} s"
    return f"{there}, and none could be taken within {timeout:g} s" + (f": {why}" if why else "")
