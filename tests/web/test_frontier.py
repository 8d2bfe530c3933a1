"""Which URLs are crawled, in what form, and why others are not."""

from __future__ import annotations

import msgspec
import pytest

from crawler.config.settings import FrontierSettings
from crawler.errors import BadUrl, ConfigError
from crawler.items import New
from crawler.stage import LocalShared
from crawler.web import urls
from crawler.web.frontier import AUTH, Frontier
from crawler.web.page import Visit, Visits
from crawler.web.scope import was_seeded

SEED = "https://example.org/"


@pytest.fixture
def shared() -> LocalShared:
    return LocalShared()


def frontier(shared: LocalShared, **settings: object) -> Frontier:
    made = Frontier(msgspec.convert(settings, FrontierSettings), shared)
    made.seed(SEED)
    return made


def visit_of(new: New | str) -> Visit:
    assert isinstance(new, New), new
    return msgspec.msgpack.decode(new.item, type=Visit)


def link(url: str, depth: int = 1) -> Visit:
    return Visit(url, depth, referrer=SEED)


def test_a_seed_is_canonical_keyed_and_makes_its_host_a_root(shared: LocalShared) -> None:
    new = frontier(shared).seed("HTTP://Example.com:8080/a/../b#c")

    assert visit_of(new) == Visit("http://example.com:8080/b", is_seed=True)
    assert (new.queue, new.key, new.host) == ("urls", urls.key("http://example.com:8080/b"), "example.com:8080")
    assert shared.get("root/example.com:8080") == b"seed"


@pytest.mark.parametrize(("rules", "path"), [
    ({"deny": ["/p"]}, "p"), ({"allow": ["/only"]}, "p"), ({"scope": "path"}, "other/p"), ({"scope": "host"}, "p"),
    ({"max_url_length": 20}, "p" * 100), ({"max_path_depth": 1}, "a/b/c"), ({"max_repeats": 1}, "a/a/a"),
    ({"max_query_keys": 1}, "?a=1&b=2&c=3"), ({"max_depth": 1}, "p"),
])  # fmt: skip
def test_a_seed_is_taken_whatever_the_rules_for_links_and_stays_when_they_change(
    shared: LocalShared, rules: dict[str, object], path: str
) -> None:
    made = frontier(shared, **rules)
    url = f"https://another.test/{path}"

    new = made.seed(url)

    assert visit_of(new) == Visit(url, 0, is_seed=True)
    assert isinstance(made.judge(visit_of(new)), New)
    assert isinstance(made.admit(link(url.replace("another", "third"), depth=2)), str), "as a link it is not taken"


def test_a_seed_that_is_no_url_is_refused(shared: LocalShared) -> None:
    with pytest.raises(BadUrl, match="'not a url'"):
        frontier(shared).seed("not a url")


def test_a_link_carries_its_depth_host_key_and_parent(shared: LocalShared) -> None:
    new = frontier(shared).admit(link("https://example.org:443/a#b", depth=3))

    assert isinstance(new, New)
    assert visit_of(new) == Visit("https://example.org/a", 3, SEED)
    assert (new.depth, new.host, new.parent) == (3, "example.org", urls.key(SEED))


def test_a_bare_url_is_one_step_from_its_parent(shared: LocalShared) -> None:
    assert visit_of(frontier(shared).admit(SEED + "a", Visit(SEED, depth=4))) == Visit(SEED + "a", 5, SEED)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mailto:a@b.c", "not http"),
        ("https://", "not a url"),
        ("https://example.org/" + "a" * 2083, "url too long"),
        ("https://example.org/" + "a" * 100_000, "url too long"),
        ("https://example.org/" + "/".join(map(str, range(21))), "path too deep"),
        ("https://example.org/a/b/a/b/a/b/a/", "path repeats"),
        ("https://example.org/?" + "&".join(f"k{n}=1" for n in range(21)), "too many parameters"),
        ("https://example.net/", "out of scope"),
        ("https://example.org:8443/", "out of scope"),
        ("https://sub.example.org/", "out of scope"),
    ],
)
def test_what_is_not_crawled_is_told_in_stable_words(shared: LocalShared, url: str, reason: str) -> None:
    gate = frontier(shared)

    assert gate.admit(link(url)) == reason
    assert gate.admit(link(url)) == reason


