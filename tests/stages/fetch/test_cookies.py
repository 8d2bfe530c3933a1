"""The cookie jar against RFC 6265bis: what a host sets, and what goes back to which URL."""

from __future__ import annotations

import pytest

from crawler import Url
from crawler_stages.fetch.cookies import MAX_COOKIES, MAX_OF_SITE, MAX_SENT, SITES, Cookies
from crawler_stages.fetch.set_cookie import MAX_ATTRIBUTE, MAX_COOKIE, MAX_LIFE, read_date

NOW = 1_800_000_000.0  # 15 January 2027


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def jar(clock: Clock | None = None) -> Cookies:
    return Cookies(clock or Clock())


def back(set_from: str, headers: list[str], asked: str) -> str:
    """What goes to the URL `asked` after a reply of `set_from` with these Set-Cookie headers."""
    cookies = jar()
    cookies.learn(Url.parse(set_from), headers)
    return cookies.of(Url.parse(asked))


HOME = "http://home.example.org/cookie-parser"

# Set-Cookie headers, and what goes back to the same URL. In the manner of http-state's parser tests.
PARSED = {
    "a pair": (["foo=bar"], "foo=bar"),
    "two headers": (["foo=bar", "baz=qux"], "foo=bar; baz=qux"),
    "the last value of a name": (["foo=bar", "baz=qux", "foo=new"], "foo=new; baz=qux"),
    "set and deleted in one reply": (["foo=bar", "foo=; Max-Age=0"], ""),
    "deleted and set in one reply": (["foo=; Max-Age=0", "foo=bar"], "foo=bar"),
    "deleted by a date": (["foo=bar", "baz=1", "foo=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "baz=1"),
    "another path is not deleted": (["foo=bar; Path=/", "foo=; Max-Age=0; Path=/cookie-parser/"], "foo=bar"),
    "blanks around name and value": ([" \tfoo \t=\t bar \t; x"], "foo=bar"),
    "blanks inside a name": (["foo bar=baz"], "foo bar=baz"),
    "more equals signs": (["foo==bar=baz"], "foo==bar=baz"),
    "an empty value": (["foo="], "foo="),
    "an empty value in quotes": (['foo=""'], 'foo=""'),
    "quotes belong to the value": (['foo="bar"; Path=/'], 'foo="bar"'),
    "a semicolon ends a quoted value": (['foo="bar;baz"'], 'foo="bar'),
    "a comma divides nothing": (["foo=bar, baz=qux"], "foo=bar, baz=qux"),
    "bytes beyond ASCII": (["foo=\xc3\xbc\xff"], "foo=\xc3\xbc\xff"),
    "no equals sign: a value without a name": (["foo"], "foo"),
    "an equals sign first: a value without a name": (["=foo"], "foo"),
    "one cookie without a name": (["foo", "=bar"], "bar"),
    "neither name nor value": (["=", "", ";Path=/", "  =  ; Path=/"], ""),
    "a control character": (["foo=b\x07r", "f\x01o=bar", "foo=bar; Path=/\x7f", "a=\rb"], ""),
    "a tab is none": (["foo=b\tr"], "foo=b\tr"),
    "name and value at the limit": (["f=" + "x" * (MAX_COOKIE - 1)], "f=" + "x" * (MAX_COOKIE - 1)),
    "name and value above it": (["f=" + "x" * MAX_COOKIE], ""),
    "a long attribute is ignored, not the cookie": (["foo=bar; Domain=" + "x" * (MAX_ATTRIBUTE + 1)], "foo=bar"),
    "a long path is ignored": (["foo=bar; Path=/q" + "x" * MAX_ATTRIBUTE], "foo=bar"),
    "version": (["foo=bar; version=1000"], "foo=bar"),
    "version and other old attributes": (["foo=bar; Version=1; Comment=x; Port=\"80\"; Discard"], "foo=bar"),
    "unknown attributes": (["foo=bar; nonsense; x=y; =; ;;; SameSite=Strict; Partitioned; HttpOnly"], "foo=bar"),
    "attributes in any case": (["foo=bar; mAx-aGe=0"], ""),
    "blanks around attributes": (["foo=bar;  Max-Age \t= \t0 "], ""),
    "Secure over plain HTTP": (["foo=bar; Secure"], ""),
    "Secure with an equals sign": (["foo=bar; secure="], ""),
    "Secure with a value": (["foo=bar; SECURE=no"], ""),
    "Secure among others": (["foo=bar;Path=/;secure;x"], ""),
    "not Secure": (["foo=bar; Secured; x=secure"], "foo=bar"),
    "Path without a value": (["foo=bar; Path"], "foo=bar"),
    "Path with an empty value": (["foo=bar; Path="], "foo=bar"),
    "a relative Path": (["foo=bar; Path=qux"], "foo=bar"),
    "a Path in quotes": (['foo=bar; Path="/qux"'], "foo=bar"),
    "another Path": (["foo=bar; Path=/qux"], ""),
    "the last Path": (["foo=bar; Path=/qux; Path=/", "baz=1; Path=/; Path=/qux"], "foo=bar"),
    "the last Path without a value": (["foo=bar; Path=/qux; Path"], "foo=bar"),
    "Domain without a value": (["foo=bar; Domain"], "foo=bar"),
    "Domain with an empty value": (["foo=bar; domain="], "foo=bar"),
    "Domain of a dot": (["foo=bar; domain=."], "foo=bar"),
    "the last Domain": (["foo=bar; Domain=x.test; Domain=example.org", "a=1; Domain=example.org; Domain=x.test"], "foo=bar"),
    "the last Domain without a value": (["foo=bar; Domain=other.test; Domain="], "foo=bar"),
    "Max-Age": (["foo=bar; Max-Age=10000"], "foo=bar"),
    "Max-Age below zero": (["foo=bar; Max-Age=-1"], ""),
    "Max-Age without end": (["foo=bar; Max-Age=" + "9" * 500], "foo=bar"),
    "Max-Age of words": (["foo=bar; Max-Age=soon", "a=1; Max-Age=+1", "b=1; Max-Age=1.5", "c=1; Max-Age=", "d=1; Max-Age=--1"],
                         "foo=bar; a=1; b=1; c=1; d=1"),
    "the last Max-Age": (["foo=bar; Max-Age=0; Max-Age=50", "a=1; Max-Age=50; Max-Age=0"], "foo=bar"),
    "the last Max-Age that can be read": (["foo=bar; Max-Age=0; Max-Age=x"], ""),
    "Max-Age outranks Expires": (["foo=bar; Max-Age=50; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                                  "a=1; Max-Age=0; Expires=Thu, 01 Jan 2099 00:00:00 GMT"], "foo=bar"),
    "Expires that cannot be read": (["foo=bar; Expires=yesterday"], "foo=bar"),
    "the last Expires": (["foo=bar; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=Thu, 01 Jan 2099 00:00:00 GMT"], "foo=bar"),
    "__Secure- over plain HTTP": (["__Secure-foo=bar; Secure", "__Secure-a=1"], ""),
    "__Host- over plain HTTP": (["__Host-foo=bar; Secure; Path=/", "__Host-a=1; Path=/"], ""),
    "a name that only contains a prefix": (["x__Host-foo=bar"], "x__Host-foo=bar"),
}  # fmt: skip


@pytest.mark.parametrize("name", PARSED)
def test_a_set_cookie_header_is_read_as_in_browsers(name: str) -> None:
    headers, sent = PARSED[name]

    assert back(HOME, headers, HOME) == sent


# the URL that sets it, the header, a URL, whether it goes there
GOES = [
    # §5.1.3, domain-match; the public suffix list
    ("http://example.org/", "a=1", "http://example.org/x", True),
    ("http://example.org/", "a=1", "http://www.example.org/", False),
    ("http://example.org/", "a=1", "http://example.com/", False),
    ("http://example.org/", "a=1; Domain=example.org", "http://a.b.example.org/", True),
    ("http://a.b.example.org/", "a=1; Domain=example.org", "http://example.org/", True),
    ("http://a.b.example.org/", "a=1; Domain=.example.org", "http://c.example.org/", True),
    ("http://a.b.example.org/", "a=1; Domain=EXAMPLE.Org", "http://c.example.org/", True),
    ("http://a.b.example.org/", "a=1; Domain=..example.org", "http://a.b.example.org/", False),
    ("http://a.b.example.org/", "a=1; Domain=example.org.", "http://a.b.example.org/", False),
    ("http://a.b.example.org/", "a=1; Domain=b.example.org", "http://c.example.org/", False),
    ("http://example.org/", "a=1; Domain=www.example.org", "http://www.example.org/", False),
    ("http://www.example.org/", "a=1; Domain=ample.org", "http://ample.org/", False),
    ("http://www.example.org/", "a=1; Domain=org", "http://www.example.org/", False),
    ("http://www.example.co.uk/", "a=1; Domain=co.uk", "http://www.example.co.uk/", False),
    ("http://me.github.io/", "a=1; Domain=github.io", "http://you.github.io/", False),
    ("http://github.io/", "a=1; Domain=github.io", "http://github.io/", True),
    ("http://github.io/", "a=1; Domain=github.io", "http://me.github.io/", False),
    ("http://localhost/", "a=1; Domain=localhost", "http://localhost/", True),
    ("http://localhost/", "a=1; Domain=.localhost", "http://localhost/", True),
    ("http://localhost/", "a=1; Domain=local", "http://localhost/", False),
    ("http://127.0.0.1/", "a=1; Domain=127.0.0.1", "http://127.0.0.1/", True),
    ("http://127.0.0.1/", "a=1; Domain=0.0.1", "http://127.0.0.1/", False),
    ("http://[::1]/", "a=1", "http://[::1]/", True),
    ("http://b\xfccher.example/", "a=1; Domain=xn--bcher-kva.example", "http://www.xn--bcher-kva.example/", True),
    ("http://b\xfccher.example/", "a=1; Domain=b\xfccher.example", "http://b\xfccher.example/", False),
    ("http://example.org/", "a=1; Domain=example.org:80", "http://example.org/", False),
    # a port is no other host (§8.5), nor is a scheme unless the cookie is Secure
    ("http://example.org/", "a=1", "http://example.org:8080/", True),
    ("http://example.org/", "a=1", "https://example.org/", True),
    ("https://example.org/", "a=1", "http://example.org/", True),
    ("https://example.org/", "a=1; Secure", "https://example.org/", True),
    ("https://example.org/", "a=1; Secure", "http://example.org/", False),
    # §5.1.4, paths
    ("http://h.test/a/b", "a=1", "http://h.test/a", True),
    ("http://h.test/a/b", "a=1", "http://h.test/a/", True),
    ("http://h.test/a/b", "a=1", "http://h.test/a/c?d", True),
    ("http://h.test/a/b", "a=1", "http://h.test/ab", False),
    ("http://h.test/a/b", "a=1", "http://h.test/", False),
    ("http://h.test/a/b/", "a=1", "http://h.test/a/b", True),
    ("http://h.test/a", "a=1", "http://h.test/", True),
    ("http://h.test/", "a=1", "http://h.test/a/b", True),
    ("http://h.test/a/b?c=/d/e", "a=1", "http://h.test/a/x", True),
    ("http://h.test/a", "a=1; Path=/b", "http://h.test/b", True),
    ("http://h.test/a", "a=1; Path=/b", "http://h.test/bc", False),
    ("http://h.test/a", "a=1; Path=/b/", "http://h.test/b", False),
    ("http://h.test/a", "a=1; Path=/b/", "http://h.test/b/c", True),
    ("http://h.test/a", "a=1; Path=/B", "http://h.test/b", False),
    ("http://h.test/a", "a=1; Path=/%41", "http://h.test/A", False),
    # §4.1.3, prefixes
    ("https://h.test/a", "__Secure-a=1; Secure", "https://h.test/", True),
    ("https://h.test/a", "__Secure-a=1", "https://h.test/", False),
    ("https://www.h.test/a", "__Secure-a=1; Secure; Domain=h.test; Path=/", "https://h.test/", True),
    ("https://h.test/a", "__Host-a=1; Secure; Path=/", "https://h.test/", True),
    ("https://h.test/a", "__HOST-a=1; Secure", "https://h.test/", False),
    ("https://h.test/a/b", "__Host-a=1; Secure", "https://h.test/a/b", False),
    ("https://h.test/a", "__Host-a=1; Path=/", "https://h.test/", False),
    ("https://www.h.test/a", "__Host-a=1; Secure; Path=/; Domain=h.test", "https://www.h.test/", False),
    ("https://h.test/a", "__Host-a=1; Secure; Path=/; Domain=", "https://h.test/", True),
    ("https://h.test/a", "=__Host-a=1; Secure; Path=/", "https://h.test/", False),
    ("https://h.test/a", "__Secure-a; Secure", "https://h.test/", False),
]


@pytest.mark.parametrize(("set_from", "header", "asked", "goes"), GOES)
def test_a_cookie_goes_where_the_standard_sends_it(set_from: str, header: str, asked: str, goes: bool) -> None:
    assert bool(back(set_from, [header], asked)) is goes


def test_longer_paths_go_first_and_then_what_was_set_earlier() -> None:
    headers = ["a=1; Path=/", "b=2; Path=/x", "c=3; Path=/x/y", "d=4; Path=/x", "a=5; Path=/", "e=6; Path=/"]

    assert back("http://h.test/", headers, "http://h.test/x/y/z") == "c=3; b=2; d=4; a=5; e=6"


def test_a_cookie_of_the_host_and_one_of_its_domain_are_two() -> None:
    assert back("http://h.test/", ["a=1", "a=2; Domain=h.test"], "http://h.test/") == "a=1; a=2"
    assert back("http://h.test/", ["a=1", "a=2; Domain=h.test"], "http://www.h.test/") == "a=2"


@pytest.mark.parametrize(
    ("header", "is_left"),
    [("a=2", True), ("a=2; Domain=h.test", True), ("a=2; Path=/x/y", True), ("a=2; Path=/", False), ("b=2", False)],
)
def test_plain_http_does_not_take_the_place_of_a_secure_cookie(header: str, is_left: bool) -> None:
    cookies = jar()
    cookies.learn(Url.parse("https://www.h.test/x/"), ["a=1; Secure; Domain=h.test"])

    assert cookies.learn(Url.parse("http://www.h.test/x/"), [header]) is not is_left
    assert "a=1" in cookies.of(Url.parse("https://www.h.test/x/y"))


def test_learning_says_whether_anything_has_changed() -> None:
    cookies, url = jar(), Url.parse("http://h.test/")

    assert cookies.learn(url, ["a=1"])
    assert not cookies.learn(url, ["a=1"])
    assert not cookies.learn(url, ["a=1; Max-Age=60"])
    assert cookies.learn(url, ["a=2"])
    assert not cookies.learn(url, ["b=1; Max-Age=0", "c=1; Domain=other.test", "=", "d=1; Secure"])
    assert cookies.learn(url, ["a=2; Max-Age=0"])
    assert not cookies.learn(url, [])


@pytest.mark.parametrize(("age", "life"), [("60", 60.0), ("1000000000", MAX_LIFE)])
def test_a_cookie_ends_at_its_time_and_after_400_days_at_the_latest(age: str, life: float) -> None:
    clock, url = Clock(), Url.parse("http://h.test/")
    cookies = jar(clock)
    cookies.learn(url, [f"a=1; Max-Age={age}", "b=2"])

    clock.now = NOW + life - 1
    assert cookies.of(url) == "a=1; b=2"
    clock.now = NOW + life
    assert cookies.of(url) == "b=2"


def test_cookies_are_bounded_by_domain_site_and_in_all() -> None:
    cookies, url = jar(), Url.parse("http://www.h.test/")
    cookies.learn(url, [f"c{n}=1" for n in range(2 * MAX_COOKIES)])
    assert cookies.of(url).split("; ") == [f"c{n}=1" for n in range(MAX_COOKIES, 2 * MAX_COOKIES)]

    for n in range(2 * MAX_OF_SITE):
        cookies.learn(Url.parse(f"http://w{n}.h.test/"), ["a=1"])
    assert sum(bool(cookies.of(Url.parse(f"http://w{n}.h.test/"))) for n in range(2 * MAX_OF_SITE)) == MAX_OF_SITE

    for n in range(SITES + 1):
        cookies.learn(Url.parse(f"http://h{n}.test/"), ["a=1"])
    assert cookies.of(Url.parse("http://h0.test/")) == ""
    assert cookies.of(Url.parse(f"http://h{SITES}.test/")) == "a=1"


def test_a_header_is_bounded_and_has_the_newest_cookies_in_their_order() -> None:
    cookies, url = jar(), Url.parse("http://h.test/")
    cookies.learn(url, [f"c{n}={'x' * 4_000}" for n in range(10)])
    assert [pair.partition("=")[0] for pair in cookies.of(url).split("; ")] == ["c7", "c8", "c9"]

    cookies.learn(url, ["small=1", *(f"d{n}={'x' * 3_000}" for n in range(4))])
    assert [pair.partition("=")[0] for pair in cookies.of(url).split("; ")] == ["small", "d0", "d1", "d2", "d3"]
    assert len(cookies.of(url)) <= MAX_SENT


def test_of_too_many_the_one_not_used_for_longest_goes_and_secure_ones_last() -> None:
    cookies, url = jar(), Url.parse("https://h.test/")
    rest = [f"c{n}=1; Path=/y" for n in range(MAX_COOKIES - 2)]
    cookies.learn(url, ["safe=1; Secure; Path=/y", "used=1; Path=/x", *rest])
    cookies.of(Url.parse("https://h.test/x"))

    cookies.learn(url, ["new=1; Path=/x", "newer=1; Path=/x"])

    assert cookies.of(Url.parse("https://h.test/x")) == "used=1; new=1; newer=1"
    assert cookies.of(Url.parse("https://h.test/y")).split("; ") == ["safe=1", *(f"c{n}=1" for n in range(2, MAX_COOKIES - 2))]


def test_sites_without_cookies_take_no_room() -> None:
    cookies = jar()
    cookies.learn(Url.parse("http://first.test/"), ["a=1"])

    for n in range(2 * SITES):
        cookies.learn(Url.parse(f"http://h{n}.test/"), ["a=1; Max-Age=0"])

    assert cookies.of(Url.parse("http://first.test/")) == "a=1"


# §5.1.1, in the manner of http-state's dates
DATES = {
    "Sun, 06 Nov 1994 08:49:37 GMT": 784111777.0,
    "Sunday, 06-Nov-94 08:49:37 GMT": 784111777.0,
    "Sun Nov  6 08:49:37 1994": 784111777.0,
    "1994 Nov 6 08:49:37": 784111777.0,
    "08:49:37 6 November 1994": 784111777.0,
    "6-nov-1994-08:49:37": 784111777.0,
    "Sun, 06 Nov 1994 08:49:37 +0500": 784111777.0,  # zones say nothing
    "Sun, 06 Nov 1994 08:49:37x GMT": 784111777.0,
    "Sun, 06th Nov 1994 08:49:37": 784111777.0,
    "06 Novx 1994AD 8:49:37": 784111777.0,
    "1 Jan 70 0:0:0": 0.0,
    "1 Jan 69 0:0:0": 3124224000.0,
    "1 Jan 99 0:0:0": 915148800.0,
    "1 Jan 00 0:0:0": 946684800.0,
    "1 Jan 1601 00:00:00": -11644473600.0,
    "29 Feb 2096 00:00:00": 3981312000.0,
    "1 Jan 1600 00:00:00": None,
    "1 Jan 100 00:00:00": None,
    "29 Feb 2095 00:00:00": None,
    "31 Nov 1994 08:49:37": None,
    "0 Nov 1994 08:49:37": None,
    "32 Nov 1994 08:49:37": None,
    "06 Nov 1994 24:00:00": None,
    "06 Nov 1994 00:60:00": None,
    "06 Nov 1994 00:00:60": None,
    "06 Nov 1994 08:49": None,
    "06 Nov 08:49:37": None,
    "Nov 1994 08:49:37": None,
    "06 1994 08:49:37": None,
    "06 Foo 1994 08:49:37": None,
    "06 Nov 19945 08:49:37": None,
    "06 Nov 1994 008:49:37": None,
    "": None,
    "0": None,
    "\u0661 Jan 2030 00:00:00": None,
}


@pytest.mark.parametrize("text", DATES)
def test_a_date_is_read_by_its_parts(text: str) -> None:
    assert read_date(text) == DATES[text]
