"""Which URLs belong to a crawl: by host, registered domain and path, and by where its seeds redirect."""

from __future__ import annotations

import msgspec
import pytest

from crawler.config.settings import FrontierSettings
from crawler.items import New
from crawler.stage import LocalShared
from crawler.web.frontier import Frontier
from crawler.web.page import Visit, Visits
from crawler.web.scope import Scope, directory, was_seeded

OUT = "out of scope"
ELSEWHERE = "seed redirects to another site"


def frontier(*seeds: str, shared: LocalShared | None = None, **settings: object) -> Frontier:
    made = Frontier(msgspec.convert(settings, FrontierSettings), shared or LocalShared())
    for seed in seeds:
        made.seed(seed)
    return made


def verdict(gate: Frontier, url: str, *history: str) -> str:
    """Return "in", or why a link is not taken. history: the URL is where this chain of redirects of a seed leads."""
    visit = Visit(url, history=history, is_seed=True) if history else Visit(url, 1, "http://from.test/")
    new = gate.admit(visit)
    single = "in" if isinstance(new, New) else new
    if not history:  # alone and among the links of a page it is the same
        admitted = gate.admit_all(Visits([url], 1, "http://from.test/"), lambda names: names)
        assert single == ("in" if admitted.tasks else next(iter(admitted.skipped)))
    return single


HOST = [
    ("https://example.org/", "https://example.org/x", "in"),
    ("https://example.org/", "http://example.org/x", "in"),
    ("https://example.org/", "https://EXAMPLE.org:443/x", "in"),
    ("https://example.org/", "https://www.example.org/", OUT),
    ("https://www.example.org/", "https://example.org/", OUT),
    ("https://example.org/", "https://example.org:8443/", OUT),
    ("https://example.org/", "https://example.org.evil.test/", OUT),
    ("https://example.org/", "https://notexample.org/", OUT),
    ("https://example.org/", "https://example.org@evil.test/", OUT),
    ("https://bücher.example/", "https://xn--bcher-kva.example/x", "in"),
    ("http://127.0.0.1:8000/", "http://127.0.0.1:8001/", OUT),
    ("http://127.0.0.1:8000/", "http://0x7f.1:8000/", "in"),
]
DOMAIN = [
    ("https://www.example.co.uk/", "http://shop.example.co.uk:8080/", "in"),
    ("https://www.example.co.uk/", "https://other.co.uk/", OUT),
    ("https://example.org/", "https://www.example.org/", "in"),
    ("https://example.org/", "https://example.org.evil.test/", OUT),
    ("https://example.org/", "https://notexample.org/", OUT),
    ("https://me.github.io/", "https://me.github.io/x", "in"),
    ("https://me.github.io/", "https://you.github.io/", OUT),
    ("https://me.github.io/", "https://github.io/", OUT),
    ("https://github.io/", "https://github.io/x", "in"),
    ("https://github.io/", "https://me.github.io/", OUT),
    ("https://me.blogspot.com/", "https://you.blogspot.com/", OUT),
    ("https://bücher.example/", "https://shop.xn--bcher-kva.example/", "in"),
    ("https://a.city.kawasaki.jp/", "https://b.city.kawasaki.jp/", "in"),
    ("https://a.b.kawasaki.jp/", "https://a.c.kawasaki.jp/", OUT),
    ("http://127.0.0.1:8000/", "http://127.0.0.1:9000/", "in"),
    ("http://127.0.0.1:8000/", "http://10.0.0.1/", OUT),
    ("http://10.0.0.1/", "http://10.1.0.1/", OUT),
    ("http://[::1]:8000/", "http://[::1]/", "in"),
    ("http://[::1]:8000/", "http://[::2]/", OUT),
    ("http://localhost:8000/", "http://localhost/", "in"),
    ("http://localhost:8000/", "http://intranet/", OUT),
    ("http://wiki.corp/", "http://mail.corp/", OUT),
    ("http://example.org./", "http://www.example.org/", "in"),
]
PATH = [
    ("https://example.org/docs/", "https://example.org/docs/", "in"),
    ("https://example.org/docs/", "https://example.org/docs/a/b?c", "in"),
    ("https://example.org/docs/", "http://example.org/docs/a", "in"),
    ("https://example.org/docs/", "https://example.org/docs", "in"),
    ("https://example.org/docs/", "https://example.org/docs?page=2", "in"),
    ("https://example.org/docs/", "https://example.org/docs-old/", OUT),
    ("https://example.org/docs/", "https://example.org/Docs/", OUT),
    ("https://example.org/docs/", "https://example.org/", OUT),
    ("https://example.org/docs/", "https://example.org/docs/../blog/", OUT),
    ("https://example.org/docs/", "https://example.org/docs/%2e%2e/blog/", OUT),
    ("https://example.org/docs/", "https://example.org/x/docs/", OUT),
    ("https://example.org/docs/", "https://example.org/?/docs/", OUT),
    ("https://example.org/docs/", "https://www.example.org/docs/", OUT),
    ("https://example.org/docs/", "https://example.org:8443/docs/", OUT),
    ("https://example.org/docs/index.html", "https://example.org/docs/a", "in"),
    ("https://example.org/docs/index.html", "https://example.org/blog", OUT),
    ("https://example.org/docs/intro", "https://example.org/docs/next", "in"),
    ("https://example.org/docs", "https://example.org/docs/a", "in"),
    ("https://example.org/docs", "https://example.org/docsier", OUT),
    ("https://example.org/docs", "https://example.org/blog", OUT),
    ("https://example.org/docs/?a=/b/", "https://example.org/docs/a", "in"),
    ("https://example.org/index.html", "https://example.org/anything", "in"),
    ("https://example.org", "https://example.org/anything", "in"),
    ("https://example.org/~me/", "https://example.org/~you/", OUT),
    ("https://example.org/~me/", "https://example.org/%7Eme/x", "in"),
    ("https://example.org/%7eme/", "https://example.org/~me/x", "in"),
    ("https://example.org/a%2fb/", "https://example.org/a/b/x", OUT),
    ("https://example.org/%E4%BD%A0/", "https://example.org/你/好", "in"),
]


