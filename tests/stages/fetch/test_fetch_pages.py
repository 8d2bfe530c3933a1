"""Fetch: what it makes of what a server says. The client's own promises are in test_client_contract.py."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
import responses

from crawler import ConfigError, Drop, LocalShared, Page, Report, To, Visit
from crawler_stages.fetch import Fetch
from tests.stages.fetch.given import URL, Shop, only


def test_a_page_has_what_the_server_sent_and_what_the_visit_knew(web: responses.RequestsMock, fetch: Fetch) -> None:
    web.get(URL, body=b"<h1>a</h1>", headers={"Content-Type": "text/html", "X-A": "1"})
    visit = Visit(URL, depth=2, referrer="http://example.org/", history=("http://example.org/old",), is_seed=True)
    begun = time.time()

    items = list(fetch.process(visit))

    page = only(Page, items)
    assert (page.url, page.status_code, page.content, page.headers["x-a"]) == (URL, 200, b"<h1>a</h1>", "1")
    assert (page.depth, page.referrer, page.history, page.is_seed) == (2, visit.referrer, visit.history, True)
    assert begun <= page.fetched_at <= time.time()
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
        ("/\u00c3\u00bc", "http://example.org/%C3%BC"),  # UTF-8 bytes, as a header shows them
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


@pytest.mark.parametrize(("client", "module"), [("requests", "requests.client"), ("curl", "curl.client"), ("auto", "curl.client")])
def test_what_its_processes_will_import_can_be_imported_before_them(client: str, module: str) -> None:
    code = (
        "import sys; from crawler_stages.fetch import Fetch; before = set(sys.modules); "
        f"Fetch.preload(Fetch.Options(client={client!r})); print(*(set(sys.modules) - before))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert f"crawler_stages.clients.{module}" in done.stdout.split()
