"""A crawl that reaches a limit of its own ends in order, says so, and goes on with a higher one."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import FAST, Shell
from tests.site import Site, generated

pytestmark = pytest.mark.slow


def test_a_crawl_stops_when_it_has_received_enough_and_goes_on_with_a_higher_limit(shell: Shell) -> None:
    with Site(generated(200, seed=3)) as site:
        done = shell.run("run", site.url, *FAST, "--max-total-bytes", "20000", "-o", "p.jsonl")

        assert done.returncode == 0, done.stderr
        report = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
        assert (report["reason"], report["limit"]) == ("stopped", "frontier.max_total_bytes = 20000")
        assert "stopped by frontier.max_total_bytes = 20000 after" in done.stderr
        assert "'crawler run -s frontier.max_total_bytes=N --change' goes on with a higher limit" in done.stderr
        assert report["counters"]["fetch/bytes"] >= 20_000
        assert len(shell.rows("p.jsonl")) == report["pages"] < 200, "what was fetched is stored"

        again = shell.run("run")
        assert again.returncode == 2
        assert "has reached its limit frontier.max_total_bytes = 20000" in again.stderr
        assert "crawler run -s frontier.max_total_bytes=N --change" in again.stderr

        for more, kept in (
            (["--max-time", "60"], " --max-time 60"),
            (["-s", "frontier.max_total_bytes=15000"], " -s frontier.max_total_bytes=15000"),
            (["--max-total-bytes", "15000"], ""),
        ):
            other = shell.run("run", site.url, *more)
            assert other.returncode == 2
            assert "it has reached its limit frontier.max_total_bytes = 20000" in other.stderr
            assert "resume unchanged" not in other.stderr, "it would be refused"
            assert "with the change" not in other.stderr, "so would this"
            assert f"and a new limit:   crawler run {site.url}{kept} --max-total-bytes N --change\n" in other.stderr
        higher = shell.run("run", site.url, "-s", "frontier.max_total_bytes=900000")
        assert "with the change:   crawler run" in higher.stderr
        assert "resume unchanged" not in higher.stderr

        raised = shell.run("run", site.url, "-s", "frontier.max_total_bytes=15000", "--max-total-bytes", "40000", "--change")
        assert raised.returncode == 0, "the hint, as it is printed"

        rest = shell.run("run", "-s", "frontier.max_total_bytes=0", "--change")
        assert rest.returncode == 0, rest.stderr
        assert len(shell.rows("p.jsonl")) == 200
        assert sum(n for path, n in site.counts.items() if path != "/robots.txt") == 200


@pytest.mark.parametrize("more", [(), ("--debug",)])
def test_a_crawl_stops_when_its_time_is_up(shell: Shell, more: tuple[str, ...]) -> None:
    with Site(generated(200, seed=3)) as site:
        done = shell.run("run", site.url, "--delay", "0.2", "--max-time", "1", "-o", "p.jsonl", *more)

        assert done.returncode == 0, done.stderr
        assert "stopped by frontier.max_time = 1 after" in done.stderr
        assert 0 < len(shell.rows("p.jsonl")) < 200