@pytest.mark.parametrize(
    ("scope", "seed", "url", "expected"),
    [(scope, *row) for scope, rows in (("host", HOST), ("domain", DOMAIN), ("path", PATH)) for row in rows],
)
def test_scope(scope: str, seed: str, url: str, expected: str) -> None:
    assert verdict(frontier(seed, scope=scope), url) == expected


@pytest.mark.parametrize("url", ["https://example.net/", "http://127.0.0.1/", "https://you.github.io/x"])
def test_any_is_everything(url: str) -> None:
    assert verdict(frontier("https://example.org/docs/", scope="any"), url) == "in"


def test_each_seed_has_its_own_path() -> None:
    gate = frontier("https://a.test/docs/", "https://a.test/blog/2024/", "https://b.test/", scope="path")

    found = {url: verdict(gate, url) for url in (
        "https://a.test/docs/x", "https://a.test/blog/2024/x", "https://a.test/blog/", "https://b.test/x", "https://a.test/x",
    )}  # fmt: skip

    assert list(found.values()) == ["in", "in", OUT, "in", OUT]


@pytest.mark.parametrize(("path", "expected"), [
    ("/", "/"), ("/docs/", "/docs/"), ("/docs/index.html", "/docs/"), ("/docs/intro", "/docs/"), ("/docs", "/docs/"),
    ("/index.html", "/"), ("/a/b/c", "/a/b/"), ("//", "//"), ("/a//b", "/a//"), ("/.well-known", "/"),
])  # fmt: skip
def test_the_directory_of_a_path(path: str, expected: str) -> None:
    assert directory(path) == expected


SITE = [  # seed, where it redirects, and what that is with "site", "any" and "never"
    ("http://example.org/", "https://example.org/", "in", "in", "in"),
    ("https://example.org/", "https://example.org/en/", "in", "in", "in"),
    ("https://example.org/", "https://www.example.org/", "in", "in", OUT),
    ("https://www.example.org/", "https://example.org/", "in", "in", OUT),
    ("https://example.org/", "https://en.example.org/", "in", "in", OUT),
    ("https://shop.example.co.uk/", "https://example.co.uk/", "in", "in", OUT),
    ("https://example.co.uk/", "https://other.co.uk/", ELSEWHERE, "in", OUT),
    ("https://example.org/", "https://www.facebook.com/example", ELSEWHERE, "in", OUT),
    ("https://example.org/", "https://example.com/", ELSEWHERE, "in", OUT),
    ("https://example.org/", "https://example.org.parked.test/", ELSEWHERE, "in", OUT),
    ("https://me.github.io/", "https://you.github.io/", ELSEWHERE, "in", OUT),
    ("https://me.github.io/", "https://github.io/", ELSEWHERE, "in", OUT),
    ("https://me.blogspot.com/", "https://www.blogspot.com/", ELSEWHERE, "in", OUT),
    ("http://blogspot.com/", "https://www.blogspot.com/", "in", "in", OUT),
    ("https://xn--bcher-kva.example/", "https://www.xn--bcher-kva.example/", "in", "in", OUT),
    ("https://xn--bcher-kva.example/", "https://buecher.example/", ELSEWHERE, "in", OUT),
    ("http://127.0.0.1:8000/", "http://127.0.0.1:9000/", "in", "in", OUT),
    ("http://127.0.0.1:8000/", "http://127.0.0.2:8000/", ELSEWHERE, "in", OUT),
    ("http://127.0.0.1:8000/", "http://localhost:8000/", ELSEWHERE, "in", OUT),
    ("http://[::1]:8000/", "http://[::1]:9000/", "in", "in", OUT),
    ("http://localhost:8000/", "http://localhost:9000/", "in", "in", OUT),
    ("http://intranet/", "http://wiki/", ELSEWHERE, "in", OUT),
    ("http://wiki.corp/", "http://new.wiki.corp/", "in", "in", OUT),
]