def test_http_and_https_of_a_host_are_one_scope(shared: LocalShared) -> None:
    assert visit_of(frontier(shared).admit(link("http://example.org/"))).url == "http://example.org/"


def test_links_beyond_the_depth_are_skipped_and_others_are_not(shared: LocalShared) -> None:
    gate = frontier(shared, max_depth=2)

    assert visit_of(gate.admit(link(SEED + "a", depth=2)))
    assert gate.admit(link(SEED + "a", depth=3)) == "too deep"


def test_patterns_allow_and_deny(shared: LocalShared) -> None:
    gate = frontier(shared, allow=["/docs/"], deny=[r"\.zip$"])

    assert visit_of(gate.admit(link(SEED + "docs/a")))
    assert gate.admit(link(SEED + "docs/a.zip")) == "denied by pattern"
    assert gate.admit(link(SEED + "blog/")) == "not allowed by pattern"


def test_a_pattern_that_is_none_is_refused_by_name(shared: LocalShared) -> None:
    with pytest.raises(ConfigError, match=r"frontier\.deny: '\('"):
        frontier(shared, deny=["("])


def test_a_root_that_another_worker_adds_is_in_scope_at_once(shared: LocalShared) -> None:
    gate = frontier(shared)
    assert gate.admit(link("https://example.net/a")) == "out of scope"

    Frontier(FrontierSettings(), shared).seed("https://example.net/")

    assert visit_of(gate.admit(link("https://example.net/a")))


def test_where_a_seed_redirects_to_is_in_scope_but_not_allowed_to_be_private(shared: LocalShared) -> None:
    gate = frontier(shared, seed_redirects="any")
    redirected = Visit("https://new.example/", history=(SEED,), is_seed=True)

    new = gate.admit(redirected)

    assert visit_of(new) == redirected
    assert isinstance(new, New)
    assert new.parent == urls.key(SEED)
    assert visit_of(gate.admit(link("https://new.example/a")))
    assert not was_seeded(shared, "new.example")
    assert was_seeded(shared, "example.org")


def test_where_a_link_redirects_to_is_a_link(shared: LocalShared) -> None:
    gate = frontier(shared, seed_redirects="any")

    assert gate.admit(Visit("https://new.example/", 1, history=(SEED + "a",))) == "out of scope"


def test_a_seed_is_a_seed_even_where_something_redirected_to_it_before(shared: LocalShared) -> None:
    gate = frontier(shared, seed_redirects="any")
    gate.admit(Visit("https://new.example/", history=(SEED,), is_seed=True))

    gate.seed("https://new.example/")

    assert was_seeded(shared, "new.example")


def test_a_password_of_a_seed_is_noted_for_its_origin_and_no_part_of_the_task(shared: LocalShared) -> None:
    gate = frontier(shared)

    new = gate.seed("https://me:wo%3Ard@example.org:8443/a")

    assert visit_of(new).url == "https://example.org:8443/a"
    assert (new.key, new.host) == (gate.seed("https://example.org:8443/a").key, "example.org:8443")
    assert b"wo%3Ard" not in new.item
    assert shared.find(AUTH) == {"auth/https://example.org:8443": b"me:wo%3Ard"}


def test_of_two_passwords_for_one_origin_the_last_is_used_and_that_is_said(
    shared: LocalShared, caplog: pytest.LogCaptureFixture
) -> None:
    gate = frontier(shared)

    for typed in ("https://a:1@example.org/x", "https://a:1@example.org/y", "https://b:2@example.org/z"):
        gate.seed(typed)

    assert shared.find(AUTH) == {"auth/https://example.org": b"b:2"}
    [said] = caplog.messages
    assert "given for https://example.org before" in said
    assert "b:2" not in said


