from __future__ import annotations

import os

import pytest
from msgspec import structs

from crawler.items import QueueStats, Stats, Stepped, Verdict
from crawler.run.explain.idle import idle_reason
from crawler.run.processes.progress import Sum, Talk, in_words, telling, why_idle, why_unended
from crawler.wording.lines import COUNTS
from crawler.worker.tally import Tally


def queue(name: str, full: str = "", **counts: int) -> QueueStats:
    numbers = dict.fromkeys(("accepted", "ready", "delayed", "leased", "dead", "done", "bytes"), 0) | counts
    return QueueStats(name, **numbers, keyed=name == "urls", polite=name == "urls", is_read=True, full=full)


def stats(*queues: QueueStats) -> Stats:
    return Stats(1.0, 2.0, queues, [], (), 0, {}, is_drained=False)


def answered(*verdicts: Verdict) -> Stepped:
    return Stepped(verdicts=verdicts)


def test_a_line_has_what_was_done_how_fast_what_failed_and_why_nothing_is_done_now():
    tally = Tally()
    talk = Talk("parse", tally, lambda: "no tasks on pages", every=10.0)

    tally.see(answered(*[Verdict.DONE] * 120, Verdict.RETRY, Verdict.DEAD, Verdict.RELEASED, Verdict.STALE), held=3)
    first = talk.line()
    tally.see(answered(), held=0)
    second = talk.line()

    assert first == "parse: 120 done (12.0/s), 2 failed"
    assert second == "parse: 120 done (0.0/s), 2 failed; nothing to do: no tasks on pages"


def test_workers_that_have_nothing_to_do_say_so_once_for_each_reason():
    tally, reasons = Tally(), iter(["no tasks on pages"] * 3 + ["records is full"] * 2 + ["no tasks on pages"] * 2)
    talk = Talk("parse", tally, lambda: next(reasons), every=10.0)
    tally.see(answered(), held=0)

    said = [talk.news() for _ in range(7)]

    assert [line.rpartition("; nothing to do: ")[2] for line in said] == [
        "no tasks on pages",
        "",
        "",
        "records is full",
        "",
        "no tasks on pages",
        "",
    ]
    tally.see(answered(Verdict.DONE), held=1)
    assert [talk.news(), talk.news()] == ["parse: 1 done (0.1/s)", "parse: 1 done (0.0/s)"]  # at work: also if one takes long


def test_workers_in_other_processes_are_summed_up_and_what_is_no_count_is_nobody_s():
    tally, total = Tally(), Sum("parse")
    tally.see(answered(Verdict.DONE, Verdict.RETRY), held=1)

    total.report("parse 1", in_words(tally))
    total.report("parse 2", "4 0 1")
    total.report("parse 2", "5 0 1")
    total.report("parse 3", "many few none")

    assert (total.done, total.failed, total.is_idle) == (6, 1, False)


def test_counts_are_told_when_they_change_and_at_the_end():
    tally = Tally()
    reading, writing = os.pipe()

    with telling(tally, writing, every=60.0):
        tally.see(answered(Verdict.DONE), held=0)

    os.close(writing)
    with os.fdopen(reading) as told:
        assert told.read() == f"{COUNTS}1 0 1\n"


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (queue("pages"), "no tasks on pages"),
        (queue("pages", ready=1), ""),
        (queue("pages", delayed=1), "1 task on pages waits to be tried again"),
        (queue("pages", delayed=2), "2 tasks on pages wait to be tried again"),
        (queue("pages", ready=9, full="records"), "pages waits, because records is full"),
        (queue("other"), ""),
    ],
)
def test_a_stage_that_is_idle_says_why(seen, reason):
    assert why_idle(stats(seen), "pages", lambda _: "") == reason


def test_of_a_frontier_the_reason_is_that_of_its_hosts():
    assert why_idle(stats(queue("urls", ready=9)), "urls", lambda _: "the host rests") == "the host rests"


@pytest.mark.parametrize(
    ("queues", "why", "says"),
    [
        ([queue("urls", ready=2), queue("pages")], "no tasks on pages",
         "no tasks on pages; before this stage can end, 2 URLs wait on urls: no worker reads it; start 'crawler stage fetch' ("),
        ([queue("urls", delayed=1), queue("pages")], "no tasks on pages",
         "no tasks on pages; before this stage can end, 1 URL waits to be tried again within 1 s (Ctrl-C ends it now; "),
        ([queue("urls", leased=1), queue("pages")], "no tasks on pages", "before this stage can end, 1 task is left on urls ("),
        ([queue("urls", leased=2), queue("pages", ready=1)], "", "before this stage can end, 1 task waits on pages: no worker"),
        ([queue("urls"), queue("pages", delayed=1)], "1 task waits to be tried again within 1 s",
         "before this stage can end, 1 task waits to be tried again within 1 s ("),
        ([queue("urls"), queue("pages")], "no tasks on pages", "no tasks on pages"),
        ([queue("urls"), queue("pages"), queue("task", ready=9)], "no tasks on pages", "no tasks on pages"),
    ],
)  # fmt: skip
def test_a_stage_that_cannot_end_yet_says_what_is_in_the_way(queues: list[QueueStats], why: str, says: str) -> None:
    seen = structs.replace(stats(*queues), uptime=60.0)

    told = why_unended(seen, "pages", ["urls", "pages"], why, idle_reason)

    assert says in told
    assert told.startswith(says if why and says.startswith(why) else "before" if not why or why in says else why)


def test_while_the_hub_is_gone_the_line_says_so_and_the_hub_is_not_asked() -> None:
    def ask() -> str:
        raise AssertionError("asked")

    talk = Talk("parse", Tally(), ask, trouble=lambda: "the hub at 127.0.0.1:8000 has been gone for 12 s")

    assert talk.line() == "parse: 0 done (0.0/s); the hub at 127.0.0.1:8000 has been gone for 12 s"


def test_what_a_process_did_counts_after_it_has_died_and_was_started_again() -> None:
    total = Sum("parse")
    for worker, text in (("a", "200 1 0"), ("b", "191 0 0"), ("a", "3 0 0"), ("a", "66 0 0")):
        total.report(worker, text)

    assert (total.done, total.failed) == (200 + 66 + 191, 1)
