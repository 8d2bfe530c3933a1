"""One worker process of a stage: a child of `crawler run` or of `crawler stage`, which looks after it."""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING

from crawler.cli import common
from crawler.cli.printing import say
from crawler.errors import CrawlerError, HubError, HubGone, HubLost, HubUnreachable

if TYPE_CHECKING:
    from crawler.broker.contract import Broker
    from crawler.config.load import Config
    from crawler.hub.client import HubClient
    from crawler.pipeline.build import Pipeline, StageSpec
    from crawler.stage import Stage
    from crawler.worker.loop import Worker
    from crawler.worker.marks import Marks

log = logging.getLogger(__name__)

HUB_PATIENCE = 60.0  # s a worker waits for a hub that went away: long enough to restart it by hand
LOOK = 0.5  # s between two looks at the tasks that are left
PAUSE = 0.1  # s between attempts to find a hub that is not there yet


def run_worker(args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec) -> tuple[int, bool]:
    """Run the worker in this process. Returns its exit code, and whether a thread of the stage still runs and would block exit."""
    from crawler.machine.room import OF_HUB, OF_SHORTAGES
    from crawler.run.making import hooks_made, keepers, make, make_chain, wire
    from crawler.run.processes import progress
    from crawler.run.processes.parting import Parting
    from crawler.web.memory import process_limit
    from crawler.worker import chain
    from crawler.worker.loop import StageHung, worker_name
    from crawler.worker.shared_notes import SharedNotes
    from crawler.worker.tally import Tally

    for logger in OF_SHORTAGES if args.counts else OF_HUB:
        logging.getLogger(logger).setLevel(logging.ERROR)  # our parent reports on these
    marks = show_life()
    name = worker_name(spec.name)
    side = reach(config, spec.input, name)
    side.patience = HUB_PATIENCE
    shared = SharedNotes(side)
    gatekeepers = keepers(config, pipeline, spec, shared)
    try:
        hooks = hooks_made()
        if chain.SIGN in spec.name:
            stage: Stage = make_chain(config, pipeline, spec, shared, gatekeepers, hooks)
        else:
            stage = make(config, spec, shared)
    except CrawlerError:
        side.close()  # closed in order: the failure is told, and the hub need not tell of it
        raise
    broker = common.connect(config, name, HUB_PATIENCE, role="worker")
    tally = Tally()
    parting = Parting(broker, side)
    concurrency = args.concurrency or spec.concurrency or 0
    threads = concurrency or stage.facts.concurrency
    worker = wire(
        config, pipeline, spec, stage, gatekeepers, shared, broker, side, name, tally, parting.give_up, concurrency,
        is_probe=args.probe, marks=marks, hooks=hooks,
    )  # fmt: skip

    def stop() -> None:
        worker.stop()
        parting.begin()

    common.stop_on_signals(stop)
    common.stop_with_stdin(args, stop)
    if args.probe:
        threading.Thread(target=stop_when_cured, args=(side, worker, spec.input), daemon=True).start()
    if args.until_drained:
        third = common.connect(config, patience=HUB_PATIENCE, role="worker")
        threading.Thread(target=stop_when_drained, args=(third, worker, pipeline.upstream(spec.input)), daemon=True).start()
    told = progress.telling(tally) if args.counts else nullcontext()
    try:
        with told, process_limit(config.settings.worker_memory, threads):
            worker.run()
    except (HubLost, HubUnreachable) as error:
        if not worker.is_stopping:
            raise HubGone(error.address, HUB_PATIENCE) from error
        log.warning("stopping: the hub is gone, what was in hand will be done again")
    except StageHung as error:
        broker.close()  # closed in order: its tasks are given back
        side.close()
        say(f"crawler: {error}", stream=sys.__stderr__)  # sys.stderr may be a stage's own stream
        return common.INTERNAL, True
    except CrawlerError:
        if not worker.holds_tasks:  # else their leases end sooner if the hub notices that the worker is gone
            broker.close()
            side.close()
        raise
    finally:
        parting.end()
    broker.close()
    side.close()
    return common.OK, worker.has_leftovers  # unfinished tasks were released


def reach(config: Config, queue: str, name: str = "", hint: common.Hint | None = None) -> HubClient:
    """Return a client of the hub that has answered, after waiting for a hub that is not there yet as long as for a lost one.

    hint: completes the command that starts a hub, if waiting is to be logged. Raises HubUnreachable, and at once what the hub
    refuses us with.
    """
    from crawler.hub.ready import wait_for

    give_up = time.monotonic() + HUB_PATIENCE
    failures, tries = itertools.count(), itertools.count()

    def say() -> None:
        if next(failures) == 0 and hint is not None:
            log.warning("no hub answers at %s; waiting for one, %.0f s at most (start it with '%s')",
                        common.hub_address(config), HUB_PATIENCE, hint("hub"))  # fmt: skip

    def say_again() -> None:
        if next(tries):  # called before each try, so the one before has failed
            say()

    while True:
        try:
            hub = common.connect(config, name, role="worker")
            break
        except HubUnreachable:  # there is no key either, as the hub makes it
            if time.monotonic() >= give_up:
                raise
            say()
            time.sleep(PAUSE)
    wait_for(hub, [queue], give_up - time.monotonic(), say_again)  # refuses a queue that the hub does not have
    return hub


def show_life() -> Marks:
    """Show the parent process, if it supervises this one, that it lives and what it works on."""
    from crawler.worker import pulse
    from crawler.worker.marks import Marks, given

    memory = given()
    if memory is None:
        return Marks()
    pulse.start(memory)
    return Marks(memory.words)


def printing(args: argparse.Namespace, pipeline: Pipeline, spec: StageSpec) -> AbstractContextManager[None]:
    """Return the context in which a stage's prints are shown line by line, with the stage's name."""
    from crawler.run.processes.prints import shown_by_stage
    from crawler.worker.chain import SIGN

    links = [pipeline.stage(name) for name in spec.name.split(SIGN)]
    has_rows = any(link.options_table.get("output") == "-" for link in links)
    return shown_by_stage(spec.name, is_heard=args.heard, has_rows=has_rows)


def stop_when_cured(broker: Broker, worker: Worker, queue: str) -> None:
    """Stop a probe when nothing is quarantined on its queue any more."""
    with suppress(HubError):  # the worker meets the same, and reports it
        while any(each.quarantined for each in broker.stats().queues if each.name == queue):
            threading.Event().wait(LOOK)
    worker.stop()


def stop_when_drained(broker: Broker, worker: Worker, queues: list[str]) -> None:
    """Stop the worker when these queues are all empty, as counted in one call. It still finishes the tasks it holds."""
    try:
        known = {queue.name for queue in broker.stats().queues}  # the hub's pipeline may differ from ours
        queues = [queue for queue in queues if queue in known]
        while not broker.drained(queues):
            threading.Event().wait(LOOK)
    except (HubLost, HubUnreachable):
        return  # the worker has lost it too, and ends with the reason
    except HubError as error:
        log.warning("the hub does not say whether anything is left to do, so this worker ends: %s", error)
    worker.stop()