@pytest.mark.parametrize("scope", ["host", "domain", "path"])
@pytest.mark.parametrize(("rule", "seed", "target", "expected"), [
    (rule, seed, target, verdict)
    for seed, target, *verdicts in SITE
    for rule, verdict in zip(("site", "any", "never"), verdicts, strict=True)
])  # fmt: skip
def test_redirects_of_seeds(scope: str, rule: str, seed: str, target: str, expected: str) -> None:
    gate = frontier(seed, scope=scope, seed_redirects=rule)
    if scope == "domain" and verdict(gate, target) == "in":
        expected = "in"  # in scope, with or without a redirect

    assert verdict(gate, target, seed) == expected
    assert verdict(gate, target) == ("in" if expected == "in" else OUT), "and so are links there"


def test_the_whole_chain_of_redirects_is_judged_by_the_seed() -> None:
    gate = frontier("http://example.org/")

    assert verdict(gate, "https://www.example.org/", "http://example.org/") == "in"
    assert verdict(gate, "https://facebook.com/x", "http://example.org/", "https://www.example.org/") == ELSEWHERE


def test_a_redirect_to_a_host_of_another_seed_is_in_scope_whatever_the_rule() -> None:
    gate = frontier("http://a.test/", "http://b.test/", seed_redirects="never")

    assert verdict(gate, "http://b.test/x", "http://a.test/") == "in"


def test_a_host_of_a_seed_stays_one_when_another_seed_redirects_into_another_directory_of_it() -> None:
    shared = LocalShared()
    gate = frontier("http://example.org/a/", "http://www.example.org/b/", shared=shared, scope="path")

    assert verdict(gate, "http://www.example.org/c/", "http://example.org/a/") == "in"
    assert was_seeded(shared, "www.example.org")


def test_what_a_redirect_has_brought_into_scope_can_be_taken_out_again() -> None:
    shared = LocalShared()
    scope = Scope(FrontierSettings(), shared)
    scope.add_seed("http://example.org/", "example.org")
    assert scope.refusal("http://example.org/", "http://www.example.org/", "www.example.org") == ""
    assert scope.has("http://www.example.org/x", "www.example.org")

    scope.forget()

    assert not scope.has("http://www.example.org/x", "www.example.org")
    assert scope.has("http://example.org/x", "example.org")


@pytest.mark.parametrize(("target", "expected"), [
    ("https://www.example.org/docs/", "in"),
    ("https://example.org/en/docs/", "in"),
    ("https://example.org/", OUT),                   # what is gone leads to the front page
    ("https://www.example.org/", OUT),
    ("https://example.org/index.html", OUT),
])  # fmt: skip
def test_with_scope_path_a_redirect_above_the_path_of_the_seed_is_not_followed(target: str, expected: str) -> None:
    gate = frontier("https://example.org/docs/", scope="path")

    assert verdict(gate, target, "https://example.org/docs/") == expected
    assert verdict(gate, "https://example.org/blog") == OUT


def test_a_seed_that_leads_to_another_site_is_told_once_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    gate = frontier("https://example.org/")

    for _ in range(3):
        gate.admit(Visit("https://facebook.com/x", history=("https://example.org/",), is_seed=True))

    [said] = caplog.messages
    assert said.startswith("https://example.org/ redirects to https://facebook.com/x, which is another site; it is not crawled")
    assert "frontier.seed_redirects" in said


def test_of_very_many_such_seeds_only_some_are_told(caplog: pytest.LogCaptureFixture) -> None:
    gate = frontier()

    for n in range(100):
        gate.admit(Visit("https://facebook.com/", history=(f"https://{n}.test/",), is_seed=True))

    assert len(caplog.messages) == 10


def test_directories_that_another_worker_adds_are_in_scope_at_once() -> None:
    shared = LocalShared()
    gate = frontier("https://a.test/docs/", shared=shared, scope="path")
    assert verdict(gate, "https://a.test/blog/x") == OUT

    frontier("https://a.test/blog/", shared=shared, scope="path")

    assert verdict(gate, "https://a.test/blog/x") == "in"
