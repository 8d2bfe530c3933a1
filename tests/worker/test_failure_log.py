"""Which failures of a stage are warnings: some of each kind, so that a mistake met on every page does not fill the screen."""

from __future__ import annotations

import logging

import pytest

from crawler import GiveUp, Stage
from crawler.broker.contract import QueueSpec
from crawler.worker.failure_log import KINDS, TOLD, FailureLog
from tests.workshop import Watched, workers


class Broken(Stage):
    def process(self, number: int) -> int:
        raise ValueError(f"{number} is not to my taste")


def raised(kind: type[Exception], text: str) -> Exception:
    with pytest.raises(kind) as caught:
        _raise(kind(text))
    return caught.value


def _raise(error: Exception) -> None:
    raise error


def test_some_failures_of_a_kind_are_warnings_and_the_last_of_them_says_so() -> None:
    log = FailureLog()

    told = [log.level(raised(KeyError, f"item {n}")) for n in range(TOLD + 3)]

    assert [level for level, _ in told] == [logging.WARNING] * TOLD + [logging.INFO] * 3
    assert [n for n, (_, rest) in enumerate(told) if rest] == [TOLD - 1]


def test_another_exception_another_place_and_another_end_are_other_kinds() -> None:
    log = FailureLog()
    for _ in range(TOLD):
        log.level(raised(KeyError, "x"))

    assert log.level(raised(ValueError, "x"))[0] == logging.WARNING
    assert log.level(raised(KeyError, "x"), "the last")[0] == logging.WARNING
    with pytest.raises(KeyError) as elsewhere:
        {}["elsewhere"]
    assert log.level(elsewhere.value)[0] == logging.WARNING
    assert log.level(raised(KeyError, "x"))[0] == logging.INFO


def test_what_a_stage_gives_up_is_one_kind_and_kinds_are_bounded() -> None:
    log = FailureLog()
    for n in range(TOLD):
        log.level(GiveUp(f"too big: {n} bytes"))
    assert log.level(GiveUp("another reason"))[0] == logging.INFO

    for n in range(KINDS):
        log.level(KeyError(n), f"kind {n}")
    assert log.level(KeyError(0), "one kind more")[0] == logging.INFO


@pytest.mark.slow
def test_a_stage_that_fails_at_every_item_is_told_of_a_few(caplog: pytest.LogCaptureFixture) -> None:
    broker = Watched([QueueSpec("in", is_read=True, max_attempts=1), QueueSpec("out")])
    broker.fill("in", *range(4 * TOLD))
    with workers(broker) as work:
        work(Broken())
        broker.wait_until(lambda: broker.counts("in").dead == 4 * TOLD)

    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == TOLD
    assert "it failed at 0 (attempt 1, the last): ValueError: 0 is not to my taste at" in warnings[0]
    assert warnings[-1].endswith("shown with -v")
