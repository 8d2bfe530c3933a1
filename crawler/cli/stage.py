"""crawler stage: run the workers of one stage against a hub."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from crawler.cli import common, streams
from crawler.cli.parser import Once
from crawler.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from crawler.pipeline.build import Pipeline, StageSpec


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "stage", parents=[common.options()],
        description="Take tasks from the stage's queue, process them, hand in the results; until stopped. The first Ctrl-C or "
        "SIGTERM finishes or gives back what is in hand (20 s at most), the second ends at once.",
    )  # fmt: skip
    parser.add_argument(
        "name",
        metavar="NAME",
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
    parser.add_argument("--counts", action="store_true", help=argparse.SUPPRESS)  # see `crawler.run.processes.progress`
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)  # see `crawler.run.processes.probes`
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
        try:
            values.encode()
        except UnicodeEncodeError:
            raise argparse.ArgumentError(self, f"{values!r} is not UTF-8; give the file another name") from None
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
    common.settle_process(args, args.name)
    from crawler.pipeline.build import build
    from crawler.run.verify import verify
    from crawler.worker.chain import SIGN

    if args.while_stdin:
        leave_keyboard(args)
    names = args.name.split(SIGN)
    if (args.output is not None or args.overwrite is not None) and "store" not in names:
        option = "-O" if args.output is None else "-o"
        why = f"{option} says where stage 'store' writes, and {args.name!r} stores nothing"
        raise UsageError(f"{why}; give it to 'crawler stage store'")
    args.set = [*args.set, *store_settings(args)]
    config = common.load(args)
    from crawler.machine import shortage  # here, because only what runs needs it

    shortage.provide_open_files(is_told=not args.while_stdin)
    if "store" in names and not args.while_stdin and config.settings.stages.get("store", {}).get("output") == "-":
        streams.refuse_closed_output("the rows cannot go there; name a file with -o FILE")
    pipeline = build(config) if args.while_stdin else verify(config, names).pipeline  # a child's parent has verified it
    spec = choose(pipeline, args.name)
    if not args.while_stdin:
        from crawler.cli.workers import run_workers

        return run_workers(args, config, pipeline, spec)
    from crawler.cli.worker import printing, run_worker

    with printing(args, pipeline, spec):
        code, is_stuck = run_worker(args, config, pipeline, spec)
    if is_stuck:
        sys.stderr.flush()
        os._exit(code)
    return code


def leave_keyboard(args: argparse.Namespace) -> None:
    """Take standard input from the stages of this process, before their modules are imported: no person can answer them."""
    from crawler.run.processes import unattended

    args.parent = unattended.leave_stdin()
    unattended.refuse_breakpoints()


# Modules that every worker imports: workers are forked from this process and need not import them again.
PRELOADED = (
    "crawler.worker.loop", "crawler.worker.chain", "crawler.hub.client", "crawler.web.frontier",
    "crawler.run.processes.progress", "crawler.run.processes.prints",
    "crawler.run.making", "crawler.run.processes.parting", "crawler.run.processes.unattended", "crawler.cli.worker",
    "crawler.worker.pulse",
    "mmap",
)  # fmt: skip


def preload(specs: Iterable[StageSpec] = ()) -> None:
    """Import what workers need, and what these stages do, before copies of this process are made. Raises ConfigError."""
    from crawler.pipeline import plugins

    for module in PRELOADED:
        importlib.import_module(module)
    for spec in specs:
        plugins.find(spec.use)


def choose(pipeline: Pipeline, name: str) -> StageSpec:
    """Return the stage a person means, by its name or by what it uses; or several as one."""
    from crawler.run.shares import chained
    from crawler.worker.chain import SIGN

    if "," in name:
        raise ConfigError(f"stages in one process are written with {SIGN}: crawler stage {name.replace(',', SIGN)}")
    if SIGN in name:
        return chained(pipeline, name.split(SIGN))
    if ":" not in name:
        return pipeline.stage(name)
    for spec in pipeline.stages.values():
        if spec.use == name:
            return spec
    raise ConfigError(f"no stage of the pipeline uses {name}; add a table [stages.NAME] with use = {name!r}, input and outputs")
