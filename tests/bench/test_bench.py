"""The bench itself: its sites are the same each time, its servers serve, its figures are there. How good they are is not tested."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import msgspec
import pytest

from crawler.errors import UsageError
from crawler_bench import crawl, frontier, hub, processes, serve, sites, steps, streams, table, walk
from crawler_bench.crawl import Crawler, CrawlFailed, Line, Site, check
from crawler_bench.peers import known, shape, turns

ORIGIN = walk.ROOT.rstrip("/")


def test_a_site_is_the_same_each_time() -> None:
    once = dict(sites.generate(sites.SMALL, ORIGIN, 40))

    assert dict(sites.generate(sites.SMALL, ORIGIN, 40)) == once
    assert dict(sites.generate(sites.SMALL, ORIGIN, 40, seed=1)) != once


@pytest.mark.slow
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


def test_peers_follow_each_link_of_their_host_once() -> None:
    links = shape.Links(f"{ORIGIN}/")

    first = links.new(f"{ORIGIN}/", ["a", "/a#part", f"{ORIGIN}/b/c?d", "http://else/e", "mailto:f", "http://[", "", "#g", "?h"])
    second = links.new(f"{ORIGIN}/b/c?d", ["a", "../a", "?h", "/a#part"])
    third = links.new(f"{ORIGIN}/b/d", ["a", "?h"])

    assert sorted(first) == [f"{ORIGIN}/?h", f"{ORIGIN}/a", f"{ORIGIN}/b/c?d"]
    assert sorted(second) == [f"{ORIGIN}/b/a", f"{ORIGIN}/b/c?h"]
    assert third == [f"{ORIGIN}/b/d?h"]


def test_a_peer_that_nobody_knows_or_has_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known.PEERS, "absent", known.Peer("absent", "absent", "", ("no_such_module",)))

    with pytest.raises(UsageError, match="--peers scrappy is none there is a script for; expected all, or of bare-loop"):
        known.crawlers("scrappy", [])
    with pytest.raises(UsageError, match="--peers absent is not installed; pip install"):
        known.crawlers("bare-loop,absent", [])
    assert "absent" in known.missing()


def test_a_frontier_is_measured_at_each_power_of_ten_and_at_its_end() -> None:
    assert frontier.sizes(10_000) == [10_000]
    assert frontier.sizes(3_000_000) == [10_000, 100_000, 1_000_000, 3_000_000]
    assert frontier.sizes(500) == [500]


def test_urls_of_a_frontier_come_by_page_or_each_from_elsewhere() -> None:
    def changes(make: Callable[[int], str]) -> int:
        hosts = [make(number).split("/")[2] for number in range(10**6, 10**6 + 10 * frontier.PAGE)]
        return sum(one != other for one, other in itertools.pairwise(hosts))

    assert {len(make(number)) for make in (frontier.url, frontier.scattered) for number in (0, 10**4, 10**7)} == {61}
    assert (changes(frontier.url), changes(frontier.scattered)) == (9, 10 * frontier.PAGE - 1)
    assert frontier.url(7) != frontier.scattered(7)


def test_without_redis_or_a_server_of_it_the_bench_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "find_spec", lambda _: None)
    no_package = streams.missing()
    monkeypatch.setattr(streams, "find_spec", lambda name: None if name == streams.BUNDLE else object())
    monkeypatch.setenv("PATH", "")
    no_server = streams.missing()

    assert no_package == "Redis streams, for want of the Python package redis"
    assert no_server == "Redis streams, for want of a redis-server"


@pytest.mark.parametrize(("comm", "name"), [("crawler:hub", "hub"), ("crawler:fetch+parse", "fetch+parse"), ("python3", "store")])
def test_a_process_is_known_by_what_it_calls_itself_or_else_by_its_command_line(comm: str, name: str) -> None:
    with started(f"open('/proc/self/comm', 'w').write({comm!r})", "-m", "crawler", "stage", "store") as process:
        tree = processes.Tree(process.pid)
        tree.look()

    assert tree.by_name(cpu=0.0).keys() == {name, "rest"}


def test_memory_that_forked_processes_share_is_counted_once() -> None:
    with started("import os, sys; print(flush=True); sys.stdin.readline(); shared = b'x' * (64 << 20); os.fork()") as process:
        tree = processes.Tree(process.pid)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        for _ in ("parent", "child"):
            process.stdout.readline()
        tree.look()

    assert tree.peak.rss > 128 << 20
    assert 64 << 20 < tree.peak.pss < 96 << 20


@contextmanager
def started(code: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that has run this, and all it forked, until the block ends. more: of its command line."""
    command = [sys.executable, "-c", f"{code}; print(flush=True); import sys; sys.stdin.read()", *more]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.parametrize("peer", known.PEERS.values(), ids=known.PEERS)
def test_a_peer_brings_every_page_home(peer: known.Peer) -> None:
    if not peer.is_installed:
        pytest.skip(f"{peer.name} is not installed; {known.INSTALL}")

    with crawl.served("small", 60, None) as site:
        figures = crawl.crawl(site, peer.crawler())

    assert figures.pages == 60
    assert 0 < figures.first < figures.seconds


