"""The worker processes of one stage, begun by `crawler stage`: started again when they die, and reported on together."""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.cli import common, worker
from crawler.cli.printing import pass_on, tell
from crawler.cli.stage import choose, preload
from crawler.errors import HubError, StorageError

if TYPE_CHECKING:
    from crawler.config.load import Config
    from crawler.hub.client import HubClient
    from crawler.hub.contact import Contact
    from crawler.pipeline.build import Pipeline, StageSpec
    from crawler.run.processes import progress
    from crawler.run.processes.probes import Probes
    from crawler.run.processes.supervisor import Child

log = logging.getLogger(__name__)

WATCH = 1.0  # s between checks whether the hub is there, in a process that does not use it otherwise


def run_workers(args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec) -> int:
    """Run a stage's workers, each in a process of its own that is started again when it dies, until they have ended."""
    from crawler.cli import main
    from crawler.cli.forking import Forks
    from crawler.hub.contact import Contact
    from crawler.run.processes import progress
    from crawler.run.processes.probes import Probes
    from crawler.run.processes.process import Bell
    from crawler.run.processes.supervisor import ChildFailed, Supervisor, silence
    from crawler.run.processes.workers import probed_queue
    from crawler.worker.chain import SIGN

    processes = args.processes or spec.processes or 1
    stop = Bell()
    forks = Forks(main)
    preload(pipeline.stage(name) for name in spec.name.split(SIGN))
    counts = progress.Sum(spec.name)
    supervisor = Supervisor(partial(died, config), partial(hear, counts), forks, silence(config.settings.hub.lease))
    probed = probed_queue(pipeline, spec.name.split(SIGN))
    contact = Contact(common.hub_address(config))
    hub = worker.reach(config, spec.input, hint=common.hints(args, config))
    warn(args, config, pipeline, spec, hub)
    config, pipeline, spec = as_the_crawl(args, config, pipeline, spec, hub)
    hub.close()  # closed before workers are forked from this process
    common.stop_on_signals(stop.ring, supervisor.kill)  # not before: until here Ctrl-C ends every wait
    args.heard = True
    arguments = ["--counts", *common.forward(args, config)]
    if args.concurrency:
        arguments += ["--concurrency", str(args.concurrency)]
    if args.until_drained:
        arguments += ["--until-drained"]
    try:
        names = [spec.name] if processes == 1 else [f"{spec.name} {number + 1}" for number in range(processes)]
        children = [supervisor.start(name, ["stage", spec.name, *arguments]) for name in names]
        probes = Probes(supervisor, [(spec.name, probed, arguments)] if probed else [])
        hub = common.connect(config, patience=worker.HUB_PATIENCE, role="worker", contact=contact)
        progress.connected(spec.name, processes, common.hub_address(config), spec.input)
        at_once = common.connect(config, patience=0.0, role="worker")  # it does not wait for a lost hub
        with at_once, speaking_to_a_person(args, config, pipeline, spec, contact, counts), watching(hub):
            while not stop.is_rung and not all(child.has_ended for child in children):
                supervisor.wait(worker.LOOK, stop)
                supervisor.watch()
                look_for_quarantined(at_once, probes)
            supervisor.stop()  # before the last line is logged: it counts tasks they finish now
        if stop.is_rung:
            hub.cut(0.0)  # a hub that is told to stop with us is not waited for
        return of_dead_tasks(args, config, pipeline, spec, hub)
    except ChildFailed as failure:
        if not failure.is_hopeless:
            tell(f"crawler: {failure}")
        return failure.code
    finally:
        supervisor.stop()
        hub.close()


def of_dead_tasks(args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec, hub: HubClient) -> int:
    """Return the exit code of a stage that runs until its queues are drained, and report dead tasks on them."""
    from crawler.wording.counting import agree, counted
    from crawler.worker.chain import SIGN

    if not args.until_drained:
        return common.OK
    inputs = {pipeline.stage(name).input for name in spec.name.split(SIGN)} if SIGN in spec.name else {spec.input}
    try:
        dead = sum(queue.dead for queue in hub.stats().queues if queue.name in inputs)
    except HubError:  # gone meanwhile; that the work is done was seen before
        return common.OK
    if not dead:
        return common.OK
    tell(f"crawler: {counted(dead, 'task')} {agree(dead, 'was', 'were')} given up; '{common.hints(args, config)('dead list')}' "
         f"shows {agree(dead, 'it', 'them')}")  # fmt: skip
    return common.DEAD_TASKS


