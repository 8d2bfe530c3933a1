"""Patterns of users: what they match is what `re` says, and no URL makes them take long."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.config.settings import FrontierSettings
from crawler.errors import ConfigError
from crawler.web.pattern_cost import FOR_EVER, search_cost
from crawler.web.pattern_tree import Untranslatable, read, written
from crawler.web.patterns import searches
from crawler.web.targets import Target, Targets

LONGEST = 2083  # as frontier.max_url_length
URLS = [
    "https://www.example.org/", "https://www.example.org/blog/2024/05/12/some-title.html", "http://e.org/a.jpg?w=300",
    "http://e.org/a.PDF",
    "https://shop.example.org/en/shoes?page=3&sort=price&utm_source=x", "http://e.org/tag/a/b/", "http://e.org/product-123.html",
    "http://e.org/%C3%A9", "http://[::1]:8080/x;y=(1)|{a}^$*+", "http://e.org/search/?q=login", "http://e.org/a/b/c/d?x=1/2/x",
    "https://example.com/de/a-b_c/", "http://e.org/calendar/2024-05-12",
]  # fmt: skip

# Patterns that people write. They are taken with RE2 and without.
ORDINARY = [
    r"/blog/", r"[?]", r"\?", r"^https://www\.example\.org/", r"\.html$", r"\.(jpg|png|gif)$",
    r"\.(jpe?g|png|gif|svg|css|js|ico|woff2?)(\?.*)?$",
    r".*\.(jpg|png)(\?.*)?$", r"(?i)\.pdf$", r"(?i:\.PDF)$", r".*/tag/.*", r"^.*/tag/.*$", r"/\d{4}/\d{2}/",
    r"/\d{4}/\d{2}/\d{2}/[^/]+\.html$",
    r"/calendar/\d{4}-\d\d-\d\d", r"[?&](utm_|sid=)", r"[?&]page=\d+", r"[?&]sort=(price|name)(&|$)",
    r"/(login|signup|cart|account)\b",
    r"^https?://[^/]+/blog/", r"^https?://[^/]+/$", r"^https?://[^/]+/([a-z0-9-]+/)*$",
    r"^https?://(www\.)?example\.(com|org)/",
    r"^https?://([a-z0-9-]+\.)*example\.org/", r"/product-\d+\.html", r"-\d+\.html$", r"\d+\.html$", r"/[^/]+\.html$",
    r"/en/.*\.html",
    r"/blog/.*/x", r"^(?!.*(login|cart)).*$", r"^(?!.*\.pdf$)", r"/(?!admin/)", r"(?<!/de)/shoes",
    r"^https://example\.com/(en|de)/[\w-]+/?$",
    r"/p/\w{8}-\w{4}-\w{4}/", r"^[^?]*$", r"^[^?]+\?[^&]*$", r"search/?(\?|$)", r"(/a/|/b/|/c/)", r"/(a|b)/(c|d)/", r"#", r"",
    r"^", r".", r".+",
    r"/%C3%A9", r"\bblog\b", r"[/]wp-(admin|content|json)[/]", r";jsessionid=[0-9A-F]{32}", r"(?x) /blog/ # all of it",
]  # fmt: skip

# Patterns that `re` can take for ever for, or seconds: RE2 takes them, without it they are refused.
DANGEROUS = [
    r"(a+)+$", r"(a*)*b", r"(a|aa)+$", r"(.*a){20}x", r"^(\w+\s?)*$", r".*/(.*)*/x", r"^https?://[^/]+/(\w+/?)+\.html$",
    r"(\d+-?)+\.html",
    r"^https?://[^/]+/([a-z0-9-]+/?)*$", r"([a-z]+\.?)+\.php", r"(/[^/]*)*\.pdf$", r"((a+)b?)+$", r"(x+x+)+y",
    r"(?:(?:[a-z]-?)+/?)+$",
    r".*/.*/.*\?.*page=.*", r"/a/.*/b/.*/c/.*/d", r"[\w-]+-[\w-]+-[\w-]+\.html", r"(a{1,30}){1,30}b", r"(a?){60}a{60}",
    r"(.*,){12}P", r"([^?]*/)*x$",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
]  # fmt: skip

# Those that RE2 cannot take either.
REFUSED = [
    r"(?=(a+)+$)", r"(?!(a+)+b)a", r"^(a+)+(?!b)", r"(a|aa)+(?<!b)$", r"(.)(\1+)+x", r"(?:(a)|b)(?(1)a+|(b+)+)", r"(?>(a+)+b)",
    r"(?!.*/.*/.*/x).*y",
]  # fmt: skip


@pytest.fixture
def without_re2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)


def hostile(pattern: str, longest: int = LONGEST) -> Iterator[str]:
    """Long URLs of what the pattern itself is made of, which do not quite match."""
    pieces = {*re.findall(r"[A-Za-z0-9]+|[-/.?&=_,%]", pattern), "a", "0", "/", "a/", "-", "0-", "aa.", "/a/b", "x", "a,"}
    for piece in sorted(pieces):
        for start in ("", "http://h/", "http://h/a/", "/"):
            yield (start + piece * longest)[: longest - 1] + "!"
            yield (start + piece * longest)[:longest]


def cpu_of(pattern: str) -> float:
    """Search for a pattern in a process that is ended after some seconds of CPU; return those it took."""
    resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
    (search,) = searches("frontier.deny", [pattern], LONGEST)
    texts = list(hostile(pattern))
    start = time.process_time()
    for text in texts:
        search(text)
    return (time.process_time() - start) / len(texts)


@pytest.mark.parametrize("pattern", ORDINARY)
def test_an_ordinary_pattern_matches_what_re_matches(pattern: str) -> None:
    (search,) = searches("frontier.allow", [pattern], LONGEST)

    assert [bool(search(url)) for url in URLS] == [bool(re.search(pattern, url)) for url in URLS]


@pytest.mark.parametrize("pattern", DANGEROUS)
def test_a_dangerous_pattern_matches_what_re_matches(pattern: str) -> None:
    (search,) = searches("frontier.allow", [pattern], LONGEST)
    short = ["a", "aaa", "aaab", "xy", "/a/x", "//x", "a1.html", "1-1.html", "http://h/a/b", "aB", "a.php", "/a/b/c/d", "a,a,P"]

    assert [bool(search(text)) for text in short] == [bool(re.search(pattern, text)) for text in short]


@pytest.mark.usefixtures("without_re2")
@pytest.mark.parametrize("pattern", ORDINARY)
def test_an_ordinary_pattern_is_taken_without_re2(pattern: str) -> None:
    (search,) = searches("frontier.allow", [pattern], LONGEST)

    assert [bool(search(url)) for url in URLS] == [bool(re.search(pattern, url)) for url in URLS]


@pytest.mark.usefixtures("without_re2")
@pytest.mark.parametrize("pattern", DANGEROUS)
def test_a_dangerous_pattern_is_refused_without_re2(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"^frontier\.deny: .* can take (for ever|seconds) on a .*re2\]") as refused:
        searches("frontier.deny", [pattern], LONGEST)

    assert repr(pattern) in str(refused.value)


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_no_engine_bounds_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"made for it: .* do without look-around"):
        searches("frontier.deny", [pattern], LONGEST)


def test_every_bad_pattern_is_named_by_its_setting() -> None:
    with pytest.raises(ConfigError, match=r"frontier\.allow: '\(' is not a regular expression"):
        Targets(FrontierSettings(allow=["("]))


@pytest.mark.slow
def test_no_pattern_that_is_taken_takes_long_on_a_hostile_url() -> None:
    with get_context("spawn").Pool(1) as child:
        longest = child.map(cpu_of, [*ORDINARY, *DANGEROUS])

    assert max(longest) < 0.1, max(zip(longest, [*ORDINARY, *DANGEROUS], strict=True))


def test_a_link_that_is_made_for_a_pattern_is_judged_like_any_other() -> None:
    targets = Targets(FrontierSettings(deny=["(a+)+$", r"^https?://[^/]+/(\w+/?)+\.html$"]))

    assert isinstance(targets.of(f"http://h/{'a' * 2000}!"), Target)
    assert targets.of(f"http://h/{'a' * 2000}") == "denied by pattern"


# Random patterns of all that the grammar has, nested.
atoms = st.sampled_from(["a", "b", "/", r"\d", r"\w", ".", "[^/]", "[a-c]", "[^b]", r"\.", "(?i:A)", "é", r"\W", "[-a]"])
edges = st.sampled_from(["^", "$", r"\b", r"\B", r"\A", r"\Z"])
counts = st.sampled_from(["*", "+", "?", "*?", "+?", "{2}", "{1,3}", "{2,}", "{0}", "{,2}", "*+", "{70}", "{1,90}"])
looks = st.sampled_from(["(?=", "(?!", "(?>", "(?:"])
patterns = st.recursive(
    atoms | edges,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, counts).map(lambda both: f"(?:{both[0]}){both[1]}"),
        st.tuples(looks, inner).map(lambda both: f"{both[0]}{both[1]})"),
        inner.map(lambda part: f"({part})"),
    ),
    max_leaves=8,
)
pieces = st.sampled_from(["a", "b", "c", "/", "1", ".", "-", "A", "ab", "aaaa", "/a/"])
texts = st.lists(pieces, min_size=1, max_size=12).map("".join)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(patterns, st.lists(texts, min_size=1, max_size=5))
def test_the_form_for_re2_matches_what_re_matches(pattern: str, given_texts: list[str]) -> None:
    re2 = pytest.importorskip("re2")
    try:
        translated = written(read(pattern))
        compiled = re2.compile(translated)
    except (Untranslatable, re2.error):
        return

    for text in given_texts:
        assert bool(compiled.search(text)) == bool(re.search(pattern, text)), (translated, text)


@pytest.mark.soak
@settings(max_examples=3_000, deadline=None)
@given(patterns, texts)
def test_what_is_estimated_to_be_linear_takes_re_no_longer(pattern: str, text: str) -> None:
    cost = search_cost(read(pattern))
    if cost.power > 1 or cost.at(LONGEST) > 1_000_000:
        return

    start = time.process_time()
    re.search(pattern, (text * LONGEST)[: LONGEST - 1] + "!")

    assert time.process_time() - start < 0.5, (pattern, cost)


@pytest.mark.parametrize(
    ("pattern", "power"),
    [
        ("abc", 1), ("a*b", 2), ("^a*b", 1), ("/[^/]+x", 1), ("a*", 1), ("a*$", 2), (".*$", 1), ("/.*$", 1), ("/a.*b", 2),
        ("^.*a.*b", 2),
        ("(a+)+", 1), ("(a+)+b", FOR_EVER), ("(a+){20}", 21), ("(.*){20,}$", FOR_EVER), ("([^/]+/)*x", 2), ("^([^/]+/)*x", 1),
        ("(a|b)*c", 2), ("^(a|b)*c", 1), ("^(a|ab)*c", 1), ("^(a|aa)*c", FOR_EVER),
        ("^a*(?=.*x)b", 2), ("^(a(?=.*x))*b", 2), ("^(?:a(?=.*x)/)*b", 2), ("(?!.*x)y", 2), ("^a++b", 1), (r"(a)\1*", FOR_EVER),
        (r"^\w+\b!", 1), (r"a*\b", 2), (r"a*(?!b)", 2), ("^a{3}b{2,5}c{70}", 1), ("a{1,90}b", 2),
        (r"^(?:\b){1,3}a", 1), ("^(a?){60}a{60}", 1),
    ],
)  # fmt: skip
def test_an_estimate(pattern: str, power: int) -> None:
    assert search_cost(read(pattern)).power == power