def test_a_page_or_a_redirect_gives_nobody_a_password(shared: LocalShared) -> None:
    gate = frontier(shared, scope="any")
    links = ["https://user:word@example.org/b", "https://user:word@example.net/", "https://evil@example.org/c"]

    assert [visit_of(gate.admit(link, Visit(SEED))).url for link in links] == [
        "https://example.org/b", "https://example.net/", "https://example.org/c",
    ]  # fmt: skip
    admitted = gate.admit_all(Visits(links, 1, SEED), list)
    assert [visit_of(task).url for task in admitted.tasks] == [urls.join(SEED, link) for link in links]
    assert shared.find(AUTH) == {}


def test_the_settings_make_keys_and_the_url_is_sent_as_it_was_written(shared: LocalShared) -> None:
    gate = frontier(shared, sort_query=True, drop_params=["utm_*"], strip_www=True)

    odd, plain = gate.admit(link("https://www.example.org/?b&a&utm_id=1")), gate.admit(link("https://example.org/?a&b"))

    assert isinstance(odd, New)
    assert isinstance(plain, New)
    assert visit_of(odd).url == "https://www.example.org/?b&a&utm_id=1"
    assert visit_of(plain).url == "https://example.org/?a&b"
    assert odd.key == plain.key
    assert (odd.host, plain.host) == ("www.example.org", "example.org")


@pytest.mark.parametrize(
    ("history", "url", "is_new"),
    [
        (["/%7Ea"], "/~a", True),  # the site insists on another spelling
        (["/%7Ea", "/b"], "/~a", True),
        (["/~a"], "/~a", False),
        (["/%7Ea", "/~a"], "/%7Ea", False),  # and back: both are known
        (["/b"], "/~a", False),  # another page leads to one that is known
    ],
)
def test_a_redirect_to_another_spelling_of_a_known_page_is_a_task_of_its_own(
    shared: LocalShared, history: list[str], url: str, is_new: bool
) -> None:
    gate = frontier(shared)
    host = SEED.rstrip("/")
    known = gate.admit(link(f"{host}/~a"))

    led = gate.admit(Visit(host + url, history=tuple(host + each for each in history)))

    assert isinstance(known, New)
    assert isinstance(led, New)
    assert visit_of(led).url == host + url
    assert (led.key != known.key) is is_new
    assert gate.admit(Visit(host + url, history=tuple(host + each for each in history))) == led


def test_a_site_that_redirects_to_its_name_without_www_is_asked_there(shared: LocalShared) -> None:
    gate = frontier(shared, strip_www=True, scope="any")
    for start, end in [("https://example.org/", "https://www.example.org/"), ("http://www.example.org/", "https://example.org/"),
                       ("https://www.example.org/a", "https://example.org/b")]:  # fmt: skip
        gate.admit(Visit(end, history=(start,)))
        assert visit_of(gate.admit(link("https://www.example.org/a"))).url == "https://www.example.org/a"

    gate.admit(Visit("https://example.org/b", history=("https://www.example.org/b",)))

    assert visit_of(gate.admit(link("https://www.example.org/d?www.example.org"))).url == "https://example.org/d?www.example.org"
    assert visit_of(gate.admit(link("https://www.other.example.org/"))).url == "https://www.other.example.org/"
    assert visit_of(gate.admit(Visit("https://www.example.org/", history=("https://x.org/",)))).url == "https://www.example.org/"


def test_what_is_remembered_is_bounded(shared: LocalShared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.web.targets._REMEMBERED", 10)
    gate = frontier(shared)

    for n in range(100):
        visit_of(gate.admit(link(f"{SEED}{n}")))

    assert len(gate._targets) <= 10
