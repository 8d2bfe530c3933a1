"""Every stage in README, and the one that `crawler new stage` writes, does the same in a chain and on its own."""

from __future__ import annotations

import functools
import json
import re
import sys
import threading
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crawler.broker.contract import Politeness
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.cli import stage
from crawler.config.load import Config, load
from crawler.pipeline import plugins
from crawler.pipeline.build import Pipeline, build
from crawler.pipeline.scaffold import table, write_stage
from crawler.run import making
from crawler.run.shares import groups
from crawler.stage import Stage
from crawler.web.frontier import Frontier
from crawler.worker.chain import SIGN
from crawler.worker.shared_notes import SharedNotes
from crawler.worker.tally import Tally
from tests.site import Site

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
PATIENCE = 30.0  # s
VARIES = {"fetched_at", "elapsed"}

PAGES = {
    "/": '<title>A shop</title><h1>All</h1><a href="/a">a</a><a href="/b">b</a><a href="/c">c</a><a href="/missing">d</a>',
    "/a": '<title>A hat</title><h1>Hat</h1><p class=price>12.50</p><p class=tag>red</p><p class=tag>new</p><a href="/">up</a>',
    "/b": "<title>B</title><h1>Bag</h1><p class=price>3</p><div class=item>one</div><div class=item>two</div>",
    "/c": "<h1>No title</h1>",
}


class Example:
    """A stage as somebody would copy it: its module and the table that puts it into the pipeline."""

    def __init__(self, name: str, code: str, toml: str) -> None:
        self.name, self.code, self.toml = name, code, toml

    @property
    def use(self) -> str:
        """module:Class of the example's own stage; "" if it has none."""
        tables = tomllib.loads(self.toml).get("stages", {})
        return next((each["use"] for each in tables.values() if ":" in each.get("use", "")), "")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def of_readme() -> Iterator[Example]:
    tables = [block for block in blocks("toml") if "[stages." in block]
    codes = [block for block in blocks("python") if re.search(r"^class \w+\((Stage|Parse)\)", block, re.MULTILINE)]
    for code in codes:
        (name,) = re.findall(r"^class (\w+)\((?:Stage|Parse)\)", code, re.MULTILINE)
        (toml,) = [block for block in tables if f":{name}" in block]  # each comes with the table that it needs
        yield Example(f"README's {name}", code, toml)
    for toml in tables:
        if ":" not in Example("", "", toml).use:
            yield Example(f"README's {toml.splitlines()[0]}", "", toml)


def of_scaffold(folder: Path) -> Example:
    code, _ = write_stage("words_of", folder)
    text = code.read_text("utf-8")
    code.unlink()
    return Example("scaffold", text, table("words_of"))


class Crawl:
    """A crawl with real workers around a broker in this process; what is not chained runs in a worker of its own."""

    def __init__(self, config: Config, site: Site, *, is_chained: bool) -> None:
        pipeline = build(config)
        names = pipeline.reachable()
        self.groups = groups(pipeline, names) if is_chained else [[name] for name in names]
        self.counters: Counter[str] = Counter()
        broker = SqliteBroker(":memory:", list(pipeline.queues.values()), Politeness(8, 0.0))
        workers = [self._worker(config, pipeline, SIGN.join(group), broker) for group in self.groups]
        for group in self.groups:
            workers += [self._worker(config, pipeline, name, broker) for name in group[1:]]  # for what is put back
        broker.put([Frontier(config.settings.frontier, SharedNotes(broker)).seed(site.url)])
        threads = [threading.Thread(target=worker.run) for worker in workers]
        for thread in threads:
            thread.start()
        stop = threading.Event()
        for _ in range(int(PATIENCE / 0.05)):
            if is_drained := broker.drained():
                break
            stop.wait(0.05)
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join(PATIENCE)
        self.counters.update(broker.stats().counters)
        self.dead = broker.dead()
        broker.close()
        assert is_drained

    @staticmethod
    def _worker(config: Config, pipeline: Pipeline, name: str, broker: Any) -> Any:
        spec, shared = stage.choose(pipeline, name), SharedNotes(broker)
        keepers = making.keepers(config, pipeline, spec, shared)
        if SIGN in name:
            made: Stage = making.make_chain(config, pipeline, spec, shared, keepers)
        else:
            made = making.make(config, spec, shared)
        who = f"{name}@here:1:x"
        return making.wire(
            config, pipeline, spec, made, keepers, shared, broker, broker, who, Tally(), lambda: None, spec.concurrency or 0
        )  # fmt: skip


def crawled(example: Example, site: Site, folder: Path, *, is_chained: bool) -> tuple[Crawl, list[dict[str, Any]], list[str]]:
    """The crawl, its rows, and what the example's stage was called with."""
    output = folder / f"{is_chained}.jsonl"
    data = folder / f"data-{is_chained}"
    sets = [f"stages.store.output='{output}'", f"data='{data}'", "frontier.delay=0"]
    config = load(folder / "crawler.toml", sets, {})
    calls: list[str] = []
    undo = count_calls(example.use, calls) if example.use else lambda: None
    try:
        crawl = Crawl(config, site, is_chained=is_chained)
    finally:
        undo()
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    kept = [{key: value for key, value in row.items() if key not in VARIES} for row in rows]
    return crawl, sorted(kept, key=lambda row: json.dumps(row, sort_keys=True)), sorted(calls)


def count_calls(use: str, calls: list[str]) -> Any:
    kind: Any = plugins.find(use)
    process = kind.process

    @functools.wraps(process)
    def counted(self: Any, item: Any) -> Any:
        calls.append(f"{type(item).__name__} {item['url'] if isinstance(item, dict) else item.url}")
        return process(self, item)

    kind.process = counted
    return functools.partial(setattr, kind, "process", process)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(PAGES) as site:
        yield site


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == tmp_path:
            del sys.modules[name]


EXAMPLES = list(of_readme())


@pytest.mark.slow  # two crawls each
@pytest.mark.parametrize("example", [*EXAMPLES, None], ids=[*(each.name for each in EXAMPLES), "scaffold"])
def test_an_example_does_the_same_chained_and_unchained(example: Example | None, site: Site, folder: Path) -> None:
    example = example or of_scaffold(folder)
    if example.use:
        (folder / f"{example.use.partition(':')[0]}.py").write_text(example.code, "utf-8")
    (folder / "crawler.toml").write_text(example.toml, "utf-8")

    chained, rows, calls = crawled(example, site, folder, is_chained=True)
    apart, rows_apart, calls_apart = crawled(example, site, folder, is_chained=False)

    assert len(chained.groups[0]) == len(apart.groups) - 1  # all but store
    assert rows == rows_apart
    assert rows
    assert calls == calls_apart
    assert bool(calls) == bool(example.use)
    for crawl in (chained, apart):
        assert not [name for name in crawl.counters if name.endswith(("put back", "failed"))]
        assert crawl.dead == []


def test_readme_has_the_examples_that_are_run_here() -> None:
    assert len([each for each in EXAMPLES if each.use]) >= 1
    assert len([each for each in EXAMPLES if not each.use]) >= 1
