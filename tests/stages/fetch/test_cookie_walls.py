"""Redirects and cookies: a wall or gate is passed, a loop is a loop, and nothing is fetched for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from crawler import Trail, Visit
from crawler_stages.fetch.cookies import Cookies
from crawler_stages.fetch.redirects import _MAX_AGAIN, Redirects
from tests.stages.hosts import CLIENTS, Answer, crawl, page, redirect, reply

pytestmark = pytest.mark.slow  # a hundred crawls

S = "http://site.test"
Headers = Mapping[str, str]


def has(headers: Headers, cookie: str) -> bool:
    return cookie in headers.get("cookie", "").split("; ")


def behind(cookie: str, otherwise: bytes, title: str = "in") -> Answer:
    """A page for whoever sends this cookie."""
    return lambda headers: page(title=title) if has(headers, cookie) else otherwise


def counting(headers: Headers) -> bytes:
    """A redirect to itself that sets another cookie each time."""
    n = int(headers.get("cookie", "n=0").partition("=")[2])
    return redirect("/", f"Set-Cookie: n={n + 1}")


# name: answers, seeds, titles of the pages with status 200 by path
PASSED: dict[str, tuple[dict[str, Answer], list[str], dict[str, str]]] = {
    "a wall": ({"/": behind("seen=1", redirect("/", "Set-Cookie: seen=1"))}, ["/"], {"/": "in"}),
    "a wall, not the first cookie": (
        {"/": page("/p", title="home", headers=("Set-Cookie: lang=de",)),
         "/p": behind("seen=1", redirect("/p", "Set-Cookie: seen=1"))}, ["/"], {"/": "home", "/p": "in"},
    ),
    "a wall of two cookies, one after the other": (
        {"/": lambda h: behind("b=1", redirect("/", f"Set-Cookie: {'b' if has(h, 'a=1') else 'a'}=1"))(h)}, ["/"], {"/": "in"},  # type: ignore[operator]  # a lambda without types
    ),
    "a wall with a 301": ({"/": behind("a=1", redirect("/", "Set-Cookie: a=1", status="301 Moved"))}, ["/"], {"/": "in"}),
    "a wall with a 307 and an absolute target": ({"/": behind("a=1", redirect(f"{S}/#x", "Set-Cookie: a=1", status="307 T"))},
                                                 ["/"], {"/": "in"}),
    "a wall that deletes a cookie": (
        {"/": page("/p", title="home", headers=("Set-Cookie: old=1",)),
         "/p": lambda h: redirect("/p", "Set-Cookie: old=; Max-Age=0") if has(h, "old=1") else page(title="in")},
        ["/"], {"/": "home", "/p": "in"},
    ),
    "a wall that changes a value": (
        {"/": page("/p", title="home", headers=("Set-Cookie: v=1",)), "/p": behind("v=2", redirect("/p", "Set-Cookie: v=2"))},
        ["/"], {"/": "home", "/p": "in"},
    ),
    "two steps, the cookie at the first": (
        {"/": behind("a=1", redirect("/check", "Set-Cookie: a=1")), "/check": redirect("/")}, ["/"], {"/": "in"},
    ),
    "two steps, the cookie at the second": (
        {"/": behind("a=1", redirect("/check")), "/check": redirect("/", "Set-Cookie: a=1")}, ["/"], {"/": "in"},
    ),
    "three steps and two cookies": (
        {"/": lambda h: page(title="in") if has(h, "a=1") and has(h, "b=1") else redirect("/1", "Set-Cookie: a=1"),
         "/1": redirect("/2", "Set-Cookie: b=1"), "/2": redirect("/")}, ["/"], {"/": "in"},
    ),
    "a gate for each of many pages": (
        {**{f"/{n}": behind("a=1", redirect(f"/gate?to=/{n}"), f"in {n}") for n in range(6)},
         **{f"/gate?to=/{n}": redirect(f"/{n}", "Set-Cookie: a=1") for n in range(6)}},
        [f"/{n}" for n in range(6)], {f"/{n}": f"in {n}" for n in range(6)},
    ),
    "one gate for many pages, that knows the way back by a cookie": (
        {**{f"/{n}": lambda h, n=n: page(title=f"in {n}") if has(h, "a=1") else redirect("/gate", f"Set-Cookie: to=/{n}")  # type: ignore[misc]  # a lambda without types
            for n in range(2)},
         "/gate": lambda h: redirect("/0" if has(h, "to=/0") else "/1", "Set-Cookie: a=1")},
        ["/0"], {"/0": "in 0"},
    ),
    "a gate on another path": (
        {"/p/q": behind("a=1", redirect("/gate/x")), "/gate/x": redirect("/p/q", "Set-Cookie: a=1; Path=/p")},
        ["/p/q"], {"/p/q": "in"},
    ),
    "a gate on another host of the domain": (
        {"/": behind("a=1", redirect("http://login.site.test/")),
         "http://login.site.test/": redirect(f"{S}/", "Set-Cookie: a=1; Domain=site.test")}, ["/"], {"/": "in"},
    ),
    "a gate that insists on another spelling": (
        {"/%7Ea": redirect("/~a", "Set-Cookie: a=1"), "/~a": behind("a=1", redirect("/%7Ea"))}, ["/%7Ea"], {"/~a": "in"},
    ),
    "a wall of status 503": (
        {"/": page("/p", title="home"), "/p": behind("a=1", reply("", "Set-Cookie: a=1", status="503 Wait"))},
        ["/"], {"/": "home", "/p": "in"},
    ),
    "a wall in front of a page with an error status that sets the cookie": (
        {"/": page("/p", title="home"), "/p": behind("a=1", redirect("/403")),
         "/403": reply("<a href=/p>", "Set-Cookie: a=1", status="403 No")}, ["/"], {"/": "home"},
    ),
}  # fmt: skip

# what goes round in a loop, or on for ever, and how often each path is asked for
ENDLESS: dict[str, tuple[dict[str, Answer], int]] = {
    "to itself without a cookie": ({"/": redirect("/")}, 1),
    "to itself with a cookie that is refused": ({"/": redirect("/", "Set-Cookie: a=1; Domain=other.test")}, 1),
    "to itself with a cookie for another path": ({"/": redirect("/", "Set-Cookie: a=1; Path=/q")}, 1),
    "to itself with the same cookie each time": ({"/": redirect("/", "Set-Cookie: a=1")}, 2),
    "to itself with a cookie that is Secure": ({"/": redirect("/", "Set-Cookie: a=1; Secure")}, 1),
    "to itself with another cookie each time": ({"/": counting}, 11),
    "there and back": ({"/": redirect("/b", "Set-Cookie: a=1"), "/b": redirect("/")}, 2),
    "a cookie set and deleted in turns": (
        {"/": lambda h: redirect("/", f"Set-Cookie: a=1; Max-Age={0 if has(h, 'a=1') else 9}")}, 2,
    ),
}  # fmt: skip


def whole(answers: Mapping[str, Answer]) -> dict[str, Answer]:
    return {url if "://" in url else S + url: answer for url, answer in answers.items()}


@pytest.mark.parametrize("fetchers", [1, 2])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", PASSED)
def test_a_wall_or_gate_is_passed_also_where_processes_take_turns(name: str, client: str, fetchers: int) -> None:
    answers, seeds, titles = PASSED[name]

    found = crawl(whole(answers), *(S + seed for seed in seeds), client=client, fetchers=fetchers, cookies=True)

    assert {url.removeprefix(S): title for url, title in found.titles.items()} == titles


@pytest.mark.parametrize("fetchers", [1, 2])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_is_given_up_and_counted(name: str, client: str, fetchers: int) -> None:
    answers, times = ENDLESS[name]

    found = crawl(whole(answers), f"{S}/", client=client, fetchers=fetchers, cookies=True)

    assert found.urls.count(f"{S}/") == times
    assert found.counts["skipped/redirect loop"] + found.counts["skipped/too many redirects"] == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_without_cookies_a_wall_is_a_loop(client: str) -> None:
    found = crawl(whole(PASSED["a wall"][0]), f"{S}/", client=client)

    assert found.sent == [(f"{S}/", "")]
    assert found.counts["skipped/redirect loop"] == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_many_pages_that_redirect_to_one_have_it_fetched_once_where_no_cookie_changes(client: str) -> None:
    answers: dict[str, Answer] = {
        "/": page(*(f"/{n}" for n in range(5)), "/all", headers=("Set-Cookie: a=1",)),
        **{f"/{n}": redirect("/all", "Set-Cookie: a=1") for n in range(5)},
        "/all": page(),
    }

    found = crawl(whole(answers), f"{S}/", client=client, cookies=True)

    assert found.urls.count(f"{S}/all") == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_a_site_that_counts_visitors_has_a_page_fetched_a_limited_number_of_times(client: str) -> None:
    n = 2 * _MAX_AGAIN
    answers: dict[str, Answer] = {
        "/": page(*(f"/{place}" for place in range(n)), "/all"),
        **{f"/{place}": redirect("/all", f"Set-Cookie: n={place}") for place in range(n)},
        "/all": page(),
    }

    found = crawl(whole(answers), f"{S}/", client=client, cookies=True)

    assert found.urls.count(f"{S}/all") == _MAX_AGAIN + 1


@pytest.mark.parametrize("client", CLIENTS)
def test_one_gate_for_seeds_that_all_came_before_it_was_passed(client: str) -> None:
    def gate(headers: Headers) -> bytes:
        back = next(pair for pair in headers["cookie"].split("; ") if pair.startswith("to="))
        return redirect(back.removeprefix("to="), "Set-Cookie: a=1")

    pages = {f"/{n}": behind("a=1", redirect("/gate", f"Set-Cookie: to=/{n}"), f"in {n}") for n in range(3)}
    found = crawl(whole({**pages, "/gate": gate}), *(f"{S}/{n}" for n in range(3)), client=client, cookies=True, fetchers=3)

    assert set(found.titles.values()) == {"in 0", "in 1", "in 2"}


def step(visit: Visit, target: str, cookies: Cookies, *headers: str, sent: str = "") -> Visit:
    led = Redirects(cookies).follow(visit, target, 10, sent, headers)
    assert isinstance(led, Visit)
    return led


def test_a_visit_brings_the_cookies_of_its_redirects_within_bounds_and_shows_none() -> None:
    visit = Visit(f"{S}/")
    for n in range(10):
        visit = step(visit, f"{S}/{n}", Cookies(), *(f"secret{n}={'x' * 4_000}" for _ in range(10)))

    assert visit.trail is not None
    assert len(visit.trail.learned) < 20_000
    assert b"secret9" in visit.trail.learned
    shown: Any = msgspec.to_builtins(visit)
    assert "secret" not in str({**shown, "trail": {**shown["trail"], "learned": "bytes"}})


def test_a_visit_without_cookies_on_its_way_has_no_trail() -> None:
    assert step(Visit(f"{S}/"), f"{S}/a", Cookies()).trail is None
    led = Redirects().follow(Visit(f"{S}/"), f"{S}/a", 10)
    assert isinstance(led, Visit)
    assert led.trail is None


def test_a_visit_of_a_crawl_that_kept_no_cookies_before_can_be_followed() -> None:
    visit = Visit(f"{S}/c", history=(f"{S}/a", f"{S}/b"), trail=Trail(sent=("x",)))

    led = step(visit, f"{S}/d", Cookies(), sent="k=1")

    assert led.trail is not None
    assert len(led.trail.sent) == 3
