"""crawler stage: run the workers of one stage against a hub."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.cli import common, streams
from crawler.cli.parser import Once
from crawler.cli.printing import pass_on, say, tell
from crawler.errors import ConfigError, CrawlerError, HubError, HubGone, HubLost, HubUnreachable, StorageError, UsageError

if TYPE_CHECKING:
    from crawler.broker.base import Broker
    from crawler.config import Config
    from crawler.hub.client import HubClient
    from crawler.hub.contact import Contact
    from crawler.marks import Marks
    from crawler.pipeline import Pipeline, StageSpec
    from crawler.run import talk
    from crawler.run.probes import Probes
    from crawler.stage import Stage
    from crawler.supervisor import Child
    from crawler.tally import Tally
    from crawler.worker import Worker

log = logging.getLogger("crawler.cli")

HUB_PATIENCE = 60.0   # s a worker waits for a hub that went away: long enough to restart it by hand
LOOK = 0.5            # s between checks whether any work is left
PAUSE = 0.1           # s between attempts to find a hub that is not there yet
WATCH = 1.0           # s between checks whether the hub is there, in a process that does not use it otherwise


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "stage", parents=[common.options()],
        description="Take tasks from the stage's queue, process them, hand in the results; until stopped. The first Ctrl-C or "
        "SIGTERM finishes or gives back what is in hand (20 s at most), the second ends at once.",
    )  # fmt: skip
    parser.add_argument(
        "name", metavar="NAME",
        help="a stage of the pipeline (see 'crawler check'), the module:Class it uses, or stages in a row: fetch+parse",
    )
    common.hub_option(parser)
    parser.add_argument(
        "--processes", type=common.number("Processes"), metavar="N", help="worker processes (default: the stage's setting, 1)"
    )
    parser.add_argument(
        "--concurrency", type=common.number("Concurrency"), metavar="N", help="items at once in each (default: the stage's setting)"
    )
    parser.add_argument("--until-drained", action="store_true", help="end when nothing can reach this stage any more")
    parser.add_argument("--counts", action="store_true", help=argparse.SUPPRESS)      # see `crawler.run.talk`
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)       # see `crawler.run.probes`
    output_options(parser)
    common.short_forms(parser, "--depth", "--scope", "--allow", "--deny")
    parser.set_defaults(run=run)


class Output(Once):
    """Store the output, of which there is one."""

    why = "one output for now, several outputs are not supported"

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:  # fmt: skip
        other = namespace.overwrite if self.dest == "output" else namespace.output
        if other is not None:
            raise argparse.ArgumentError(None, f"-o and -O are both given, as {other} and {values}; {self.why}")
        super().__call__(parser, namespace, values, option_string)


def output_options(parser: argparse.ArgumentParser) -> None:
    """-o and -O, for commands that store."""
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", metavar="FILE", action=Output,
                       help="add records to FILE (.jsonl, .csv, .sqlite; - is standard output; "
                       "default: records.jsonl)")  # fmt: skip
    group.add_argument("-O", "--overwrite", metavar="FILE", action=Output,
                       help="the same, emptying FILE first; a resumed crawl empties nothing")  # fmt: skip


def store_settings(args: argparse.Namespace) -> list[str]:
    """-o and -O, as -s would say them."""
    if args.output is not None:
        return [f"stages.store.output={json.dumps(args.output)}"]
    if args.overwrite is not None:
        return [f"stages.store.output={json.dumps(args.overwrite)}", "stages.store.mode='overwrite'"]
    return []


def run(args: argparse.Namespace) -> int:
    common.name_process(args, args.name)
    from crawler.chain import SIGN
    from crawler.pipeline import build
    from crawler.run.verify import verify

    if args.while_stdin:
        leave_keyboard(args)
    names = args.name.split(SIGN)
    if (args.output is not None or args.overwrite is not None) and "store" not in names:
        option = "-O" if args.output is None else "-o"
        why = f"{option} says where stage 'store' writes, and {args.name!r} stores nothing"
        raise UsageError(f"{why}; give it to 'crawler stage store'")
    args.set = [*args.set, *store_settings(args)]
    config = common.load(args)
    if "store" in names and not args.while_stdin and config.settings.stages.get("store", {}).get("output") == "-":
        streams.refuse_closed_output("the rows cannot go there; name a file with -o FILE")
    pipeline = build(config) if args.while_stdin else verify(config, names).pipeline    # a child's parent has verified it
    spec = choose(pipeline, args.name)
    processes = args.processes or spec.processes or 1
    if processes > 1 and not args.while_stdin:
        return run_many(args, config, pipeline, spec, processes)
    with printing(args, pipeline, spec):
        code, is_stuck = run_one(args, config, pipeline, spec)
    if is_stuck:
        sys.stderr.flush()
        os._exit(code)
    return code


def leave_keyboard(args: argparse.Namespace) -> None:
    """Take standard input from the stages of this process, before their modules are imported: nobody can answer them."""
    from crawler.run import unattended

    args.parent = unattended.leave_stdin()
    unattended.refuse_breakpoints()


# Modules that every worker imports: workers are forked from this process and need not import them again.
PRELOADED = (
    "crawler.worker", "crawler.chain", "crawler.hub.client", "crawler.web.frontier", "crawler.run.talk", "crawler.run.prints",
    "crawler.run.making", "crawler.run.parting", "crawler.run.unattended",
)  # fmt: skip


def preload(specs: Iterable[StageSpec] = ()) -> None:
    """Import what workers need, and what these stages do, before copies of this process are made. Raises ConfigError."""
    from crawler import plugins

    for module in PRELOADED:
        importlib.import_module(module)
    for spec in specs:
        plugins.find(spec.use)


def choose(pipeline: Pipeline, name: str) -> StageSpec:
    """The stage a person means, by its name or by what it uses; or several as one."""
    from crawler import chain

    if "," in name:
        raise ConfigError(f"stages in one process are written with {chain.SIGN}: crawler stage {name.replace(',', chain.SIGN)}")
    if chain.SIGN in name:
        return chain.chained(pipeline, name.split(chain.SIGN))
    if ":" not in name:
        return pipeline.stage(name)
    for spec in pipeline.stages.values():
        if spec.use == name:
            return spec
    raise ConfigError(f"no stage of the pipeline uses {name}; add a table [stages.NAME] with use = {name!r}, input and outputs")


def run_many(args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec, processes: int) -> int:
    """One process a worker, started again when it dies."""
    from crawler.chain import SIGN
    from crawler.cli import main
    from crawler.cli.forking import Forks
    from crawler.hub.contact import Contact
    from crawler.process import Bell
    from crawler.run import talk
    from crawler.run.probes import Probes
    from crawler.run.workers import probed_queue
    from crawler.supervisor import ChildFailed, Supervisor, silence

    stop = Bell()
    forks = Forks(main)
    preload(pipeline.stage(name) for name in spec.name.split(SIGN))
    counts = talk.Sum(spec.name)
    supervisor = Supervisor(partial(died, config), partial(hear, counts), forks, silence(config.settings.hub.lease))
    probed = probed_queue(pipeline, spec.name.split(SIGN))
    common.stop_on_signals(stop.ring, supervisor.kill)
    contact = Contact(common.hub_address(config))
    hub = reach(config, spec.input, common.hints(args, config))
    warn(args, config, pipeline, spec, hub)
    config, pipeline, spec = as_the_crawl(args, config, pipeline, spec, hub)
    hub.close()                       # closed before workers are forked from this process
    args.heard = True
    arguments = ["--counts", *common.forward(args)]
    if args.concurrency:
        arguments += ["--concurrency", str(args.concurrency)]
    if args.until_drained:
        arguments += ["--until-drained"]
    try:
        command = ["stage", spec.name, *arguments]
        children = [supervisor.start(f"{spec.name} {number + 1}", command) for number in range(processes)]
        probes = Probes(supervisor, [(spec.name, probed, arguments)] if probed else [])
        hub = common.connect(config, patience=HUB_PATIENCE, role="worker", contact=contact)
        talk.connected(spec.name, processes, common.hub_address(config), spec.input)
        with speaking_to_a_person(args, config, pipeline, spec, contact, counts), watching(hub):
            while not stop.is_rung and not all(child.has_ended for child in children):
                supervisor.wait(LOOK, stop)
                supervisor.watch()
                look_for_quarantined(config, probes)
            supervisor.stop()         # before the last line is logged: it counts what they finish now
        return of_dead_tasks(args, config, pipeline, spec, hub)
    except ChildFailed as failure:
        if not failure.is_hopeless:
            tell(f"crawler: {failure}")
        return failure.code
    finally:
        supervisor.stop()
        hub.close()


def of_dead_tasks(args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec, hub: HubClient) -> int:
    """Return the exit code of a stage that was to run until its queues are drained, and report dead tasks on them."""
    from crawler.chain import SIGN
    from crawler.counting import agree, counted

    if not args.until_drained or args.while_stdin:         # a child's parent looks itself
        return common.OK
    inputs = {pipeline.stage(name).input for name in spec.name.split(SIGN)} if SIGN in spec.name else {spec.input}
    try:
        dead = sum(queue.dead for queue in hub.stats().queues if queue.name in inputs)
    except HubError:                                       # gone meanwhile; that the work is done was seen before
        return common.OK
    if not dead:
        return common.OK
    tell(f"crawler: {counted(dead, 'task')} {agree(dead, 'was', 'were')} given up; '{common.hints(args, config)('dead list')}' "
          f"shows {agree(dead, 'it', 'them')}")  # fmt: skip
    return common.DEAD_TASKS


def reach(config: Config, queue: str, hint: common.Hint, name: str = "", contact: Contact | None = None, *,
          is_child: bool = False) -> HubClient:  # fmt: skip
    """Return a client of the hub that has answered, after waiting for a hub that is not there yet as long as for a lost one.

    is_child: the hub is started by our parent, which tells of it. Raises HubUnreachable, and at once what the hub refuses us with.
    """
    from crawler.hub.ready import wait_for

    give_up = time.monotonic() + HUB_PATIENCE
    failures, tries = itertools.count(), itertools.count()

    def say() -> None:
        if next(failures) == 0 and not is_child:
            log.warning("no hub answers at %s; waiting for one, %.0f s at most (start it with '%s')",
                        common.hub_address(config), HUB_PATIENCE, hint("hub"))  # fmt: skip

    def say_again() -> None:
        if next(tries):                           # called before each try, so the one before has failed
            say()

    while True:
        try:
            hub = common.connect(config, name, role="worker", contact=contact)
            break
        except HubUnreachable:                    # there is no key either, as the hub makes it
            if time.monotonic() >= give_up:
                raise
            say()
            time.sleep(PAUSE)
    wait_for(hub, [queue], give_up - time.monotonic(), say_again)     # refuses a queue that the hub does not have
    return hub


def as_the_crawl(
    args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec, hub: HubClient
) -> tuple[Config, Pipeline, StageSpec]:
    """Let a stage with an output that nobody set write where the crawl on this hub writes, and log where it writes."""
    from crawler.chain import SIGN
    from crawler.run import definition
    from crawler.run.by_hand import of_stages
    from crawler.run.verify import verify

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
    from crawler.chain import SIGN
    from crawler.run import obeyed

    for line in obeyed.ignored_by_stage(config, pipeline, spec.name.split(SIGN), obeyed.read(hub), common.hints(args, config)):
        log.warning("%s", line)


def died(config: Config, child: Child, pid: int) -> str | None:
    """Tell the hub of a worker process that has died. Returns what it was at: see `Supervisor`."""
    from crawler.run.deaths import claim_workers, report_death

    with suppress(HubError, StorageError), common.connect(config, patience=0.0, role="worker") as hub:     # waits for no lost hub
        claim_workers(hub, pid)           # else the key of a worker may not end them
        return report_death(hub, child, pid)
    return None


def look_for_quarantined(config: Config, probes: Probes) -> None:
    """Start a probe if the hub has quarantined a task of this stage."""
    if probes.is_due:
        with suppress(HubError), common.connect(config, patience=0.0, role="worker") as hub:
            probes.look(hub.stats())


def hear(counts: talk.Sum, line: str) -> None:
    """Handle a line of a worker process: store its counts, or show the line."""
    from crawler.run.lines import COUNTS

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
    """Return why the workers of a stage that reads this queue have nothing to do, and what a stage that is to end waits for."""
    from crawler.run import obeyed, talk
    from crawler.run.idle import explainer, why_frontier_waits

    stats, hint, is_by_hand = hub.stats(), common.hints(args, config), obeyed.is_by_hand(hub)
    why = talk.why_idle(stats, queue, partial(why_frontier_waits, hint=hint, is_by_hand=is_by_hand))
    if not args.until_drained:
        return why
    return talk.why_unended(stats, queue, pipeline.upstream(queue), why, explainer(config, hint, is_by_hand=is_by_hand))


def run_one(args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec) -> tuple[int, bool]:
    """Run the worker in this process. Returns its exit code, and whether a thread of the stage still runs and would block exit."""
    from crawler import chain
    from crawler.hub.contact import Contact
    from crawler.run.making import keepers, make, make_chain, wire
    from crawler.run.parting import Parting
    from crawler.shared import SharedNotes
    from crawler.tally import Tally
    from crawler.web.memory import process_limit
    from crawler.worker import StageHung, worker_name

    if args.while_stdin:                          # the parent process reports on these disks
        logging.getLogger("crawler.room" if args.counts else "crawler.room.hub").setLevel(logging.ERROR)
    marks = show_life()
    name = worker_name(spec.name)
    contact = None if args.while_stdin else Contact(common.hub_address(config))    # otherwise the parent process reports on the hub
    side = reach(config, spec.input, common.hints(args, config), name, contact, is_child=args.while_stdin)
    side.patience = HUB_PATIENCE
    if not args.while_stdin:
        warn(args, config, pipeline, spec, side)
        config, pipeline, spec = as_the_crawl(args, config, pipeline, spec, side)
    shared = SharedNotes(side)
    gatekeepers = keepers(config, pipeline, spec, shared)
    try:
        if chain.SIGN in spec.name:
            stage: Stage = make_chain(config, pipeline, spec, shared, gatekeepers)
        else:
            stage = make(config, spec, shared)
    except CrawlerError:
        side.close()                              # closed in order: the failure is told, and the hub need not tell of it
        raise
    broker = common.connect(config, name, HUB_PATIENCE, role="worker", contact=contact)
    tally = Tally()
    parting = Parting(broker, side)
    concurrency = args.concurrency or spec.concurrency or 0
    threads = concurrency or stage.concurrency
    worker = wire(
        config, pipeline, spec, stage, gatekeepers, shared, broker, side, name, tally, parting.give_up, concurrency,
        is_probe=args.probe, marks=marks,
    )  # fmt: skip

    def stop() -> None:
        worker.stop()
        parting.begin()

    common.stop_on_signals(stop)
    common.stop_with_stdin(args, stop)
    if args.probe:
        threading.Thread(target=stop_when_cured, args=(side, worker, spec.input), daemon=True).start()
    if args.until_drained:
        third = common.connect(config, patience=HUB_PATIENCE, role="worker", contact=contact)
        threading.Thread(target=stop_when_drained, args=(third, worker, pipeline.upstream(spec.input)), daemon=True).start()
    code = common.OK
    try:
        with speaking(args, config, pipeline, spec, contact, tally), process_limit(config.settings.worker_memory, threads):
            worker.run()
    except (HubLost, HubUnreachable) as error:
        if not worker.is_stopping:
            raise HubGone(error.address, HUB_PATIENCE) from error
        log.warning("stopping: the hub is gone, what was in hand will be done again")
    except StageHung as error:
        broker.close()                            # closed in order: its tasks are given back
        side.close()
        say(f"crawler: {error}", stream=sys.__stderr__)     # sys.stderr may be a stage's own stream
        return common.INTERNAL, True
    except CrawlerError:
        if not worker.holds_tasks:                # else their leases end sooner if the hub notices that the worker is gone
            broker.close()
            side.close()
        raise
    else:
        code = of_dead_tasks(args, config, pipeline, spec, side)
    finally:
        parting.end()
    broker.close()
    side.close()
    return code, worker.has_leftovers        # unfinished tasks were released


def show_life() -> Marks:
    """Let the parent process, if it looks after this one, see that it lives and what it works on."""
    from crawler import pulse
    from crawler.marks import Marks, given

    memory = given()
    if memory is None:
        return Marks()
    pulse.start(memory)
    return Marks(memory.words)


def printing(args: argparse.Namespace, pipeline: Pipeline, spec: StageSpec) -> AbstractContextManager[None]:
    """Return the context in which a stage's prints are handled: a child process shows them line by line with the stage's name."""
    if not args.while_stdin:
        return nullcontext()
    from crawler.chain import SIGN
    from crawler.run.prints import shown_by_stage

    links = [pipeline.stage(name) for name in spec.name.split(SIGN)]
    has_rows = any(link.options_table.get("output") == "-" for link in links)
    return shown_by_stage(spec.name, is_heard=args.heard, has_rows=has_rows)


def speaking(
    args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec, contact: Contact | None, tally: Tally
) -> AbstractContextManager[object]:
    """Return the context that reports on a worker: to a person, or to the parent process, which reports for it."""
    from crawler.run import talk

    if contact is None:
        return talk.telling(tally) if args.counts else nullcontext()
    talk.connected(spec.name, 1, common.hub_address(config), spec.input)
    return speaking_to_a_person(args, config, pipeline, spec, contact, tally)


def speaking_to_a_person(
    args: argparse.Namespace, config: Config, pipeline: Pipeline, spec: StageSpec, contact: Contact, counts: talk.Counts
) -> talk.Talk:
    """Return the context that logs the progress. It has a client of its own, which does not wait for a lost hub."""
    from crawler.run import talk

    hub = common.connect(config, patience=0.0, role="worker")
    return talk.Talk(spec.name, counts, lambda: why_idle(args, config, pipeline, hub, spec.input), trouble=lambda: contact.trouble)


def stop_when_cured(broker: Broker, worker: Worker, queue: str) -> None:
    """Stop a probe when nothing is quarantined on its queue any more."""
    with suppress(HubError):                      # the worker meets the same, and reports it
        while any(each.quarantined for each in broker.stats().queues if each.name == queue):
            threading.Event().wait(LOOK)
    worker.stop()


def stop_when_drained(broker: Broker, worker: Worker, queues: list[str]) -> None:
    """Stop the worker when these queues are all empty, as counted in one call. It still finishes the tasks it holds."""
    try:
        known = {queue.name for queue in broker.stats().queues}      # the hub's pipeline may differ from ours
        queues = [queue for queue in queues if queue in known]
        while not broker.drained(queues):
            threading.Event().wait(LOOK)
    except (HubLost, HubUnreachable):
        return                                    # the worker has lost it too, and ends with the reason
    except HubError as error:
        log.warning("the hub does not say whether anything is left to do, so this worker ends: %s", error)
    worker.stop()
