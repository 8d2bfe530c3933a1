"""Fetch: what is tried again, when, and how long a host is left alone."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from queue import SimpleQueue

import msgspec
import pytest
import requests
import responses

from crawler import GiveUp, Pace, Page, Retry, Visit
from crawler_stages.clients.contract import ConnectFailed, NameUnknown, Reply
from crawler_stages.fetch import Fetch
from crawler_stages.fetch.failures import MAX_REST, SOON, Failures, retry_after
from tests.peer import Peer, answering
from tests.stages.fetch.given import URL, only


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_for_the_whole_host(web: responses.RequestsMock, fetch: Fetch, status: int) -> None:
    web.get(URL, status=status, headers={"Retry-After": "120"})

    with pytest.raises(Retry) as retry:
        list(fetch.process(Visit(URL)))

    assert (retry.value.after, retry.value.rest) == (120.0, 120.0)
    assert f"status {status}" in retry.value.reason


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("7", 7.0), ("9" * 5_000, MAX_REST), ("-1", None), ("soon", None), ("", None), ("1.5", None), ("٣", None),
     ("Wed, 21 Oct 2015 07:28:00 GMT", None)],
)  # fmt: skip
def test_retry_after_in_all_forms(value: str, seconds: float | None) -> None:
    assert retry_after([("Retry-After", value)]) == seconds


def test_retry_after_as_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)

    assert 80 < (retry_after([("retry-after", date)]) or 0) <= 90


def test_a_slow_host_rests_in_proportion_when_asked_to(web: responses.RequestsMock, make: Callable[..., Fetch]) -> None:
    web.get(URL, body="x")

    items = list(make(adaptive=1000.0, robots=False).process(Visit(URL)))

    page, rest = only(Page, items), only(Pace, items).rest
    assert rest == pytest.approx(min(1000.0 * page.seconds, 30.0))


def test_a_slow_host_rests_no_longer_than_the_limit(
    web: responses.RequestsMock, make: Callable[..., Fetch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler_stages.fetch.stage._LONGEST_REST", 1e-6)
    web.get(URL, body="x")

    items = list(make(adaptive=1000.0, robots=False).process(Visit(URL)))

    assert only(Pace, items).rest == 1e-6


UNAVAILABLE = Reply(status=503, headers=[], content=b"", received=0, seconds=0.0)


def failing(failures: Failures, reply: Reply = UNAVAILABLE) -> float:
    retry = failures.of_status(reply, "h")
    return 0.0 if retry is None else retry.rest or 0.0


def test_a_host_that_keeps_failing_rests_longer_and_longer_until_it_answers() -> None:
    now = [0.0]
    failures = Failures(clock=lambda: now[0])
    rests = []
    for _ in range(12):
        rests.append(failing(failures))
        now[0] += rests[-1]

    assert rests[0] <= 5.0 < 100.0 < rests[-1] <= 300.0

    failing(failures, msgspec.structs.replace(UNAVAILABLE, status=200))
    assert failing(failures) <= 5.0


def test_many_requests_that_run_into_one_outage_count_as_one_failure() -> None:
    failures = Failures(clock=lambda: 0.0)

    assert max(failing(failures) for _ in range(16)) <= 5.0


@pytest.mark.parametrize("status", [408, 425, 500, 502, 504, 522])
def test_trouble_of_the_server_is_tried_again(web: responses.RequestsMock, fetch: Fetch, status: int) -> None:
    web.get(URL, status=status)

    with pytest.raises(Retry, match=str(status)):
        list(fetch.process(Visit(URL)))


@pytest.mark.parametrize(
    ("error", "verdict", "count"),
    [
        (requests.ConnectionError(ConnectionRefusedError(111, "Connection refused")), Retry, "failed/ConnectFailed"),
        (requests.ReadTimeout("slow"), Retry, "failed/TimedOut"),
        (requests.exceptions.ChunkedEncodingError("cut"), Retry, "failed/BrokenReply"),
        (requests.exceptions.SSLError(ssl.SSLCertVerificationError("expired")), GiveUp, "failed/TlsFailed"),
        (requests.exceptions.SSLError(ssl.SSLEOFError("hung up")), Retry, "failed/ConnectFailed"),
        (requests.exceptions.SSLError(ssl.SSLZeroReturnError("hung up, as older versions say")), Retry, "failed/ConnectFailed"),
        (requests.exceptions.InvalidURL("label too long"), GiveUp, "failed/BadName"),
    ],
)
def test_each_failure_is_retried_or_given_up_as_the_table_says(
    web: responses.RequestsMock, fetch: Fetch, error: Exception, verdict: type[Exception], count: str
) -> None:
    web.get(URL, body=error)

    with pytest.raises(verdict, match=r"example\.org"):
        list(fetch.process(Visit(URL)))

    assert fetch.take_counts() == {count: 1}


def test_failures_of_many_hosts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler_stages.fetch.failures._HOSTS", 10)
    failures = Failures()

    for n in range(100):
        failures.of_error(ConnectFailed("refused"), f"h{n}")

    assert len(failures._in_a_row) == 10


@pytest.mark.parametrize(
    ("status", "adaptive", "is_free"), [(200, 0, True), (404, 0, True), (503, 0, False), (429, 0, False), (200, 1, False)]
)
def test_a_host_that_may_have_to_rest_is_not_free_when_its_page_is_there(
    make: Callable[..., Fetch], serve: Callable[..., Peer], status: int, adaptive: float, is_free: bool
) -> None:
    peer = serve()
    peer.talks.append(answering(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode(), keep=True)(peer))
    stage = make(client="curl", robots=False, allow_private=[peer.host], adaptive=adaptive)
    with suppress(Retry):
        list(stage.process(Visit(peer.url)))  # now its address is known
    heard: SimpleQueue[bool] = SimpleQueue()

    def over(can_finish: bool = True, is_free: bool = True) -> Callable[[], None]:
        heard.put(is_free)
        return lambda: None

    pending = stage.begin(Visit(peer.url))
    assert pending is not None
    assert pending.start(over)
    assert heard.get(timeout=10) is is_free


def unknown(fetch: Fetch, visit: Visit) -> Retry:
    with pytest.raises(Retry) as retry:
        list(fetch.process(visit))
    return retry.value


def test_a_mistyped_name_is_given_up_soon_and_a_name_server_that_errs_later_is_waited_for(
    web: responses.RequestsMock, fetch: Fetch
) -> None:
    mistyped = "http://exmaple.invalid/"
    web.get(URL, body="x")
    web.get(mistyped, body=NameUnknown("exmaple.invalid: Name or service not known"))

    assert unknown(fetch, Visit(mistyped, is_seed=True)).after == SOON
    assert unknown(fetch, Visit(mistyped, depth=1)).after is None  # a page named it
    list(fetch.process(Visit(URL)))
    assert unknown(fetch, Visit(mistyped, is_seed=True)).after is None  # names are found: this one may be too


def test_a_seed_that_is_an_error_page_is_told_once_a_host(
    web: responses.RequestsMock, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    web.get(URL, status=404)

    for visit in (Visit(URL, is_seed=True), Visit(URL, is_seed=True), Visit(URL, depth=1)):
        list(fetch.process(visit))

    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"{URL}: the server answers with status 404"
    ]
