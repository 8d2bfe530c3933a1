"""The robots.txt of every origin: asked once, kept, shared, and what its absence means."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from crawler import AddressRefused, LocalShared, To, Visit
from crawler.demo.loopback import Loopback, Request, Response
from crawler_stages.clients.contract import FetchFailed, Reply, TimedOut
from crawler_stages.fetch import Fetch
from crawler_stages.fetch.robots_files import FRESH, STALE, RobotsFiles

ORIGIN = "http://example.org"


class Web:
    """What is answered by URL, how often it was asked, and a clock."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes | int | Exception] = {}
        self.asked: Counter[str] = Counter()
        self.now = 1_000.0

    def ask(self, url: str, cut: int) -> Reply:
        self.asked[url] += 1
        answer = self.answers[url]
        if isinstance(answer, Exception):
            raise answer
        status, content = (answer, b"") if isinstance(answer, int) else (200, answer[:cut])
        return Reply(status=status, headers=[], content=content, received=len(content), seconds=0.1)

    def files(self, shared: LocalShared) -> RobotsFiles:
        return RobotsFiles(shared, self.ask, lambda: self.now)


@pytest.fixture
def web() -> Web:
    return Web()


def is_allowed(files: RobotsFiles, origin: str = ORIGIN) -> bool:
    return files.rules(origin).robots.allowed("crawler", f"{origin}/a")


def test_a_file_is_of_scheme_host_and_port(web: Web) -> None:
    web.answers = {
        f"{ORIGIN}/robots.txt": b"User-agent: *\nDisallow: /",
        f"{ORIGIN}:8080/robots.txt": b"",
        "https://example.org/robots.txt": b"",
    }
    files = web.files(LocalShared())

    assert [is_allowed(files, origin) for origin in (ORIGIN, f"{ORIGIN}:8080", "https://example.org")] == [False, True, True]


def test_it_is_asked_again_after_a_day_and_not_before(web: Web) -> None:
    web.answers[f"{ORIGIN}/robots.txt"] = b"User-agent: *\nDisallow: /"
    shared = LocalShared()
    files = web.files(shared)

    assert not is_allowed(files)
    web.answers[f"{ORIGIN}/robots.txt"] = b""
    web.now += FRESH - 1
    assert not is_allowed(files)
    assert not is_allowed(web.files(shared))  # another worker
    web.now += 2

    assert is_allowed(files)
    assert web.asked.total() == 2


@pytest.mark.parametrize("trouble", [503, 429, TimedOut("slow")])
def test_an_old_copy_serves_an_hour_on_where_the_server_fails(web: Web, trouble: int | Exception) -> None:
    web.answers[f"{ORIGIN}/robots.txt"] = b"User-agent: *\nDisallow: /"
    files = web.files(LocalShared())
    files.rules(ORIGIN)
    web.now += FRESH
    web.answers[f"{ORIGIN}/robots.txt"] = trouble

    assert not is_allowed(files)
    web.now += STALE - 1
    assert not is_allowed(files)
    assert web.asked.total() == 2
    web.now += 1
    assert not is_allowed(files)
    assert web.asked.total() == 3


def test_a_redirect_to_a_private_address_forbids_all(web: Web) -> None:
    web.answers[f"{ORIGIN}/robots.txt"] = AddressRefused("h", "127.0.0.1", "loopback")

    with pytest.raises(AddressRefused):
        web.files(LocalShared()).rules(ORIGIN)


def test_who_waits_for_an_answer_that_does_not_come_hears_so_with_the_one_who_asked(web: Web) -> None:
    is_asked, may_fail = threading.Event(), threading.Event()

    def ask(url: str, cut: int) -> Reply:
        web.asked[url] += 1
        is_asked.set()
        may_fail.wait()
        raise TimedOut("slow")

    files = RobotsFiles(LocalShared(), ask)
    failures: list[FetchFailed] = []

    def want() -> None:
        try:
            files.rules(ORIGIN)
        except FetchFailed as error:
            failures.append(error)

    threads = [threading.Thread(target=want) for _ in range(8)]
    threads[0].start()
    is_asked.wait()
    for thread in threads[1:]:
        thread.start()
    may_fail.set()
    for thread in threads:
        thread.join()

    assert len(failures) == 8
    # A thread may come only after the failure, and then asks anew: of those that waited none does.
    assert web.asked.total() < 8
    with pytest.raises(TimedOut):
        files.rules(ORIGIN)


class Shop(Loopback):
    def answer(self, request: Request) -> Response:
        text = f"Sitemap: /a.xml\nSitemap: {self.url}b.xml.gz\nSitemap: ftp://x/c.xml\n"
        return Response(body=text.encode() if request.target == "/robots.txt" else b"ok")


@pytest.mark.parametrize(
    ("option", "is_seed", "found"), [(True, True, ["a.xml", "b.xml.gz"]), (True, False, []), (False, True, [])]
)
def test_the_sitemaps_of_a_seed_are_visited_if_asked_for(option: bool, is_seed: bool, found: list[str]) -> None:
    with Shop() as shop:
        fetch = Fetch(Fetch.Options(pause_after_robots=0, sitemaps=option, allow_private=[f"127.0.0.1:{shop.port}"]))
        fetch.open()

        items = list(fetch.process(Visit(shop.url, is_seed=is_seed)))

        fetch.close()
    expected = [To("urls", Visit(f"{shop.url}{path}", 0, f"{shop.url}robots.txt", is_sitemap=True)) for path in found]
    assert [item for item in items if isinstance(item, To)] == expected