@pytest.mark.slow
def test_a_peer_that_misses_a_page_has_no_figures_and_is_not_asked_again() -> None:
    line = '{"url": "%s", "status": 200, "content_type": "text/html", "fetched_at": "2026-01-01T00:00:00Z"}'
    lazy = Crawler("lazy", lambda url: ["sh", "-c", f"echo '{line % url}' > {crawl.OUTPUT}"])
    broken = Crawler("broken", lambda _: ["sh", "-c", "echo sorry; exit 3"])
    silent = Crawler("silent", lambda _: ["true"])
    loop = known.PEERS["bare-loop"].crawler()

    with crawl.served("small", 20, None) as site:
        compared = turns.bench(site, loop, [lazy, loop, broken, silent], runs=2)

    ours, missed, same, failed, mute = compared.entries
    assert (len(ours.runs), len(same.runs)) == (2, 2)
    assert missed.failed.startswith("the crawl of small (20 pages) has 19 missing: /section-")
    assert failed.failed == "broken ended with exit code 3, not 0; its last lines:\nsorry"
    assert mute.failed.startswith("silent wrote no lines that can be read: ")
    assert not missed.runs
    assert set(ours.ratios.values()) == {1.0}
    said = table.peers(compared)
    assert "lazy has no figures: the crawl of small (20 pages) has 19 missing" in said


@pytest.mark.slow
def test_tasks_are_moved_through_a_real_hub_and_a_manager() -> None:
    through_hub, through_manager = hub.measure_hub(64, 200, []), hub.measure_manager(50)

    assert (through_hub.tasks, through_manager.tasks) == (200, 50)
    assert through_hub.per_second > 0
    assert through_manager.per_second > 0


@pytest.mark.slow
def test_tasks_are_moved_through_redis_streams() -> None:
    if missing := streams.missing():
        pytest.skip(missing)

    through_streams = streams.measure(64, 200)

    assert through_streams.tasks == 200
    assert through_streams.what.startswith("Redis ")
    assert through_streams.per_second > 0


@pytest.mark.slow
def test_one_frontier_grows_from_size_to_size_in_a_real_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontier, "FIRST", 100)

    small, large = frontier.measure([], 1000)

    assert (small.urls, large.urls) == (100, 1000)
    assert (small.put.ratio, small.lease.cpu_ratio) == (1.0, 1.0)
    for figures in (small, large):
        costs = (figures.put, figures.scattered, figures.duplicate, figures.lease, figures.complete)
        assert min(cost.per_second for cost in costs) > 0
    assert large.peak_rss >= small.peak_rss > 0
    assert "complete" in table.frontier([small, large])


@pytest.mark.slow
def test_a_page_is_taken_apart_by_step_and_every_page_has_to_come_home() -> None:
    config = steps.configured(None, [])

    with crawl.served("small", 30, None) as site:
        figures = steps.bench(site, config, runs=1)
        with pytest.raises(CrawlFailed, match="by step has 30 pages, not 31"):
            steps.bench(msgspec.structs.replace(site, paths=site.paths | {"/none"}), config, runs=1)

    assert figures.pages == 30
    assert tuple(figures.cpu) == steps.STEPS
    assert min(figures.cpu.values()) > 0


@pytest.mark.slow
def test_a_bench_of_a_frontier_is_all_json_when_asked(tmp_path: Path) -> None:
    said = run("bench frontier --urls 500 --runs 1 --json -", tmp_path)

    report = json.loads(said)
    assert [one["urls"] for one in report["frontier"]] == [500]
    assert not report["hub"] + report["crawl"]


@pytest.mark.slow
def test_a_bench_of_a_small_crawl_prints_its_figures_and_writes_them(tmp_path: Path) -> None:
    command = "bench crawl --site small --pages 20 --runs 1 --json figures.json --data data --peers bare-loop"
    for_a_second = "-s stages.fetch.pause_after_robots=0 -s frontier.delay=0.05"  # each process is seen at its work

    said = run(f"{command} {for_a_second}", tmp_path)

    assert "crawl of small: 20 pages" in said
    assert "by step, in one process over 20 pages" in said
    assert "peers on small" in said
    report = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    (figures,) = report["crawl"]
    assert figures["pages"] == 20
    assert {"run", "hub", "fetch+parse", "store", "rest"} == figures["cpu_by_name"].keys()
    assert 0 < figures["peak_pss"] < figures["peak_rss"]
    assert [one["pages"] for one in report["steps"]] == [20]
    (compared,) = report["peers"]
    assert [entry["crawler"] for entry in compared["entries"]] == ["crawler", "crawler with requests", "bare-loop"]
    assert [len(entry["runs"]) for entry in compared["entries"]] == [1, 1, 1]
    assert compared["entries"][2]["ratios"].keys() >= {"per_second", "per_second_running", "cpu"}
    assert list((tmp_path / "data").iterdir()) == []


def run(command: str, here: Path) -> str:
    said = subprocess.run([sys.executable, "-m", "crawler", *command.split()], cwd=here, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    return said.stdout
