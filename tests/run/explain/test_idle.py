"""Why a crawl is idle, as a table: what the hub counts, and the sentence a person reads."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec import structs

from crawler.config.load import load
from crawler.items import HostStats, QueueStats, Stats, WorkerStats
from crawler.run.explain.idle import explainer, idle_reason, why_frontier_waits
from crawler.run.explain.waits import clock
from crawler.run.next_commands import PLAIN, hints


def queue(name: str, **more: Any) -> QueueStats:
    numbers = dict.fromkeys(("accepted", "ready", "delayed", "leased", "dead", "done", "bytes"), 0) | more
    is_frontier = name == "urls"
    return QueueStats(name, **{"keyed": is_frontier, "polite": is_frontier, "is_read": True, **numbers})


def host(name: str = "example.org", **more: Any) -> HostStats:
    return HostStats(name, **{"ready": 5, "leased": 0, "delay": 1.0, "rest": 0.0, "paused": False, **more})


def stats(*queues: QueueStats, hosts: tuple[HostStats, ...] = (), workers: tuple[WorkerStats, ...] = (), **more: Any) -> Stats:
    seen = Stats(1.0, 60.0, queues, workers, hosts, len(hosts), {}, is_drained=False)
    return structs.replace(seen, **more)


STORE = WorkerStats("store@here:6:ab", 3, 0.1, "records", "full/p.jsonl: No space left on device")
GONE = WorkerStats("fetch@here:5:ab", 1, 60.0, is_heard=False)
FETCH = WorkerStats("fetch@here:7:ab", 0, 0.1, "urls")
ENRICH = WorkerStats("enrich@here:9:cd", 1, 0.1, "parsed")
PARSE = WorkerStats("parse@here:8:ab", 0, 0.1, "pages")
READY = queue("urls", ready=5)
NAME = "exmaple.invalid: Name or service not known"
LATE = {"leased": 1, "longest": 95.0, "holder": "enrich@here:9:cd"}


def waiting(*hosts: HostStats, frontier: QueueStats = READY) -> Stats:
    return stats(frontier, hosts=hosts, workers=(FETCH,))


STOPPED = (WorkerStats("fetch+parse@here:9:cd", 2, 12.0, "urls"),)
LOOPS = "enrich has been at http://example.org/2 for 12 s (enrich.py:4 in process)"
SLOW = (WorkerStats("fetch+parse+enrich@here:9:cd", 1, 1.0, "urls", LOOPS),)


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        # back-off after failures
        (stats(queue("urls", delayed=1, due=4.2, failure=NAME)), f"1 URL waits to be tried again in 4 s: {NAME}"),
        (stats(queue("urls", delayed=12_000, due=0.3)), "12,000 URLs wait to be tried again within 1 s"),
        (stats(queue("urls"), queue("parsed", delayed=2, due=9.0, failure="KeyError: 'ttle'")),
         "2 tasks wait to be tried again in 9 s: KeyError: 'ttle'"),
        # our own politeness, and who else asked for a delay
        (waiting(host(rest=0.5)), "one request every 1 s to example.org (frontier.delay; lower it for a site of your own)"),
        (waiting(host(leased=1)), "one request every 1 s to example.org (frontier.delay"),
        (waiting(host("a", rest=0.5), host("b", leased=1)), "one request every 1 s to each of 2 hosts (frontier.delay"),
        (waiting(host(rest=8.0, delay=9.0)), "(frontier.delay; lower it for a site of your own); next at "),
        (waiting(host(rest=0.1, delay=0.2, delay_by="hand")),
         "one request every 0.2 s to example.org, as set by 'crawler host delay'"),
        (waiting(host(rest=0.1, delay=5.0, delay_by="table")),
         "one request every 5 s to example.org, as set in its table in [hosts]"),
        (stats(queue("urls", ready=5, spent="frontier.max_time = 60")), "urls waits: the limit frontier.max_time = 60 is reached"),
        (waiting(host(rest=5.0, delay=30.0, delay_by="host")),
         "robots.txt of example.org asks for 30 s between requests (Crawl-delay); next at "),
        # the pause after robots.txt, which the only URL there is waits for
        (waiting(host(ready=0, leased=1, delay=30.0, delay_by="host", held=29.0), frontier=queue("urls", leased=1, longest=5.0)),
         "robots.txt of example.org asks for 30 s between requests (Crawl-delay); next at "),
        (waiting(host(ready=0, leased=1, delay=5.0, held=4.0), frontier=queue("urls", leased=1)),
         "one request every 5 s to example.org (frontier.delay; lower it for a site of your own); next at "),
        (waiting(host(leased=1, delay=0.0, held=20.0)),
         "example.org: the pause after robots.txt (stages.fetch.pause_after_robots); next"),
        # hosts at rest
        (waiting(host(rest=8.0, failures=3, failure=NAME)), f", after 3 failures: {NAME}"),
        (waiting(host(rest=0.5, failures=1, failure=NAME)), "example.org rests until "),
        (waiting(host(rest=120.0, failures=1, failure="status 503, Retry-After 120 s")),
         "after 1 failure: status 503, Retry-After 120 s"),
        (waiting(host("a", rest=60.0), host("b", rest=90.0)), "2 hosts rest until "),
        # pauses
        (waiting(host(paused=True)), "example.org is paused; 'crawler host resume example.org --data d' goes on"),
        (waiting(host("a", paused=True), host("b", paused=True)),
         "2 hosts are paused; 'crawler host resume HOST --data d' goes on"),
        # several reasons, each with its own hosts
        (waiting(host("a", paused=True), host("b", rest=0.5)), "5 URLs: one request every 1 s to b (frontier.delay"),
        (waiting(host("b", ready=1, rest=60.0, failures=2, failure="status 429"), host("a", ready=490, paused=True)),
         "490 URLs: a is paused; 'crawler host resume a --data d' goes on · 1 URL: b rests until "),
        (waiting(host("a", rest=0.02, delay=0.05, delay_by="hand"), host("b", ready=9, rest=60.0, failures=1, failure="no")),
         "after 1 failure: no · 5 URLs: one request every 0.05 s to a, as set by 'crawler host delay'"),
        (waiting(host("a", paused=True), host("b", rest=60.0), host("c", rest=0.5), host("d", ready=2, leased=1, delay_by="host")),
         " · 2 URLs for other reasons"),
        # stages that are not connected
        (stats(queue("urls", done=9), queue("pages", ready=7), workers=(FETCH,)),
         "7 tasks wait on pages: no worker reads it; start 'crawler stage parse --data d'"),
        (stats(READY, hosts=(host(),), hosts_open=1),
         "5 URLs wait on urls: no worker reads it; start 'crawler stage fetch --data d'"),
        (stats(queue("parsed", ready=1), workers=(FETCH,)), "1 task waits on parsed: no worker reads it"),
        (stats(queue("pages", ready=1), workers=(structs.replace(PARSE, seen=90.0),)), "no worker reads it"),
        # a full queue, and why it is not emptied
        (stats(queue("pages", ready=3, full="records"), queue("records", ready=9), workers=(PARSE,)),
         "pages waits: records is full; 9 tasks wait on records: no worker reads it; start 'crawler stage store --data d'"),
        (stats(queue("pages", ready=3, full="parsed"), queue("parsed", ready=9, **LATE), workers=(ENRICH,)),
         "pages waits: parsed is full; 1 task of the queue parsed has been in process for 95 s in enrich"),
        # a stage that hangs
        (stats(queue("urls", done=3), queue("parsed", **LATE)),
         "1 task of the queue parsed has been in process for 95 s in enrich (worker enrich@here:9:cd)"),
        (stats(queue("urls", leased=1, longest=50.0, holder="fetch+parse@here:7:ab")),
         "1 URL of the queue urls has been in process for 50 s in fetch + parse"),
        (stats(queue("parsed", **LATE), workers=(WorkerStats("enrich@here:9:cd", 1, 60.0, is_heard=False),)),
         "1 task of the queue parsed is held by enrich@here:9:cd, which is gone; another worker gets it soon"),
        # a process that is stopped is no host that does not answer
        (structs.replace(waiting(host(leased=1, asked=18.0), frontier=queue("urls", leased=1, longest=18.0)), workers=STOPPED),
         "fetch + parse has given no sign of life for 12 s and holds 2 tasks"),
        (stats(queue("parsed", **LATE), workers=(structs.replace(ENRICH, seen=12.0),)),
         "enrich has given no sign of life for 12 s and holds 1 task"),
        # a stage that is at a page for long is no host that does not answer
        (structs.replace(waiting(host(leased=1, asked=18.0), frontier=queue("urls", leased=1, longest=18.0)), workers=SLOW), LOOPS),
        (stats(queue("urls", leased=1, longest=50.0, holder="fetch+parse@here:7:ab"), workers=SLOW), LOOPS),
        # a host that does not answer
        (waiting(host(ready=0, leased=1, asked=18.0), frontier=queue("urls", leased=1, longest=18.0)),
         "waiting for example.org to answer for 18 s"),
        (waiting(host(leased=1, delay=0.0, asked=4.0)), "waiting for example.org to answer for 4 s"),
        (waiting(host("a", leased=1, asked=4.0), host("b", paused=True)),
         "5 URLs: waiting for a to answer for 4 s · 5 URLs: b is paused; "),
        (waiting(host(leased=1, delay=0.0), host("b", leased=1, delay=0.0, asked=18.0)), "waiting for b to answer for 18 s"),
        # the disk goes before all
        (structs.replace(stats(queue("pages", ready=3, full="records")), is_short=True), "no room on the hub's disk"),
        (stats(queue("pages", ready=3, full="records"), workers=(STORE,)), "store waits for room: full/p.jsonl: No space left"),
        (stats(queue("urls", ready=3, leased=1), workers=(GONE,)), "3 URLs wait on urls: no worker reads it"),
    ],
)  # fmt: skip
def test_a_crawl_that_is_idle_says_why(seen: Stats, says: str) -> None:
    told = idle_reason(seen, hints(["--data", "d"]))

    assert says in told
    assert ("frontier.delay" in told) == ("frontier.delay" in says or says.endswith("other reasons"))  # blamed for nothing else
    assert told.count(" · ") <= 3


@pytest.mark.parametrize(
    "seen",
    [
        stats(queue("urls", done=9)),  # nothing is left
        stats(queue("pages", ready=3), workers=(PARSE,)),  # no frontier at all
        stats(queue("pages", ready=3), uptime=1.0),  # its stages are just starting
        stats(queue("pages", ready=3, leased=2)),  # somebody is at it
        stats(queue("result", ready=3, is_read=False)),  # what people take
        stats(READY, hosts=(host(), host("b", rest=1.0)), workers=(FETCH,), hosts_open=1),  # one host may be asked now
        stats(queue("urls", delayed=3, leased=1, longest=2.0), workers=(FETCH,)),  # a page is in process
        waiting(host(leased=1, delay=0.0)),  # without a delay it is not the delay
        waiting(host(leased=1, rest=0.4, delay=0.0, delay_by="hand")),  # nor if it is 0 by hand
        waiting(host(ready=0, leased=1, rest=0.9), frontier=queue("urls", leased=1)),  # the last page is being fetched
    ],
)
def test_a_crawl_that_is_busy_needs_no_reason(seen: Stats) -> None:
    assert idle_reason(seen) == ""


def test_a_hub_started_by_hand_has_ways_of_its_own_to_another_delay() -> None:
    hint = hints(["--hub", "a:9"])

    one = idle_reason(waiting(host(rest=0.5)), hint, is_by_hand=True)
    two = idle_reason(waiting(host("a", rest=0.5), host("b", rest=0.5)), hint, is_by_hand=True)

    assert one.endswith("(frontier.delay; 'crawler host delay example.org 0 --hub a:9' lowers it at once, "
                        "'crawler hub --delay 0 --address a:9' for all hosts, for a site of your own)")  # fmt: skip
    assert "'crawler host delay HOST 0 --hub a:9' lowers it at once" in two


def test_a_fetch_stage_says_what_its_own_queue_waits_for() -> None:
    seen = stats(READY, queue("records", ready=7), queue("task", delayed=1, due=9.0), hosts=(host(rest=0.5),), workers=(FETCH,))
    retried = stats(queue("task", delayed=1, due=90.0), queue("urls", delayed=2, due=4.0, failure=NAME), workers=(FETCH,))

    assert "no worker reads it" in idle_reason(seen)
    assert why_frontier_waits(seen).startswith("one request every 1 s to example.org")
    assert why_frontier_waits(retried) == f"2 URLs wait to be tried again in 4 s: {NAME}"


def test_a_stage_of_ones_own_is_named_where_nobody_reads_its_queue() -> None:
    seen = stats(queue("parsed", ready=1), workers=(FETCH,))

    assert "start 'crawler stage enrich'" in idle_reason(seen, readers={"parsed": "enrich"})


def test_a_long_reason_is_cut() -> None:
    assert len(idle_reason(stats(queue("urls", delayed=1, due=4.0, failure="x" * 500)))) < 250


def test_a_run_does_not_tell_a_person_to_start_what_it_starts_itself() -> None:
    seen = stats(queue("urls", ready=1))
    config = load(None, [], {})

    assert explainer(config, PLAIN)(seen) == "1 URL waits on urls: no worker reads it; start 'crawler stage fetch'"
    assert explainer(config, PLAIN, starts_stages=True)(seen) == "1 URL waits on urls: no worker reads it"


def test_a_time_that_is_named_is_never_over_before_it_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.9)

    assert clock(0.5) == time.strftime("%H:%M:%S", time.localtime(1_000_000_002))
