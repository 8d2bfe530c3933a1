"""Whatever a site says, from its URLs to its headers: an answer or one of our errors, and the form that we promise."""

from __future__ import annotations

import contextlib
import ipaddress

import pytest
from corpora import examples, kept
from hypothesis import given
from hypothesis import strategies as st

from crawler import BadUrl, ConfigError, Html, Page
from crawler.web import urls
from crawler.web.addresses import refusal
from crawler.web.directives import directives
from crawler.web.fields import Fields, FieldSpec
from crawler.web.numbers import number
from crawler.web.robots import Robots
from crawler_stages.fetch.failures import retry_after

PIECES = st.lists(
    st.one_of(
        st.sampled_from([
            "http://", "https://", "HTTP:", "ftp://", "//", "/", "\\", "?", "#", "@", ":", "[", "]", "%", "%2e", "%zz", "..",
            ".", "&", "=", "+",
            " ", "\t", "\0", "\ud800", "xn--", "a.b", "EXAMPLE.org", "0x7f.1", "[::1]", "[::ffff:7f00:1]", "1.2.3.4", "99999",
            "user:pw@", "ü",
            "\u3002", "\u00ad", "data:,x", "javascript:", "www.",
        ]),
        st.text(max_size=3),
    ), max_size=10,
).map("".join)  # fmt: skip


def read_url(text: str) -> None:
    """What is canonical stays so, has a key, and can be taken apart."""
    assert isinstance(urls.is_crawlable(text), bool)
    joined = urls.join("http://example.org/a/b?c", text)
    assert joined is None or joined.startswith(("http://", "https://"))
    assert joined is None or urls.parse(joined).href == joined, "read again it is the same: `canonical` counts on it"
    with contextlib.suppress(BadUrl):
        assert urls.is_crawlable(urls.seed(text))
    for more in ({}, {"sort_query": True, "strip_www": True, "drop_params": ("utm_*", "a")}):
        with contextlib.suppress(BadUrl):
            known = urls.canonical(text, **more)
            assert urls.canonical(known, **more) == known
            assert len(urls.key(known)) == urls.KEY_BYTES
            if known.startswith(("http://", "https://")):
                assert known.endswith(urls.split(known)[2])
                assert Robots(b"User-agent: *\nDisallow: /a*b$\n").allowed("x", known) in (True, False)


@pytest.mark.slow
@examples(400)
@given(PIECES)
def test_any_url_is_canonical_for_good_or_refused(text: str) -> None:
    read_url(text)


@kept("urls")
def test_a_url_that_was_kept_is_canonical_for_good_or_refused(data: bytes) -> None:
    read_url(data.decode("utf-8", "surrogateescape"))


@examples(200)
@given(st.one_of(st.ip_addresses(), st.integers(0, 2**32 - 1).map(lambda n: ipaddress.IPv6Address((0xFFFF << 32) | n))))
def test_any_address_is_let_through_or_named(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    answer = refusal(str(address))

    assert answer is None or answer
    if address.is_loopback or (isinstance(address, ipaddress.IPv4Address) and address.is_private and not address.is_global):
        assert answer


HEADER = st.one_of(
    st.sampled_from([
        "noindex", "none", "googlebot: nofollow", "unavailable_after: 1 Jan 99999", "max-snippet:", ":", ",", ";;", "0", "-1",
        "1e9", "９", "٣",
        "Wed, 21 Oct 2015 07:28:00 GMT", "Sun, 06 Nov 99999 08:49:37 GMT", "Thu, 01 Jan 0000 00:00:00 GMT",
        "Sun Nov  6 08:49:37 1994 +9999",
        "9" * 400, "text/html; charset=\"", "text/html;charset=utf-7;charset=", "../\xff", "http://[", "\x80",
    ]),
    st.text(st.characters(max_codepoint=255), max_size=20),
)  # fmt: skip
NAMES = st.sampled_from(["Content-Type", "Location", "Retry-After", "X-Robots-Tag", "Link", "content-type", "", "X"])


@pytest.mark.slow
@examples(200)
@given(st.lists(st.tuples(NAMES, HEADER), max_size=5), st.sampled_from([200, 301, 302, 404, 503]), st.binary(max_size=20))
def test_any_header_is_read(pairs: list[tuple[str, str]], status: int, content: bytes) -> None:
    page = Page.of(content, url="http://example.org/a", status_code=status, header_pairs=pairs)

    assert page.location is None or urls.is_crawlable(page.location)
    assert isinstance([page.text, page.encoding, page.content_type, list(page.links)], list)
    assert directives(page.headers.get_all("x-robots-tag"), "crawler") is not None
    rest = retry_after(pairs)
    assert rest is None or 0 <= rest < 1e10
    for _, value in pairs:
        assert number(value) is None or isinstance(number(value), float)


@examples(150)
@given(st.one_of(
    st.text(max_size=12),
    st.lists(st.sampled_from(["a", "::text", "::attr(", ")", "[", "]", ":not(", ":nth-child(", "2n", ">", "~", ",", "//", "@",
    "'", "*", "|", " ",
                              "xpath:", "concat(", "1e999", "\\"]), max_size=6).map("".join),
))  # fmt: skip
def test_any_selector_is_read_or_refused(selector: str) -> None:
    with contextlib.suppress(ConfigError):
        fields = Fields({"x": selector})
        assert set(fields.read(Html(b"<a href=x>1</a><p>2", "http://example.org/"))) <= {"x"}


FUNCTIONS = [
    "contains",
    "count",
    "sum",
    "string",
    "not",
    "position",
    "concat",
    "substring-after",
    "has-class",
    "re:test",
    "matches",
    "foo",
    "string-length",
    "translate",
    "id",
    "name",
    "set:difference",
    "re:replace",
    "math:max",
    "starts-with",
    "normalize-space",
]
EXPRESSIONS = st.recursive(
    st.sampled_from(["//li", ".", "@class", "//nope", "x:y", "$v", "1", "'a'", "'['", "text()", "ancestor::div", "*", "li[1]"]),
    lambda inner: st.one_of(
        st.builds("{}({})".format, st.sampled_from(FUNCTIONS), st.lists(inner, max_size=3).map(", ".join)),
        st.builds("{}[{}]".format, inner, inner), st.builds("{}/{}".format, inner, st.sampled_from(["a", "*", "@href", "..", "f:z"])),
        st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or", "=", "<", "+", "|", "mod"]), inner), st.builds("-({})".format, inner),
    ),
    max_leaves=6,
)  # fmt: skip
NODES = Html("<div class='a b' id=q><ul><li class=a>1<li>2 <a href=/x>l</a></ul><p>t<br>u<!--c--><b>v</b></p></div>" * 2)


@pytest.mark.slow
@examples(300)
@given(EXPRESSIONS)
def test_an_xpath_that_is_taken_fails_on_no_page(expression: str) -> None:
    told: list[str] = []

    with contextlib.suppress(ConfigError):
        Fields({"x": FieldSpec(xpath=expression, many=True)}).read(NODES, lambda name, what, text: told.append(f"{what}: {text}"))

    assert [what for what in told if what.startswith("failed")] == []
