"""crawler fetch and crawler parse: one page through one stage, without a hub."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from crawler.cli import common
from crawler.cli.files import page_file
from crawler.cli.printing import raw, tell
from crawler.cli.shown import json_option, page_options, show
from crawler.errors import CrawlerError, MachineShort, StageFailed, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.config.load import Config
    from crawler.stage import LocalShared, Stage
    from crawler.web.page import Page


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fetch = commands.add_parser(
        "fetch", parents=[common.options()],
        description="Run the fetch stage on one URL, without a hub, and show what it yields: readable on a terminal, otherwise "
        "as JSON lines. --body prints the body alone.",
    )  # fmt: skip
    fetch.add_argument("url", metavar="URL")
    fetch.add_argument("--body", action="store_true", help="the decoded body instead")
    json_option(fetch)
    fetch.set_defaults(run=run_fetch)
    parse = commands.add_parser(
        "parse", parents=[common.options()],
        description="Run the parse stage on one page, without a hub, and show its records and links: readable on a terminal, "
        "otherwise as JSON lines.",
    )  # fmt: skip
    page_options(parse)
    parse.add_argument("--fields", action="store_true", help="only the fields declared in [stages.parse.fields]")
    json_option(parse)
    parse.set_defaults(run=run_parse)


def run_fetch(args: argparse.Namespace) -> int:
    config = common.load(args)
    page, others = fetched(config, args.url)
    if args.body:
        if page is not None:
            raw(page.content)
        return common.OK if page is not None else common.NOTHING_FETCHED
    show([*([] if page is None else [page]), *others], as_json=args.json)
    return common.OK if page is not None else common.NOTHING_FETCHED


def run_parse(args: argparse.Namespace) -> int:
    from crawler.cli.trying import told
    from crawler.pipeline.build import build
    from crawler.run.processes.prints import to_stderr
    from crawler.run.trial import attempt
    from crawler.run.verify import options_of
    from crawler.worker.opening import closing

    config = common.load(args)
    page_file(args.page)  # refuses a missing one
    spec = build(config).stage("parse")
    options_of(spec, config)  # before anything is fetched
    page = page_of(config, args.page, args.url)
    if page is None:
        return common.NOTHING_FETCHED
    with to_stderr():
        stage = open_stage(config, "parse")
    try:
        with to_stderr():
            trial = attempt(spec, stage, page)
        show(declared(stage, trial.given) if args.fields else trial.given, as_json=args.json)
    finally:
        with to_stderr(), closing("parse"):
            stage.close()
    return common.OK if told(spec, trial) else common.DEAD_TASKS


def page_of(config: Config, text: str, address: str = "") -> Page | None:
    """Return the page in a file or at a URL; None if it cannot be fetched, with the reason on stderr.

    address: of the page in a file; "": a file: URL, below which no link leads to the web.
    """
    path = page_file(text)
    if path is not None:
        return from_file(path, address)
    if address:
        raise UsageError(f"--url is for a page in a file, and {text} is fetched from where it is; leave --url out")
    return fetched(config, text)[0]


def declared(stage: Stage, items: list[Any]) -> list[dict[str, Any]]:
    """Return only the declared fields of each record."""
    names = list(getattr(stage.options, "fields", {}))
    if not names:
        raise UsageError("no fields are declared; add some to [stages.parse.fields], or -s 'stages.parse.fields.NAME=SELECTOR'")
    return [{name: item.get(name) for name in names} for item in items if isinstance(item, dict)]


def fetched(config: Config, text: str) -> tuple[Page | None, list[Any]]:
    """Return the page of a URL a person typed, and the fetch stage's other output, which goes to stderr if there is no page.

    Raises StageFailed if the code of the stage fails.
    """
    from crawler.cli import seeds
    from crawler.run.processes.prints import to_stderr
    from crawler.stage import Drop, GiveUp, LocalShared, Retry
    from crawler.web.frontier import Frontier
    from crawler.web.page import Page, Visit
    from crawler.wording import places
    from crawler.worker.opening import closing

    shared = LocalShared()
    import msgspec

    seeds.refuse_path(text)
    [text] = seeds.settle([text], config, seeds.tell)
    visit = msgspec.msgpack.decode(Frontier(config.settings.frontier, shared).seed(text).item, type=Visit)
    page: Page | None = None
    others: list[Any] = []
    with to_stderr():
        stage = open_stage(config, "fetch", shared)
        try:
            for item in stage.process(visit):
                if isinstance(item, Page):
                    page = item
                else:
                    others.append(item)
        except Drop as drop:
            tell(f"crawler: {visit.url} is not fetched: {drop.reason}")
        except (Retry, GiveUp) as failure:
            tell(f"crawler: {visit.url} could not be fetched: {failure.reason}")
        except MachineShort as short:
            tell(f"crawler: {visit.url} could not be fetched: {short}")
        except CrawlerError:
            raise
        except Exception as error:
            tell(*places.trace(error).split("\n"))
            raise StageFailed(f"stage fetch failed at {visit.url}: {places.told(error)}") from error
        finally:
            with closing("fetch"):
                stage.close()
    return page, others


def open_stage(config: Config, name: str, shared: LocalShared | None = None) -> Stage:
    """Open a stage of this pipeline. Raises ConfigError for options that `crawler run` would refuse."""
    from crawler.pipeline import plugins
    from crawler.pipeline.build import build
    from crawler.run.verify import options_of
    from crawler.stage import Context
    from crawler.worker.opening import opening

    common.quieten("crawler_stages")
    spec = build(config).stage(name)
    kind = plugins.find(spec.use)
    options = options_of(spec, config)
    with opening(name):  # the class may be the author's
        stage = kind(options, shared)
        stage.context = Context(
            stage=name, data=str(config.settings.data), hosts=config.settings.hosts
        )  # no crawl: no state, no pauses
        stage.open()
    return stage


def from_file(path: Path, address: str = "") -> Page:
    """Return the page in a file as if it had been fetched from this address; "": from the path of the file."""
    import mimetypes
    import time

    from crawler.web import urls
    from crawler.web.page import Page

    url = urls.seed(address) if address else path.resolve().as_uri()

    kind = mimetypes.guess_type(path.name)[0] or "text/html"
    try:
        body = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return Page.of(body, url=url, status_code=200, header_pairs=[("Content-Type", kind)], fetched_at=time.time())
