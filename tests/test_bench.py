"""The bench itself: its sites are the same each time, its servers serve, its figures are there. How good they are is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from bench import hub, serve, sites, walk
from bench.crawl import CrawlFailed, Line, Site, check

ORIGIN = walk.ROOT.rstrip("/")


def test_a_site_is_the_same_each_time() -> None:
    once = dict(sites.generate(sites.SMALL, ORIGIN, 40))

    assert dict(sites.generate(sites.SMALL, ORIGIN, 40)) == once
    assert dict(sites.generate(sites.SMALL, ORIGIN, 40, seed=1)) != once


@pytest.mark.parametrize("shape", [sites.SMALL, sites.LARGE], ids=lambda shape: shape.name)
def test_every_page_of_a_site_can_be_reached_and_has_its_size_and_links(shape: sites.Shape, tmp_path: Path) -> None:
    written = sites.write(shape, tmp_path, ORIGIN, 30)

    assert len(written) == 30
    assert walk.html_paths(tmp_path) == written
    for path in written:
        text = walk.file_of(tmp_path, path).read_text("ascii")
        assert abs(len(text) - shape.size) < 1000
        assert text.count("<a ") == shape.links


def test_the_own_server_serves_a_directory(tmp_path: Path) -> None:
    sites.write(sites.SMALL, tmp_path, ORIGIN, 5)

    with serve.serving(tmp_path, None) as server:
        with urlopen(f"{server.origin}/section-1/page-1.html") as reply:
            body, kind = reply.read(), reply.headers["Content-Type"]
        rate = serve.capacity(server, sites.paths(5), seconds=0.05)

    assert body == (tmp_path / "section-1/page-1.html").read_bytes()
    assert kind == "text/html; charset=utf-8"
    assert rate > 0


def test_a_crawl_that_is_not_complete_has_no_figures() -> None:
    site = Site("small", serve.Server("own", ORIGIN, 80, 0), frozenset({"/", "/a", "/b"}), 1)
    lines = [Line(f"{ORIGIN}{path}", 200, "text/html", "2026-01-01T00:00:00+00:00") for path in ("/", "/a")]

    with pytest.raises(CrawlFailed, match=r"small \(3 pages\) has 1 missing: /b"):
        check(site, lines)
    with pytest.raises(CrawlFailed, match="has 1 more than once: http://tree/a"):
        check(site, [*lines, lines[1]])


@pytest.mark.slow
def test_tasks_are_moved_through_a_real_hub_and_a_manager() -> None:
    through_hub, through_manager = hub.measure_hub(64, 200, []), hub.measure_manager(50)

    assert (through_hub.tasks, through_manager.tasks) == (200, 50)
    assert through_hub.per_second > 0
    assert through_manager.per_second > 0


@pytest.mark.slow
def test_a_bench_of_a_small_crawl_prints_its_figures_and_writes_them(tmp_path: Path) -> None:
    command = "bench crawl --site small --pages 20 --runs 1 --json figures.json -s stages.fetch.pause_after_robots=0 --data data"

    said = subprocess.run([sys.executable, "-m", "crawler", *command.split()], cwd=tmp_path, capture_output=True, text=True)

    assert said.returncode == 0, said.stderr
    assert "crawl of small: 20 pages" in said.stdout
    (figures,) = json.loads((tmp_path / "figures.json").read_text("utf-8"))["crawl"]
    assert figures["pages"] == 20
    assert {"run", "hub", "fetch", "parse", "store", "rest"} == figures["cpu_by_name"].keys()
    assert list((tmp_path / "data").iterdir()) == []
