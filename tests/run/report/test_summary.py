"""What a person reads at the end of a crawl."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from crawler.items import QueueStats, Stats
from crawler.run.next_commands import hints
from crawler.run.report import totals as reporting
from crawler.run.report.given_up import Group
from crawler.run.report.outputs import Rows
from crawler.run.report.summary import summary


def queue(name: str, **counts: int) -> QueueStats:
    numbers = dict.fromkeys(("accepted", "ready", "delayed", "leased", "dead", "done", "bytes"), 0) | counts
    return QueueStats(name, **numbers, keyed=name == "urls", polite=name == "urls", is_read=name != "result")


def lines(*queues: QueueStats, **more: Any) -> list[str]:
    counters, rows = more.pop("counters", {}), more.pop("rows", {})
    stats = Stats(1.0, 2.0, queues, [], [], 0, counters, is_drained=True)
    facts = {"crawl": "c1", "beginning": "first", "reason": "finished", "elapsed": 4.0, "restarts": {}, "output": "pages.jsonl"}
    return summary(reporting.build(stats, rows=rows, **{**facts, **more}), rows, hints(["--data", "d"]))


def test_it_says_what_a_person_asks_next() -> None:
    left_over = structs.replace(queue("parsed", ready=2, leased=1), is_outside=True, is_read=False)

    said = lines(
        queue("urls", accepted=15, done=10, dead=2, delayed=3), left_over, reason="interrupted", restarts={"fetch": 2},
        counters={"fetch/status/200": 8, "fetch/status/404": 2}, not_taken=["1 seed was not taken"],
        rows={"old.jsonl": Rows(4, 4), "pages.jsonl": Rows(10, 1010), "none.jsonl": Rows(0)},
    )  # fmt: skip

    assert said == [
        "interrupted after 4.0 s: 10 pages, 2.5 a second (8 × 200, 2 × 404)",
        "4 rows in old.jsonl, 10 rows in pages.jsonl (1,010 in all)",
        "given up: 2 URLs; see 'crawler dead list --data d'",
        "1 seed was not taken",
        "left over: 3 tasks on queue parsed, which no stage reads: add the stage again and go on with "
        "'crawler run --change --data d', or drop them with 'crawler take parsed -n 3 --data d'",
        "started again: fetch (2×)",
        "left to do: 3 on urls; 'crawler run --data d' goes on",
    ]


def test_a_crawl_that_failed_goes_on_once_its_cause_is_corrected() -> None:
    said = lines(queue("urls", accepted=1, ready=1), reason="failed", failure="store gave up, see above")

    assert said == [
        "failed after 4.0 s (store gave up, see above): no page was fetched",
        "left to do: 1 on urls; 'crawler run --data d' goes on; if it fails again, "
        "'crawler run --change --data d' takes other settings, such as -o FILE",
    ]


def test_numbers_agree_with_their_nouns() -> None:
    rows = {"p.jsonl": Rows(1, 1)}

    said = lines(queue("urls", accepted=1, done=1), counters={"fetch/status/200": 1}, beginning="resumed", rows=rows)

    assert said[:2] == ["finished after 4.0 s: 1 page, 0.25 a second (1 × 200)", "1 row in p.jsonl"]


def test_of_a_resumed_crawl_the_pages_of_this_run_have_a_rate() -> None:
    frontier = queue("urls", accepted=501, done=501)

    said = lines(frontier, counters={"fetch/status/200": 501}, beginning="resumed", pages_before=5)

    assert said == ["finished after 4.0 s: 496 pages now, 124 a second, 501 in all (501 × 200)"]


NO_LINKS = "the only page has no links to follow (JavaScript is not run)"


@pytest.mark.parametrize(
    ("counters", "why"),
    [
        ({"fetch/status/200": 1, "fetch/bytes": 9}, NO_LINKS),
        ({"fetch/status/301": 2, "fetch/status/200": 1, "fetch/bytes": 9},
         f"{NO_LINKS}; a redirect led to it, perhaps to a login: see `location` in the other row"),
        ({"fetch/status/200": 1}, "the only page is empty"),
        ({"fetch/status/200": 1, "fetch/body/skipped": 1}, "the only page is of a type that is not read; see "
                                                           "stages.fetch.content_types"),
        ({"fetch/status/401": 1}, "the only page answers 401: it wants a password: write user:password@ before the host in the "
                                  "URL, or set stages.fetch.auth"),
        ({"fetch/status/403": 3}, "all 3 pages answer 403: the server refuses this crawler; stages.fetch.user_agent and "
                                  "stages.fetch.headers set what it says of itself"),
        ({"fetch/status/404": 1}, "the only page answers 404: look at the address"),
    ],
)  # fmt: skip
def test_why_a_crawl_is_so_small_is_told_in_one_sentence(counters: dict[str, int], why: str) -> None:
    assert lines(queue("urls", accepted=3, done=3), counters=counters)[1:] == [why]


def test_what_other_lines_explain_is_not_told_twice() -> None:
    one = {"fetch/status/200": 1, "fetch/bytes": 9}
    (_, links) = lines(queue("urls", accepted=1, done=1), counters={**one, "parse/skipped/out of scope": 5})
    (_, left) = lines(queue("urls", accepted=2, done=1, ready=1), counters=one, reason="interrupted")

    assert links.startswith("links not followed: 5 ")
    assert left.startswith("left to do: ")


def test_what_was_given_up_is_told_by_reason_with_examples() -> None:
    groups = [
        Group("connection refused", 10_000, ["http://a.example/", "http://b.example/", "http://c.example/"]),
        Group("name not found", 1, ["http://exmaple.invalid/"]),
        *(Group(f"status 5{n}", 1, [f"http://s{n}.example/"]) for n in range(10, 14)),
    ]

    frontier = queue("urls", accepted=20_000, done=9_995, dead=10_005)

    (_, said) = lines(frontier, counters={"fetch/status/200": 9_995}, given_up=groups)

    assert said == (
        "given up: 10,005 URLs: connection refused (10,000): http://a.example/, http://b.example/, http://c.example/, …; "
        "name not found (1): http://exmaple.invalid/; status 510 (1): http://s10.example/; status 511 (1): http://s11.example/; "
        "other reasons (2); see 'crawler dead list --data d'"
    )


def test_links_urls_and_pages_are_counted_as_what_they_are() -> None:
    counters = {
        "fetch/status/200": 9, "parse/skipped/out of scope": 6_000, "fetch/skipped/out of scope": 2, "parse/skipped/too deep": 7,
        "fetch/skipped/robots": 1, "fetch/dropped": 3, "fetch/skipped/private address": 2, "parse/skipped/noindex": 1,
    }  # fmt: skip

    assert lines(queue("urls", accepted=9, done=9), counters=counters)[1:] == [
        "not fetched: 2 URLs at private addresses, 1 URL forbidden by robots.txt",
        "not recorded: 1 page with noindex",
        "links not followed: 6,002 out of scope, 7 too deep",
    ]


def test_what_a_stage_of_ones_own_dropped_is_told_with_its_reasons() -> None:
    counters = {
        "fetch/status/200": 60, "enrich/dropped": 6, "enrich+tidy/dropped": 2, "enrich/dropped/no title": 5, "tidy/dropped": 1_000,
        "fetch+parse/dropped": 3,
    }  # fmt: skip

    assert lines(queue("urls", accepted=60, done=60), counters=counters)[1:] == [
        "8 dropped by enrich: no title (5)",
        "1,000 dropped by tidy",
    ]


@pytest.mark.parametrize(
    ("frontier", "counters", "why"),
    [
        ({"accepted": 1, "dead": 1}, {}, "; the only URL was given up"),
        ({"accepted": 3, "dead": 3}, {}, "; all 3 URLs were given up"),
        ({"accepted": 1, "done": 1}, {"fetch/skipped/robots": 1}, "; robots.txt forbids the only URL"),
        ({"accepted": 2, "done": 2}, {"fetch/skipped/private address": 2}, "; all 2 URLs are at private addresses"),
        ({"accepted": 3, "done": 2, "dead": 1}, {"fetch/skipped/robots": 2}, "; of 3 URLs: 2 forbidden by robots.txt, 1 given up"),
        ({"accepted": 1, "ready": 1}, {}, "no page was fetched"),  # interrupted: what is left says it
    ],
)
def test_a_run_without_a_page_says_why_in_one_sentence(frontier: dict[str, int], counters: dict[str, int], why: str) -> None:
    first = lines(queue("urls", **frontier), counters=counters)[0]

    assert first.startswith("finished after 4.0 s: no page was fetched")
    assert why in first


@pytest.mark.parametrize(
    ("option", "shown"), [("d", "d"), ("my data", '"my data"'), ("it's", '"it\'s"'), ("a$b", "'a$b'"), ("", '""')]
)
def test_options_in_hints_are_quoted_for_a_shell(option: str, shown: str) -> None:
    assert hints(["--data", option])("dead list") == f"crawler dead list --data {shown}"


def test_a_stage_that_gave_nothing_is_named_where_no_row_was_stored() -> None:
    counters = {"fetch/status/200": 4, "enrich/gave nothing": 4}

    said = lines(queue("urls", accepted=4, done=4), counters=counters, rows={"p.jsonl": Rows(0)})

    assert said[1:] == ["0 rows in p.jsonl; enrich gave nothing for 4 items: does it return or yield them?"]
