"""Fetch: what robots.txt allows, and when it is asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest
import responses

from crawler import ConfigError, Drop, Interrupted, LocalShared, Pace, Page, Retry, Visit
from crawler.cli import main
from crawler_stages.fetch import Fetch
from crawler_stages.fetch.stage import _PAUSING
from tests.stages.fetch.given import ROBOTS, URL, Shop, only


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


def test_a_crawl_delay_is_told_to_the_hub_before_the_page_is_asked_for_whatever_becomes_of_it(
    web: responses.RequestsMock, make: Callable[..., Fetch]
) -> None:
    web.get(ROBOTS, body="User-agent: *\nCrawl-delay: 0.05\nDisallow: /no")
    web.get(URL, status=503)
    fetch = make()

    with pytest.raises(Retry):
        list(fetch.process(Visit(URL)))
    failed = fetch.take_paces()
    other = make()
    with pytest.raises(Drop):
        list(other.process(Visit("http://example.org/no")))

    assert failed == [Pace("example.org", delay=0.05), Pace("example.org", rest=0.1)]
    assert other.take_paces() == [Pace("example.org", delay=0.05)]


def test_a_crawl_delay_is_told_once_and_again_when_it_changes(web: responses.RequestsMock, make: Callable[..., Fetch]) -> None:
    for scheme, delay in (("http", 0.01), ("https", 0.02)):
        web.get(f"{scheme}://example.org/robots.txt", body=f"User-agent: *\nCrawl-delay: {delay}")
        web.get(f"{scheme}://example.org/a")
    fetch = make()

    told = []
    for url in ("http://example.org/a", "https://example.org/a", "https://example.org/a"):
        with suppress(Interrupted):
            list(fetch.process(Visit(url)))
        told += [pace.delay for pace in fetch.take_paces() if pace.delay is not None]

    assert told == [0.01, 0.02], "both origins are one host to the hub: the longer one counts"


def test_a_crawl_delay_is_cut_to_the_limit(web: responses.RequestsMock, make: Callable[..., Fetch]) -> None:
    web.get(ROBOTS, body="User-agent: *\nCrawl-delay: 86400")
    web.get(URL)
    fetch = make(max_crawl_delay=0.02)

    list(fetch.process(Visit(URL)))

    assert fetch.take_paces()[0].delay == 0.02


def test_a_visit_lent_before_the_hub_knew_the_crawl_delay_is_given_back(
    web: responses.RequestsMock, make: Callable[..., Fetch]
) -> None:
    shared = LocalShared()
    web.get(ROBOTS, body="User-agent: *\nCrawl-delay: 0.01")
    web.get(URL)
    list(make(shared).process(Visit(URL)))

    with pytest.raises(Interrupted):  # another worker, lent this at the same time
        list(make(shared).process(Visit(URL)))

    assert [call.request.url for call in web.calls] == [ROBOTS, URL]


def test_a_stage_without_a_hub_gives_nothing_back_and_does_not_wait(
    web: responses.RequestsMock, make: Callable[..., Fetch]
) -> None:
    web.get(ROBOTS, body="User-agent: *\nCrawl-delay: 60")
    web.get(URL)
    fetch = make(pause_after_robots=None)

    assert [only(Page, list(fetch.process(Visit(URL)))).status_code for _ in range(2)] == [200, 200]


def test_the_page_waits_for_a_pause_after_robots_txt_and_a_stop_does_not(
    web: responses.RequestsMock, make: Callable[..., Fetch]
) -> None:
    web.get(ROBOTS, body="")
    web.get(URL)
    paused, hasty = make(pause_after_robots=0.05), make(pause_after_robots=3600)
    ended: list[BaseException] = []

    def process() -> None:
        try:
            list(hasty.process(Visit(URL)))
        except Interrupted as error:
            ended.append(error)

    begun = time.monotonic()
    list(paused.process(Visit(URL)))
    took = time.monotonic() - begun
    asked = len(web.calls)
    thread = threading.Thread(target=process)
    thread.start()
    while len(web.calls) == asked:  # for its robots.txt
        time.sleep(0.001)
    hasty.interrupt()
    thread.join(20)  # an hour, if it did not stop

    assert took >= 0.05
    assert len(ended) == 1
    assert paused.take_paces() == []  # it is over before anybody looks
    assert hasty.take_paces() == [Pace("example.org", held=3600.0)]
    assert [call.request.url for call in web.calls] == [ROBOTS, URL, ROBOTS], "no page is asked for too early"


def test_few_threads_wait_for_pauses_after_robots_txt_and_other_pages_are_given_back(
    web: responses.RequestsMock, make: Callable[..., Fetch]
) -> None:
    """Hold few threads in pauses: else a crawl that begins with many hosts would learn as many in a pause as it has threads."""
    hosts = [f"h{n}.example" for n in range(3 * _PAUSING)]
    for host in hosts:
        web.get(f"http://{host}/robots.txt", body="")
    fetch = make(pause_after_robots=3600)
    given_back: SimpleQueue[str] = SimpleQueue()

    def process(host: str) -> None:
        with pytest.raises(Interrupted):
            list(fetch.process(Visit(f"http://{host}/")))
        given_back.put(host)

    threads = [threading.Thread(target=process, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    early = {given_back.get(timeout=60) for _ in range(2 * _PAUSING)}
    paces = fetch.take_paces()
    fetch.interrupt()
    for thread in threads:
        thread.join(60)

    assert {pace.host for pace in paces if pace.rest == 3600.0} == early
    assert {pace.host for pace in paces if pace.held == 3600.0} == set(hosts) - early
    assert {call.request.url for call in web.calls} == {f"http://{host}/robots.txt" for host in hosts}


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


@pytest.mark.parametrize("agent", ["1.0", " ExampleBot/1.0", "(bot)", "+https://bot.test/", "360Spider/1.0", "/", "\xdcberbot/1"])
def test_a_user_agent_without_a_name_for_robots_txt_is_refused(agent: str) -> None:
    with pytest.raises(ConfigError, match="does not begin with a name") as refusal:
        Fetch.check(Fetch.Options(user_agent=agent), "stages.fetch")

    assert "for example 'ExampleBot/1.0 (+https://example.org/bot)'" in str(refusal.value)


@pytest.mark.parametrize("name", ["User-Agent", "user-agent", "USER-AGENT"])
def test_a_user_agent_among_the_headers_is_refused_because_robots_txt_would_not_know_it(name: str) -> None:
    with pytest.raises(ConfigError, match=r"set stages\.fetch\.user_agent instead"):
        Fetch.check(Fetch.Options(headers={name: "ExampleBot/1.0"}), "stages.fetch")


def test_crawler_check_refuses_a_user_agent_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["check", "-s", "stages.fetch.user_agent=(ExampleBot)"]) == 2
    assert main(["check", "-s", "stages.fetch.user_agent=ExampleBot (+https://bot.test/)"]) == 0
