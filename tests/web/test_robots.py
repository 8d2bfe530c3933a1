"""robots.txt against Google's parser tests, and what they leave out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.web.robots import MAX_BYTES, Robots
from tests import cases

# (robots.txt ends with, URL): why we answer otherwise than Google's parser
DEVIATIONS = {
    ("Allow: /foo/bar/ツ\n", "http://foo.bar/foo/bar/ツ"): "their caller encodes the URL first, ours need not",
    ("Allow: /foo/bar/%E3%83%84\n", "http://foo.bar/foo/bar/ツ"): "the same",
    ("Allow: /foo/bar/%62%61%7A\n", "http://foo.bar/foo/bar/baz"): "RFC 9309 §2.2.2: unreserved octets are decoded",
    ("Allow: /x/\nDisallow: /\n", "http://foo.bar/x/y"): "their caller gives a token, ours a User-Agent, which begins with one",
}


def test_google_s_parser_tests() -> None:
    rows = cases.load("google_robots_test.json", "the tests of Google's robots.txt parser")["cases"]

    wrong = [
        (case["robots_txt"], case["user_agent"], case["url"])
        for case in rows
        if Robots(case["robots_txt"].encode()).allowed(case["user_agent"], case["url"]) != case["allowed"]
    ]

    assert len(rows) > 100
    assert len(wrong) == len(DEVIATIONS)
    assert all(any(text.endswith(end) and url == target for end, target in DEVIATIONS) for text, _, url in wrong)


def rules(*lines: str) -> Robots:
    return Robots("\n".join(lines).encode())


def test_groups_of_one_agent_are_one_group() -> None:
    robots = rules("User-agent: a", "Disallow: /1", "", "User-agent: b", "Disallow: /2", "", "User-agent: A", "Disallow: /3")

    assert [robots.allowed("a", f"/{n}") for n in (1, 2, 3)] == [False, True, False]


def test_an_agent_with_a_group_of_its_own_is_not_bound_by_the_group_for_all() -> None:
    robots = rules("User-agent: *", "Disallow: /", "Crawl-delay: 9", "User-agent: crawler", "Disallow: /x")

    assert robots.allowed("crawler/1.0 (+https://example.org)", "http://h/y")
    assert robots.delay("crawler/1.0") is None
    assert not robots.allowed("other", "http://h/y")
    assert robots.delay("other") == 9.0


def test_the_longest_match_decides_and_allow_wins_a_tie() -> None:
    robots = rules("User-agent: *", "Disallow: /a", "Allow: /a/b", "Disallow: /tie", "Allow: /tie")

    assert not robots.allowed("x", "http://h/a/c")
    assert robots.allowed("x", "http://h/a/b/c")
    assert robots.allowed("x", "http://h/tie")


def test_the_line_that_decided_can_be_told() -> None:
    robots = rules("# ours", "User-agent: *", "Disallow: /private  # keep out", "Allow: /")

    ruling = robots.why("x", "http://h/private/1")

    assert (ruling.allowed, ruling.line, ruling.number) == (False, "Disallow: /private", 3)
    assert str(ruling) == "Disallow: /private (line 3)"
    assert str(Robots().why("x", "http://h/")) == "no rule for this URL"


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/*.php$", "/a.php", True),
        ("/*.php$", "/a.php?b", False),
        ("/a*b*c", "/a-b-c-d", True),
        ("/a*b$", "/ab", True),
        ("/ab*b$", "/ab", False),
        ("/*$", "/anything", True),
        ("*", "/anything", True),
        ("/a$b", "/a$b", True),
        ("/a%2Ab", "/a*b", True),
        ("/%7euser", "/~user", True),
        ("/a%2fb", "/a%2Fb", True),
        ("/a%2fb", "/a/b", False),
        ("/ü", "/%C3%BC", True),
        ("/a{b}", "/a%7Bb%7D", True),
        ("/?q=", "/?q=1", True),
        ("private", "/private", False),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert rules("User-agent: *", f"Disallow: {pattern}").allowed("x", f"http://h{path}") is not matches


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks(end: bytes, mark: bytes) -> None:
    robots = Robots(mark + end.join([b"User-agent: *", b"Disallow: /x", b"Sitemap: http://h/s.xml"]))

    assert not robots.allowed("a", "/x")
    assert robots.sitemaps == ["http://h/s.xml"]


def test_utf_16_with_a_byte_order_mark_is_read() -> None:
    assert not Robots("\ufeffUser-agent: *\nDisallow: /x".encode("utf-16-le")).allowed("a", "/x")


def test_bytes_of_another_encoding_match_their_percent_encoding() -> None:
    assert not Robots("User-agent: *\nDisallow: /ü".encode("latin-1")).allowed("a", "/%FC")


def test_only_500_kib_are_read_and_no_half_line_is() -> None:
    start = b"User-agent: *\nDisallow: /a\n"
    half = b"Disallow: /b"
    filler = b"#" * (MAX_BYTES - len(start) - len(half) - 1) + b"\n"

    robots = Robots(start + filler + half + b"/c\nDisallow: /d\n")

    assert [robots.allowed("x", f"/{path}") for path in ("a", "b", "d")] == [False, True, True]


@pytest.mark.parametrize(
    ("value", "delay"), [("10", 10.0), ("0.5", 0.5), ("10 # s", 10.0), ("-1", None), ("nan", None), ("inf", None), ("ten", None)]
)
def test_crawl_delay(value: str, delay: float | None) -> None:
    assert rules("User-agent: *", f"Crawl-delay: {value}").delay("x") == delay


def test_a_crawl_delay_is_of_the_agents_named_before_it_and_ends_no_group() -> None:
    robots = rules("User-agent: slow", "Crawl-delay: 5", "User-agent: *", "Disallow: /x")

    assert (robots.delay("slow"), robots.delay("other")) == (5.0, None)
    assert not robots.allowed("slow", "/x")


def test_robots_txt_itself_is_allowed() -> None:
    assert rules("User-agent: *", "Disallow: /").allowed("x", "http://h/robots.txt")


@pytest.mark.slow
@given(st.binary(max_size=300), st.text(max_size=40))
def test_garbage_never_raises(data: bytes, text: str) -> None:
    robots = Robots(b"User-agent: *\nDisallow: " + data)

    assert robots.allowed(text, text) in (True, False)
    assert Robots(text).delay(text) is None


def test_a_pattern_of_many_wildcards_is_matched_in_no_time() -> None:
    robots = rules("User-agent: *", *["Disallow: /" + "a*" * 4000 + "b$"] * 10)

    assert robots.allowed("x", "http://h/" + "a" * 8000)