def as_the_crawl(
    args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec, hub: HubClient
) -> tuple[Config, Pipeline, StageSpec]:
    """Set a stage's unset output and logs to those of the crawl on this hub."""
    from crawler.run.resume import definition
    from crawler.run.resume.by_hand import of_stages
    from crawler.run.verify import verify
    from crawler.worker.chain import SIGN

    names = spec.name.split(SIGN)
    if not any(hasattr(verify(config, names).options[name], "output") for name in names):
        return config, pipeline, spec
    crawl = definition.read(hub, Path(config.settings.data))
    taken = of_stages(crawl, names, config) if crawl is not None else {}
    if taken:
        config = common.load(args, taken)
    pipeline, options = verify(config, names)
    for name in names:
        if output := getattr(options[name], "output", ""):
            why = ", as the crawl does" if f"stages.{name}.output" in taken else ""
            log.info("%s: writing to %s%s", name, "standard output" if output == "-" else output, why)
    return config, pipeline, choose(pipeline, args.name)


def warn(args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec, hub: HubClient) -> None:
    """Log the settings that have no effect in the processes of this stage, each with who obeys it."""
    from crawler.run import obeyed
    from crawler.worker.chain import SIGN

    for line in obeyed.ignored_by_stage(config, pipeline, spec.name.split(SIGN), obeyed.read(hub), common.hints(args, config)):
        log.warning("%s", line)


def died(config: Config, child: Child, pid: int) -> str | None:
    """Tell the hub of a worker process that has died. Returns the task it worked on: see `Supervisor`."""
    from crawler.run.processes.deaths import claim_workers, report_death

    with suppress(HubError, StorageError), common.connect(config, patience=0.0, role="worker") as hub:  # waits for no lost hub
        claim_workers(hub, pid)  # else the key of a worker may not end them
        return report_death(hub, child, pid)
    return None


def look_for_quarantined(hub: HubClient, probes: Probes) -> None:
    """Start a probe if the hub has quarantined a task of this stage."""
    if probes.is_due:
        with suppress(HubError):
            probes.look(hub.stats())


def hear(counts: progress.Sum, line: str) -> None:
    """Handle a line of a worker process: store its counts, or show the line."""
    from crawler.wording.lines import COUNTS

    if line.startswith(COUNTS):
        worker, _, numbers = line.removeprefix(COUNTS).rpartition(": ")
        counts.report(worker, numbers)
    else:
        pass_on(line)


@contextmanager
def watching(hub: HubClient) -> Iterator[None]:
    """Call the hub now and then while the context is active, so that its loss is noticed in a process that does not use it."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(WATCH):
            with suppress(HubError):
                hub.drained([])

    threading.Thread(target=look, name="watch", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def why_idle(args: argparse.Namespace, config: Config, pipeline: Pipeline, hub: HubClient, queue: str) -> str:
    """Return why the workers of a stage that reads this queue are idle, and what a stage that should end waits for."""
    from crawler.run import obeyed
    from crawler.run.explain.idle import explainer, why_frontier_waits
    from crawler.run.processes import progress

    stats, hint, is_by_hand = hub.stats(), common.hints(args, config), obeyed.is_by_hand(hub)
    why = progress.why_idle(stats, queue, partial(why_frontier_waits, hint=hint, is_by_hand=is_by_hand))
    if not args.until_drained:
        return why
    return progress.why_unended(stats, queue, pipeline.upstream(queue), why, explainer(config, hint, is_by_hand=is_by_hand))


def speaking_to_a_person(
    args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec, contact: Contact, counts: progress.Counts
) -> progress.Talk:
    """Return the context that logs the progress. It has a client of its own, which does not wait for a lost hub."""
    from crawler.run.processes import progress

    hub = common.connect(config, patience=0.0, role="worker")
    return progress.Talk(
        spec.name, counts, lambda: why_idle(args, config, pipeline, hub, spec.input), trouble=lambda: contact.trouble
    )
