"""Fetch: what it makes of what a server says. The client's own promises are in test_client_contract.py."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from queue import SimpleQueue
from typing import Any, TypeVar

import msgspec
import pytest
import requests
import responses

from crawler import ConfigError, Drop, GiveUp, LocalShared, Pace, Page, Report, Retry, To, Visit
from crawler.loopback import Loopback, Request, Response
from stages.clients.base import ConnectFailed, Reply
from stages.failures import MAX_REST, Failures, retry_after
from stages.fetch import Fetch
from tests.peer import Peer, answering

URL = "http://example.org/a"
ROBOTS = "http://example.org/robots.txt"
T = TypeVar("T")


@pytest.fixture
def web() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def make() -> Iterator[Callable[..., Fetch]]:
    made: list[Fetch] = []

    def fetch(shared: LocalShared | None = None, **options: Any) -> Fetch:
        # The client whose replies can be written down here; what they are like from the wire is the same for all clients.
        fixed = {"client": "requests", "pause_after_robots": 0}
        stage = Fetch(msgspec.convert({**fixed, **options}, Fetch.Options), shared)
        stage.open()
        made.append(stage)
        return stage

    yield fetch
    for stage in made:
        stage.close()


@pytest.fixture
def fetch(make: Callable[..., Fetch]) -> Fetch:
    return make(robots=False)


def only(kind: type[T], items: list[Any]) -> T:
    (found,) = [item for item in items if isinstance(item, kind)]
    return found


def test_a_page_has_what_the_server_sent_and_what_the_visit_knew(web: responses.RequestsMock, fetch: Fetch) -> None:
    web.get(URL, body=b"<h1>a</h1>", headers={"Content-Type": "text/html", "X-A": "1"})
    visit = Visit(URL, depth=2, referrer="http://example.org/", history=("http://example.org/old",), is_seed=True)

    items = list(fetch.process(visit))

    page = only(Page, items)
    assert (page.url, page.status_code, page.content, page.headers["x-a"]) == (URL, 200, b"<h1>a</h1>", "1")
    assert (page.depth, page.referrer, page.history, page.is_seed) == (2, visit.referrer, visit.history, True)
    assert abs(page.fetched_at - time.time()) < 10
    assert only(Report, items).text.startswith("200, 10 bytes in ")
    assert fetch.take_counts() == {"status/200": 1, "bytes": 10}


@pytest.mark.parametrize("status", [204, 206, 401, 403, 404, 410, 501])
def test_a_status_that_is_an_answer_is_a_page(web: responses.RequestsMock, fetch: Fetch, status: int) -> None:
    web.get(URL, status=status)

    assert only(Page, list(fetch.process(Visit(URL)))).status_code == status


def test_we_say_who_we_are_and_what_we_were_told_to(web: responses.RequestsMock, make: Callable[..., Fetch]) -> None:
    web.get(URL)

    list(make(robots=False, contact="https://example.net/bot", headers={"X-Y": "z"}).process(Visit(URL)))
    list(make(robots=False, user_agent="tea/1").process(Visit("http://me:word%21@example.org/a")))

    first, second = (call.request.headers for call in web.calls)
    assert first["User-Agent"].startswith("crawler/")
    assert first["User-Agent"].endswith(" (+https://example.net/bot)")
    assert first["X-Y"] == "z"
    assert "Authorization" not in first
    assert (second["User-Agent"], second["Authorization"]) == ("tea/1", "Basic bWU6d29yZCE=")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("b?c#d", "http://example.org/b?c"),
        (" /b c ", "http://example.org/b%20c"),
        ("//other.example", "http://other.example/"),
        ("/\u00c3\u00bc", "http://example.org/%C3%BC"),   # UTF-8 bytes, as a header shows them
        ("/\u00fc", "http://example.org/%FC"),
    ],
)
def test_a_redirect_is_a_page_and_a_visit(
    web: responses.RequestsMock, fetch: Fetch, status: int, location: str, target: str
) -> None:
    web.get(URL, status=status, headers={"Location": location}, body=b"<a href=x>moved</a>")

    visit = Visit(URL, depth=1, referrer="http://example.org/", history=("http://example.org/0",), is_seed=True)
    items = list(fetch.process(visit))

    assert only(Page, items).content == b""
    next_visit = Visit(target, 1, "http://example.org/", ("http://example.org/0", URL), is_seed=True)
    assert only(To, items) == To("urls", next_visit)


@pytest.mark.parametrize("location", ["", "  ", "ftp://example.org/", "javascript:x", "http://"])
def test_a_redirect_to_nowhere_is_a_page_only(web: responses.RequestsMock, fetch: Fetch, location: str) -> None:
    web.get(URL, status=302, headers={"Location": location}, body=b"moved")

    items = list(fetch.process(Visit(URL)))

    assert only(Page, items).content == b"moved"
    assert not any(isinstance(item, To) for item in items)


def test_redirects_end(web: responses.RequestsMock, make: Callable[..., Fetch]) -> None:
    fetch = make(robots=False, max_redirects=2)
    web.get(URL, status=302, headers={"Location": "/b"})

    loop = list(fetch.process(Visit(URL, history=("http://example.org/b",))))
    long = list(fetch.process(Visit(URL, history=("http://example.org/1", "http://example.org/2"))))

    assert only(Report, loop).text.endswith("to http://example.org/b: a loop")
    assert only(Report, long).text.endswith("more than 2 redirects")
    assert not any(isinstance(item, To) for item in loop + long)
    counts = fetch.take_counts()
    assert (counts["skipped/redirect loop"], counts["skipped/too many redirects"]) == (1, 1)


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
        (requests.exceptions.SSLError("expired"), GiveUp, "failed/TlsFailed"),
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


def test_robots_txt_is_obeyed_with_the_line_that_decided(web: responses.RequestsMock, make: Callable[..., Fetch]) -> None:
    web.get(ROBOTS, body="User-agent: *\nDisallow: /\nUser-agent: crawler\nDisallow: /a\n")
    web.get("http://example.org/b")
    fetch = make()

    with pytest.raises(Drop, match=r"robots\.txt: Disallow: /a \(line 4\)"):
        list(fetch.process(Visit(URL)))
    assert only(Page, list(fetch.process(Visit("http://example.org/b"))))

    assert fetch.take_counts()["skipped/robots"] == 1
    assert [call.request.url for call in web.calls] == [ROBOTS, "http://example.org/b"]


def test_robots_txt_is_shared_by_all_workers(web: responses.RequestsMock, make: Callable[..., Fetch]) -> None:
    shared = LocalShared()
    web.get(ROBOTS, body="User-agent: *\nDisallow: /a")

    for fetch in (make(shared), make(shared)):
        with pytest.raises(Drop):
            list(fetch.process(Visit(URL)))

    assert len(web.calls) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_no_robots_txt_allows_all(web: responses.RequestsMock, make: Callable[..., Fetch], status: int) -> None:
    web.get(ROBOTS, status=status, body="User-agent: *\nDisallow: /")
    web.get(URL)

    assert only(Page, list(make().process(Visit(URL))))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_robots_txt_that_cannot_be_had_forbids_all_for_now(
    web: responses.RequestsMock, make: Callable[..., Fetch], status: int
) -> None:
    web.get(ROBOTS, status=status, headers={"Retry-After": "9"})
    web.get(URL)
    fetch = make()

    with pytest.raises(Retry, match=r"robots\.txt: status") as retry:
        list(fetch.process(Visit(URL)))
    web.replace("GET", ROBOTS, body="")

    assert retry.value.rest == 9.0
    assert only(Page, list(fetch.process(Visit(URL))))


def test_an_old_robots_txt_serves_where_the_new_one_cannot_be_had(web: responses.RequestsMock, make: Callable[..., Fetch]) -> None:
    old = {"expires": time.time() - 1, "status": 200, "body": b"User-agent: *\nDisallow: /a"}
    shared = LocalShared({"robots/http://example.org": msgspec.msgpack.encode(old)})
    web.get(ROBOTS, status=500)

    with pytest.raises(Drop, match="Disallow: /a"):
        list(make(shared).process(Visit(URL)))


def test_robots_txt_is_followed_through_five_redirects_and_no_more(web: responses.RequestsMock, make: Callable[..., Fetch]) -> None:
    web.get(ROBOTS, status=301, headers={"Location": "http://other.example/1"})
    for n in range(1, 5):
        web.get(f"http://other.example/{n}", status=302, headers={"Location": f"/{n + 1}"})
    web.get("http://other.example/5", body="User-agent: *\nDisallow: /a")

    with pytest.raises(Drop, match="Disallow: /a"):
        list(make().process(Visit(URL)))

    web.replace("GET", "http://other.example/5", status=302, headers={"Location": "/6"})
    web.get(URL)
    assert only(Page, list(make().process(Visit(URL))))


def test_a_crawl_delay_is_told_to_the_hub_with_the_first_page_that_succeeds(
    web: responses.RequestsMock, make: Callable[..., Fetch]
) -> None:
    web.get(ROBOTS, body="User-agent: *\nCrawl-delay: 7")
    web.get(URL, status=503)
    fetch = make()
    with pytest.raises(Retry):
        list(fetch.process(Visit(URL)))
    web.replace("GET", URL, status=200)

    items = [list(fetch.process(Visit(URL))) for _ in range(2)]

    assert only(Pace, items[0]) == Pace("example.org", delay=7.0)
    assert not any(isinstance(item, Pace) for item in items[1])


def test_a_crawl_delay_is_cut_to_the_limit(web: responses.RequestsMock, make: Callable[..., Fetch]) -> None:
    web.get(ROBOTS, body="User-agent: *\nCrawl-delay: 86400")
    web.get(URL)

    assert only(Pace, list(make(max_crawl_delay=30).process(Visit(URL)))).delay == 30.0


def test_the_page_waits_for_a_pause_after_robots_txt_and_a_stop_does_not(
    web: responses.RequestsMock, make: Callable[..., Fetch]
) -> None:
    web.get(ROBOTS, body="")
    web.get(URL)
    paused, hasty = make(pause_after_robots=0.05), make(pause_after_robots=60)

    begun = time.monotonic()
    list(paused.process(Visit(URL)))
    took = time.monotonic() - begun
    hasty.close()
    list(hasty.process(Visit(URL)))

    assert 0.05 <= took < 1


class Shop(Loopback):
    """Holds robots.txt back until told otherwise, and counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def answer(self, request: Request) -> Response:
        self.asked.append(request.target)
        if request.target == "/robots.txt":
            self.is_asked.set()
            self.may_answer.wait()
        return Response(body=b"ok" if request.target != "/robots.txt" else b"")


