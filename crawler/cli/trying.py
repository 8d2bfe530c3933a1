"""The command crawler try: run a stage on one page or on items in a file, without a hub."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.cli import common
from crawler.cli.printing import tell
from crawler.cli.shown import json_option, page_options, show
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.config.load import Config
    from crawler.pipeline.build import StageSpec
    from crawler.run.trial import Trial
    from crawler.stage import Stage

ITEM_SUFFIXES = (".jsonl", ".ndjson")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "try", parents=[common.options()],
        description="Run a page through the stages up to STAGE in this process, without a hub, and show what STAGE gives for it: "
        "readable on a terminal, otherwise as JSON lines. A failure is shown with its whole traceback. Nothing is stored. "
        "Exit code 3: STAGE failed; 4: the page could not be fetched.",
    )  # fmt: skip
    parser.add_argument("name", metavar="STAGE", help="a stage of the pipeline: see 'crawler check'")
    page_options(parser, "a page, or with FILE.jsonl items for STAGE itself, one per line")
    json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from crawler.cli.files import page_file
    from crawler.pipeline.build import build
    from crawler.run.trial import route
    from crawler.run.verify import verify_options

    config = common.load(args)
    pipeline = build(config)
    goal = pipeline.stage(args.name)
    if goal.use == "store":
        raise UsageError("store gives nothing to show; try the stage before it, or run 'crawler run'")
    if Path(args.page).suffix in ITEM_SUFFIXES:
        verify_options(config, [goal])
        return try_items(config, goal, list(items_of(Path(args.page))), as_json=args.json)
    is_file = page_file(args.page) is not None
    fetch = pipeline.stages.get("fetch")
    if fetch is None:
        raise UsageError(f"this pipeline has no stage 'fetch'; give {args.name} its own items: FILE.jsonl")
    start = fetch.outputs[0] if is_file and fetch.outputs else fetch.input
    stages = route(pipeline, start, args.name)
    verify_options(config, stages)  # before anything is fetched
    return try_page(config, stages, args.page, args.url, as_json=args.json)


def items_of(path: Path) -> Iterator[Any]:
    """List the items in a file of JSON lines. Raises UsageError with the line number for a line that is not JSON."""
    import json

    import msgspec

    from crawler.web import seeds

    try:
        text = seeds.decode(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        try:
            if line.strip():
                yield msgspec.json.decode(line)
        except msgspec.MsgspecError as error:
            try:
                yield json.loads(line)  # half of a character or NaN: JSON to most tools
            except ValueError:
                raise UsageError(f"{path}, line {number}: not JSON: {error}") from error


def try_page(config: Config, specs: Sequence[StageSpec], text: str, address: str, *, as_json: bool) -> int:
    """Run the page through all stages but the last, and its results through the last as `try_items` does.

    address: of a page in a file, see `pages.page_of`.
    """
    from crawler.cli.pages import fetched, page_of
    from crawler.run.trial import for_queue

    if specs[0].name == "fetch" and len(specs) == 1:
        page, others = fetched(config, text)
        show([*([] if page is None else [page]), *others], as_json=as_json)
        return common.OK if page is not None else common.NOTHING_FETCHED
    page = page_of(config, text, address)
    if page is None:
        return common.NOTHING_FETCHED
    items: list[Any] = [page]
    before = [spec for spec in specs[:-1] if spec.name != "fetch"]
    for spec, following in pairwise([*before, specs[-1]]):
        trials = [trial for trial in tried(config, spec, items) if told(spec, trial)]
        items = [item for trial in trials for item in for_queue(trial.given, spec, following.input)]
        if not items:
            tell(f"crawler: {spec.name} gives nothing for {following.input}, so {following.name} gets nothing")
            return common.DEAD_TASKS if not trials else common.OK
    return try_items(config, specs[-1], items, as_json=as_json)


def try_items(config: Config, spec: StageSpec, items: Sequence[Any], *, as_json: bool) -> int:
    """Show the stage's output for each item."""
    is_good = True
    for trial in tried(config, spec, items):
        show(trial.given, as_json=as_json)
        sys.stdout.flush()
        is_good = told(spec, trial) and is_good
        if not trial.given and trial.failure is None:
            tell(f"crawler: {spec.name} gives nothing for this item")
    return common.OK if is_good else common.DEAD_TASKS


def tried(config: Config, spec: StageSpec, items: Sequence[Any]) -> Iterator[Trial]:
    from crawler.run.making import make
    from crawler.run.processes.prints import to_stderr
    from crawler.run.trial import attempt
    from crawler.worker.opening import closing, opening

    with to_stderr():  # standard output is only for the stage's output
        stage: Stage = make(config, spec)
        common.quieten("crawler_stages")
        with opening(spec.name):
            stage.open()
    try:
        for item in items:
            with to_stderr():
                trial = attempt(spec, stage, item)
            yield trial
    finally:
        with to_stderr(), closing(spec.name):
            stage.close()


def told(spec: StageSpec, trial: Trial) -> bool:
    """Report on stderr an outcome other than given items. Returns False if the stage failed."""
    from crawler.codec.bodies import Unfit
    from crawler.errors import MachineShort
    from crawler.stage import Drop, GiveUp, Retry
    from crawler.wording import places
    from crawler.wording.texts import words
    from crawler.worker.handler import reason
    from crawler.worker.routing import Misgiven

    error = trial.failure
    if isinstance(error, Drop):
        tell(f"crawler: {spec.name} drops this item: {words(str(error.reason))}")
    elif isinstance(error, Retry):
        when = "" if error.after is None else f" in {float(error.after):g} s"
        tell(f"crawler: {spec.name} wants to try this item again{when}: {reason(error)}")
    elif isinstance(error, GiveUp):
        tell(f"crawler: {spec.name} gives this item up: {reason(error)}")
    elif isinstance(error, MachineShort):
        tell(f"crawler: {spec.name} cannot take this item now: {words(str(error))}")
    elif isinstance(error, Unfit):
        tell(f"crawler: {spec.name} cannot take this item: {words(str(error))}")
    elif isinstance(error, Misgiven):
        tell(f"crawler: {spec.name} failed at this item: {reason(error)}")
    elif error is not None:
        tell(*places.trace(error).split("\n"))
        tell(f"crawler: {spec.name} failed at this item: {reason(error)}")
    return error is None or isinstance(error, Drop)
