"""What is sent is the URL that was written or redirected to. Settings and percent-encoding only decide what is the same page."""

from __future__ import annotations

import pytest

from tests.stages.hosts import CLIENTS, crawl, page, redirect, reply

S = "http://site.test"
W = "http://www.site.test"

# name: settings of the frontier, answers, the seed, what is sent in order
ROWS = {
    "an empty query is sent": (
        {}, {f"{S}/": page("x?", "x", "x?#part"), f"{S}/x?": page(), f"{S}/x": page()}, f"{S}/", [f"{S}/", f"{S}/x?", f"{S}/x"],
    ),
    "a seed keeps its empty query": ({}, {f"{S}/?": page()}, f"{S}/?", [f"{S}/?"]),
    "a redirect to an empty query": (
        {}, {f"{S}/": redirect("/a?"), f"{S}/a?": redirect("/a"), f"{S}/a": page()}, f"{S}/", [f"{S}/", f"{S}/a?", f"{S}/a"],
    ),
    "escapes are sent as they are written": ({}, {f"{S}/": page("/%7ea", "/~a", "/%7Ea"), f"{S}/%7ea": page()}, f"{S}/",
                                             [f"{S}/", f"{S}/%7ea"]),
    "a redirect to another spelling of an escape": (
        {}, {f"{S}/": page("/%7ea"), f"{S}/%7ea": redirect("/~a"), f"{S}/~a": page()}, f"{S}/", [f"{S}/", f"{S}/%7ea", f"{S}/~a"],
    ),
    "the case of an escape": (
        {}, {f"{S}/%c3%a9": redirect("/%C3%A9"), f"{S}/%C3%A9": page()}, f"{S}/%c3%a9", [f"{S}/%c3%a9", f"{S}/%C3%A9"],
    ),
    "there and back is a loop": (
        {}, {f"{S}/%7ea": redirect("/~a"), f"{S}/~a": redirect("/%7ea")}, f"{S}/%7ea", [f"{S}/%7ea", f"{S}/~a"],
    ),
    "another spelling by way of another page": (
        {}, {f"{S}/%7ea": redirect("/b"), f"{S}/b": redirect("/~a"), f"{S}/~a": page()}, f"{S}/%7ea",
        [f"{S}/%7ea", f"{S}/b", f"{S}/~a"],
    ),
    "many spellings, each redirecting to the next, end": (
        {"drop_params": ["n"]}, {f"{S}/?n={n}": redirect(f"/?n={n + 1}") for n in range(50)}, f"{S}/?n=0",
        [f"{S}/?n={n}" for n in range(11)],
    ),
    "www: the site insists on it": (
        {"strip_www": True}, {f"{S}/": redirect(f"{W}/"), f"{W}/": page("/a"), f"{W}/a": page()}, f"{S}/",
        [f"{S}/", f"{W}/", f"{W}/a"],
    ),
    "www: the site insists on it, a seed with it": (
        {"strip_www": True},
        {f"{W}/": page(f"{S}/a"), f"{S}/a": redirect(f"{W}/a"), f"{W}/a": page(f"{S}/b", "/a"), f"{S}/b": redirect(f"{W}/b"),
         f"{W}/b": page()}, f"{W}/", [f"{W}/", f"{S}/a", f"{W}/a", f"{S}/b", f"{W}/b"],
    ),
    "www: the site insists on it for some pages": (
        {"strip_www": True}, {f"{S}/": redirect(f"{W}/"), f"{W}/": page(f"{S}/b"), f"{S}/b": page()}, f"{S}/",
        [f"{S}/", f"{W}/", f"{S}/b"],
    ),
    "www: a redirect to another port is another matter": (
        {"strip_www": True}, {f"{W}/": redirect(f"{S}:8080/"), f"{S}:8080/": page(f"{W}/b"), f"{W}/b": page()}, f"{W}/",
        [f"{W}/", f"{S}:8080/", f"{W}/b"],
    ),
    "www: the site insists on none": (
        {"strip_www": True}, {f"{W}/": redirect(f"{S}/"), f"{S}/": page(f"{W}/b"), f"{S}/b": page(f"{W}/c"), f"{S}/c": page()},
        f"{W}/", [f"{W}/", f"{S}/", f"{S}/b", f"{S}/c"],
    ),
    "www: both names answer": (
        {"strip_www": True}, {f"{S}/": page(f"{W}/a", f"{S}/a", f"{S}/b", f"{W}/"), f"{W}/a": page(), f"{S}/b": page()}, f"{S}/",
        [f"{S}/", f"{W}/a", f"{S}/b"],
    ),
    "www: there and back is a loop": ({"strip_www": True}, {f"{S}/": redirect(f"{W}/"), f"{W}/": redirect(f"{S}/")}, f"{S}/",
                                      [f"{S}/", f"{W}/"]),
    "www: two hosts without the setting": ({}, {f"{S}/": page(f"{W}/a")}, f"{S}/", [f"{S}/"]),
    "sort_query: the order is sent as written": (
        {"sort_query": True}, {f"{S}/": page("?b=1&amp;a=2", "?a=2&amp;b=1"), f"{S}/?b=1&a=2": page()}, f"{S}/",
        [f"{S}/", f"{S}/?b=1&a=2"],
    ),
    "sort_query: the site insists on an order": (
        {"sort_query": True}, {f"{S}/?b&a": redirect("/?a&b"), f"{S}/?a&b": page()}, f"{S}/?b&a", [f"{S}/?b&a", f"{S}/?a&b"],
    ),
    "sort_query: the site insists on the order that is not sorted": (
        {"sort_query": True}, {f"{S}/?a&b": redirect("/?b&a"), f"{S}/?b&a": page()}, f"{S}/?a&b", [f"{S}/?a&b", f"{S}/?b&a"],
    ),
    "drop_params: the site needs the parameter": (
        {"drop_params": ["sid"]},
        {f"{S}/": redirect("/?sid=7"), f"{S}/?sid=7": page("/a?sid=7", "/a?sid=8"), f"{S}/a?sid=7": page()},
        f"{S}/", [f"{S}/", f"{S}/?sid=7", f"{S}/a?sid=7"],
    ),
    "drop_params: the site drops it": (
        {"drop_params": ["utm_*"]}, {f"{S}/?utm_id=1": redirect("/"), f"{S}/": page("/?utm_id=2")}, f"{S}/?utm_id=1",
        [f"{S}/?utm_id=1", f"{S}/"],
    ),
    "a redirect to a page that is known already is not followed": (
        {}, {f"{S}/": page("/a", "/b"), f"{S}/a": page(), f"{S}/b": redirect("/%61")}, f"{S}/", [f"{S}/", f"{S}/a", f"{S}/b"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", ROWS)
def test_the_url_that_is_sent_is_the_one_that_was_written_or_redirected_to(name: str, client: str) -> None:
    settings, answers, seed, sent = ROWS[name]

    found = crawl(answers, seed, client=client, frontier=settings)

    assert found.urls == sent


@pytest.mark.parametrize(
    ("rule", "url", "is_sent"), [("/*?", "/x?", False), ("/*?", "/x", True), ("/x?", "/x?", False), ("/x$", "/x?", True)]
)
def test_robots_txt_is_asked_about_the_url_with_its_empty_query(rule: str, url: str, is_sent: bool) -> None:
    robots = reply(f"User-agent: *\nDisallow: {rule}\n")

    answers = {f"{S}/robots.txt": robots, f"{S}{url}": page()}
    found = crawl(answers, f"{S}{url}", client="requests", robots=True, pause_after_robots=0)

    assert (f"{S}{url}" in found.urls) is is_sent