def test_many_threads_that_want_one_robots_txt_ask_once(make: Callable[..., Fetch]) -> None:
    with Shop() as shop:
        host = shop.url.split("/")[2]
        fetch = make(LocalShared({f"root/{host}": b"seed"}))
        pages: list[Page] = []
        threads = [
            threading.Thread(target=lambda n=n: pages.append(only(Page, list(fetch.process(Visit(f"{shop.url}{n}"))))))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        shop.is_asked.wait()
        shop.may_answer.set()
        for thread in threads:
            thread.join()

    assert shop.asked.count("/robots.txt") == 1
    assert sorted(page.content for page in pages) == [b"ok"] * 8


def test_a_private_host_is_fetched_only_if_a_person_named_it(make: Callable[..., Fetch]) -> None:
    with Shop() as shop:
        shop.may_answer.set()
        host = shop.url.split("/")[2]
        visit = Visit(shop.url, is_seed=True, history=("http://example.org/",))

        for shared in (LocalShared(), LocalShared({f"root/{host}": b"redirect"})):
            with pytest.raises(Drop, match="loopback"):
                list(make(shared).process(visit))
        assert shop.asked == []

        assert only(Page, list(make(allow_private=[host]).process(visit)))
        assert only(Page, list(make(LocalShared({f"root/{host}": b"seed"})).process(visit)))


def test_a_bundle_of_authorities_that_is_not_there_is_named(make: Callable[..., Fetch]) -> None:
    with pytest.raises(ConfigError, match=r"stages\.fetch\.verify: '/nowhere\.pem' cannot be read: No such file"):
        make(verify="/nowhere.pem")


@pytest.mark.parametrize(("max_bytes", "at_once"), [(10 << 20, 128), (5 << 20, 256), (1 << 20, 256), (1 << 30, 16)])
def test_as_many_pages_are_fetched_at_once_as_there_is_memory_for(make: Callable[..., Fetch], max_bytes: int, at_once: int) -> None:
    assert make(client="curl", max_bytes=max_bytes).overlap == at_once
    assert make(client="requests", max_bytes=max_bytes).overlap == 0


def test_failures_of_many_hosts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.failures._HOSTS", 10)
    failures = Failures()

    for n in range(100):
        failures.of_error(ConnectFailed("refused"), f"h{n}")

    assert len(failures._in_a_row) == 10


@pytest.mark.parametrize(("client", "module"), [("requests", "requests_client"), ("curl", "curl_client"), ("auto", "curl_client")])
def test_what_its_processes_will_import_can_be_imported_before_them(client: str, module: str) -> None:
    code = (
        "import sys; from stages.fetch import Fetch; before = set(sys.modules); "
        f"Fetch.preload(Fetch.Options(client={client!r})); print(*(set(sys.modules) - before))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert f"stages.clients.{module}" in done.stdout.split()


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
        list(stage.process(Visit(peer.url)))           # now its address is known
    heard: SimpleQueue[bool] = SimpleQueue()

    def then(finish: Any, is_free: bool = True) -> Callable[[], None]:
        heard.put(is_free)
        return lambda: None

    assert stage.begin(Visit(peer.url), then)
    assert heard.get(timeout=10) is is_free
