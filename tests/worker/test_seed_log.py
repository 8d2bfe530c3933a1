from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from crawler import Drop, Retry, Visit
from crawler.items import Lease
from crawler.worker.seed_log import TOLD, SeedLog

REASON = "exmaple.invalid: Name or service not known"


def lease(host: str = "exmaple.invalid", attempt: int = 1, most: int = 5) -> Lease:
    return Lease(1, 1, attempt, "urls", b"", None, host, 0, attempt == most, most - attempt)


def seed(host: str = "exmaple.invalid") -> Visit:
    return Visit(f"http://{host}/", is_seed=True)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Any:
    with caplog.at_level(logging.DEBUG, "crawler.worker"):
        yield lambda: [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_the_first_failure_of_a_seeds_host_and_its_end_are_warnings(warnings: Any) -> None:
    told = SeedLog()

    for attempt in range(1, 6):
        told.retried(lease(attempt=attempt), seed(), Retry(REASON))

    assert warnings() == [
        f"http://exmaple.invalid/: {REASON}; will be tried up to 4 more times",
        f"given up after 5 attempts: http://exmaple.invalid/: {REASON}",
    ]


@pytest.mark.parametrize(
    ("retry", "again"),
    [
        (Retry("status 503, Retry-After 120 s", after=120.0, rest=120.0), "will be tried up to 4 more times, next in 120 s"),
        (Retry("refused", rest=0.7), "will be tried up to 4 more times"),
    ],
)
def test_a_wait_that_is_known_is_told(warnings: Any, retry: Retry, again: str) -> None:
    SeedLog().retried(lease(), seed(), retry)

    assert warnings()[0].endswith(again)


def test_one_attempt_left_is_one_time(warnings: Any) -> None:
    SeedLog().retried(lease(most=2), seed(), Retry(REASON))

    assert warnings()[0].endswith("will be tried up to 1 more time")


def test_what_a_page_links_to_is_no_warning(warnings: Any, caplog: pytest.LogCaptureFixture) -> None:
    SeedLog().retried(lease(), Visit("http://exmaple.invalid/", depth=1), Retry(REASON))

    assert warnings() == []
    assert "(attempt 1)" in caplog.text


def test_a_seed_that_is_dropped_is_told_why(warnings: Any) -> None:
    SeedLog().dropped(lease(), seed(), Drop("robots.txt: line 2: Disallow: /"))

    assert warnings() == ["http://exmaple.invalid/: not fetched: robots.txt: line 2: Disallow: /"]


def test_of_ten_thousand_seeds_some_are_told(warnings: Any) -> None:
    told = SeedLog()

    for n in range(10_000):
        told.retried(lease(f"h{n}.invalid"), seed(f"h{n}.invalid"), Retry("refused"))

    assert len(warnings()) == TOLD + 1
    assert "only counted in the summary" in "".join(warnings())


def test_an_item_that_is_no_visit_is_no_seed(warnings: Any) -> None:
    SeedLog().retried(lease(), msgspec.Raw(b"\x01"), Retry("no"))

    assert warnings() == []
