"""URLs against the WHATWG's own data and RFC 3986 §5.4, and the canonical form."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import BadUrl
from crawler.web import urls
from tests import cases

PARTS = {
    "href": "href", "username": "username", "password": "password", "host": "host", "hostname": "hostname",
    "path": "pathname", "search": "search", "fragment": "hash", "origin": "origin",
}  # fmt: skip


def parts(url: urls.Url, row: dict[str, Any]) -> dict[str, str]:
    """Ours under the standard's names, those that the row speaks of."""
    found = {theirs: getattr(url, ours) for ours, theirs in PARTS.items()}
    found |= {"protocol": f"{url.scheme}:", "port": "" if url.port is None else str(url.port)}
    return {name: value for name, value in found.items() if name in row}


def test_every_row_of_the_whatwg_data_is_read_as_it_says() -> None:
    rows = [row for row in cases.load("wpt_urltestdata.json", "the URLs of the web platform tests") if isinstance(row, dict)]
    wrong = []
    for row in rows:
        try:
            got: dict[str, str] | None = parts(urls.parse(row["input"], row["base"]), row)
        except BadUrl:
            got = None
        want = None if row.get("failure") else {name: row[name] for name in (got or PARTS.values()) if name in row}
        if got != want:
            wrong.append((row["input"], row["base"], got))

    assert wrong == []
    assert len(rows) > 800


def test_every_reference_of_rfc_3986_is_joined_as_it_says() -> None:
    deviations = {
        "//g": "http://g/",  # an empty path is "/" in a canonical URL; the set notes it as fine too
        "http:g": "http://a/b/c/g",  # what browsers do, and §5.4.2 allows for backward compatibility
    }

    for case in cases.load("rfc3986_5_4.json", "the examples of RFC 3986 §5.4")["cases"]:
        assert urls.parse(case["ref"], case["base"]).href == deviations.get(case["ref"], case["expected"])


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://Example.ORG:80/A/../b#part", "http://example.org/b"),
        ("https://example.org:443", "https://example.org/"),
        ("http://example.org/Path?B=1&a=2&B=0", "http://example.org/Path?B=1&a=2&B=0"),
        ("http://bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://a.com\\@127.0.0.1/", "http://a.com/@127.0.0.1/"),
        ("http://example.org/\ud800", "http://example.org/%EF%BF%BD"),
        ("http://example.org/%E4%f6", "http://example.org/%E4%F6"),
    ],
)
def test_the_canonical_form(url: str, canonical: str) -> None:
    assert urls.canonical(url) == canonical
    assert urls.canonical(canonical) == canonical


# URL and canonical form: RFC 3986 §6.2.2 for percent-encoding, WHATWG for the rest. What is sent is the URL.
FOLDED = [
    ("/a%7Eb", "/a~b"),
    ("/a%7eb", "/a~b"),
    ("/%66oo", "/foo"),
    ("/%46OO", "/FOO"),
    ("/%c3%a9", "/%C3%A9"),
    ("/%C3%a9", "/%C3%A9"),
    ("/a%2fb", "/a%2Fb"),  # a reserved character means something else when it is not encoded
    ("/a%3Fb", "/a%3Fb"),
    ("/a%20b", "/a%20b"),
    ("/a%2520b", "/a%2520b"),  # encoded twice: only the outer encoding is looked at
    ("/%2541", "/%2541"),
    ("/a%2D%2e%5F", "/a-._"),
    ("/%2E%2e%2E/x", "/.../x"),
    ("/?q=%41%2b%7e", "/?q=A%2B~"),
    ("/?q=a+b", "/?q=a+b"),
    ("/?%6e=1", "/?n=1"),
    ("/100%", "/100%"),
    ("/100%zz", "/100%zz"),
    ("/%2%45", "/%2%45"),  # decoding would make "%2E" of it, which means "."
    ("/%%41", "/%%41"),
    ("/%4%31", "/%4%31"),
    ("/%25%34%31", "/%2541"),
    ("/a?", "/a?"),  # an empty query is one
    ("/?", "/?"),
    ("/a?#", "/a?"),
    ("/a#", "/a"),
    ("/a??", "/a??"),
    ("/a?&", "/a?&"),
    ("/a;b=%3b", "/a;b=%3B"),
]


@pytest.mark.parametrize(("url", "form"), FOLDED)
def test_percent_encoding_is_normalised_in_the_key_and_not_in_what_is_sent(url: str, form: str) -> None:
    written = f"http://example.org{url}"

    assert urls.canonical(written) == f"http://example.org{form}"
    assert urls.canonical(urls.canonical(written)) == urls.canonical(written)
    assert urls.as_written(written) == written.partition("#")[0]
    assert urls.seed(written) == written.partition("#")[0]
    assert urls.Url.parse(written).target == url.partition("#")[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [("/a?", "/a"), ("/?", "/"), ("/a%2Fb", "/a/b"), ("/a%3F", "/a?"), ("/A", "/a"), ("/a+b", "/a%20b"), ("/a/", "/a")],
)
def test_what_servers_tell_apart_has_another_key(one: str, other: str) -> None:
    assert urls.key(urls.canonical(f"http://h{one}")) != urls.key(urls.canonical(f"http://h{other}"))


@pytest.mark.parametrize(("url", "form"), [("/a?", "/a?"), ("/a?utm_id=1", "/a"), ("/a?utm_id=1&b", "/a?b"), ("/a?&", "/a?&")])
def test_only_a_query_of_dropped_parameters_is_left_out(url: str, form: str) -> None:
    assert urls.canonical(f"http://h{url}", drop_params=["utm_*"], sort_query=True) == f"http://h{form}"


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("example.org", ("example.org", "www.example.org")),
        ("www.example.org:81", ("www.example.org:81", "example.org:81")),
        ("www.com", ("www.com", "www.www.com")),
        ("localhost", ("localhost",)),
    ],
)
def test_the_names_that_are_one_host_without_www(host: str, names: tuple[str, ...]) -> None:
    assert urls.with_and_without_www(host) == names
    assert len({urls.canonical(f"http://{name}/", strip_www=True) for name in names}) == 1


def test_the_canonical_form_sorts_and_drops_parameters_and_www_only_when_asked() -> None:
    url = "http://www.example.org/?b=2&utm_source=x&a=1&b=1&%75tm_id=3"

    assert urls.canonical(url, sort_query=True) == "http://www.example.org/?a=1&b=2&b=1&utm_id=3&utm_source=x"
    assert urls.canonical(url, drop_params=["utm_*"]) == "http://www.example.org/?b=2&a=1&b=1"
    assert urls.canonical("http://u:p@www.example.org:81/", strip_www=True) == "http://u:p@example.org:81/"
    assert urls.canonical("http://www.com/?utm_id=1", strip_www=True, drop_params=["utm_*"]) == "http://www.com/"


def test_a_join_is_absolute_without_fragment_and_http_or_nothing() -> None:
    base = "http://example.org/a/b"

    assert urls.join(base, "../c d?e#f") == "http://example.org/c%20d?e"
    assert urls.join(base, "//other.example") == "http://other.example/"
    assert urls.join(base, "\ud800") == "http://example.org/a/%EF%BF%BD"
    assert [urls.join(base, href) for href in ("mailto:a@b.c", "javascript:x", "http://", "http://a b/")] == [None] * 4


def test_is_crawlable() -> None:
    assert urls.is_crawlable("https://example.org")
    assert not any(urls.is_crawlable(url) for url in ("ftp://example.org/", "http://", "/a", "data:,x"))


def test_keys_are_sixteen_bytes_and_differ() -> None:
    assert len(urls.key("http://example.org/")) == 16
    assert urls.key("http://example.org/a") != urls.key("http://example.org/A")


def test_keys_of_a_host_lie_together() -> None:
    keys = [urls.key(f"http://{host}.example/{page}") for page in range(50) for host in ("a", "b:8080", "c", "u:p@d")]
    hosts = [place % 4 for place in sorted(range(len(keys)), key=keys.__getitem__)]
    assert len(set(keys)) == 200
    assert sum(one != other for one, other in itertools.pairwise(hosts)) == 3


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("example.org/x", "https://example.org/x"),
        (" HTTP://Example.org \n", "http://example.org/"),
        ("localhost:8000", "https://localhost:8000/"),
        ("127.0.0.1:8000/a?b", "https://127.0.0.1:8000/a?b"),
        ("[::1]:80/", "https://[::1]:80/"),
        ("bücher.example", "https://xn--bcher-kva.example/"),
        ("example.org./x", "https://example.org./x"),
        (f"{'a' * 63}.org", f"https://{'a' * 63}.org/"),
        ("http://my_shop.example/", "http://my_shop.example/"),
        ("http://user:p*w@example.org/*", "http://user:p*w@example.org/*"),
    ],
)
def test_what_a_person_types_becomes_a_url(typed: str, url: str) -> None:
    assert urls.seed(typed) == url


@pytest.mark.parametrize(
    "typed", ["not a url", "", "example", "ftp://example.org/", "mailto:a@b.c", "/a.b", "a.b:99999", "http://"]
)
def test_what_is_no_url_is_refused_by_name_and_with_the_next_step(typed: str) -> None:
    with pytest.raises(BadUrl) as refused:
        urls.seed(typed)

    assert repr(typed) in str(refused.value)
    assert "https://example.org/" in str(refused.value)


def test_a_bad_url_of_a_megabyte_is_not_a_message_of_a_megabyte() -> None:
    with pytest.raises(BadUrl) as refused:
        urls.parse("http://" + " " * 1_000_000 + "x")

    assert len(str(refused.value)) < 500


def test_split_gives_the_parts_that_parse_gives() -> None:
    url = urls.parse("https://u:p@example.org:81/a/b?c=/@")

    assert urls.split(url.href) == ("u:p", url.host, url.path + url.search)


PIECES = [
    "a", "b.c", "1", "127.0.0.1", "256.1.1.1", "01.2.3.4", "1.2.3", "0x7f", "xn--a", "localhost", ".", "..", "/", "//", "%2e",
    "%41", "é", ":80", ":443", ":8080", ":0", ":70000", "?", "?a=b", "&", "#x", "A", "-", "_", "~", "'", '"', "<", " ", "\t", "\n",
    "\\", "@", "a:b@", "[::1]", "|", "^", "`", "{", "}", "!", "$", "(", ")", "*", "+", ",", ";", "=",
]  # fmt: skip


@given(
    st.sampled_from(["http://", "https://", "http://a.b", "https://127.0.0.1", "http://1.2.3.4:81", "https://e-x.org"]),
    st.sampled_from(["", "/", "/q/", "/q?"]),
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
)
def test_what_is_read_without_the_standards_parser_is_what_it_reads(start: str, middle: str, rest: str) -> None:
    """Relative to itself a URL is read by that parser whatever it looks like."""
    url = start + middle + rest
    try:
        expected = urls.Url.parse(url, "http://base.example/")
    except BadUrl:
        with pytest.raises(BadUrl):
            urls.Url.parse(url)
    else:
        assert urls.Url.parse(url) == expected
    assert not urls.is_plain(url) or urls.as_written(urls.Url.parse(url, "http://base.example/")) == url


def test_most_urls_are_plain_and_what_would_be_rewritten_is_not() -> None:
    for url in (
        "http://a.example/",
        "https://a.example:8080/b/c.d/?e=f%20&g",
        "http://127.0.0.1/a/b/",
        "http://xn--bcher-kva.example/x",
    ):
        assert urls.is_plain(url), url
    for url in (
        "http://a.example", "http://a.example:80/", "http://A.example/", "http://01.2.3.4/", "http://256.1.1.1/",
        "http://a.example:70000/",
        "http://a.example/b/../c", "http://a.example/b/.", "http://a.example/%2e", "http://a.example/b c", "http://a.example/b#c",
        "http://a.example/?'", "http://u@a.example/", "ftp://a.example/", f"http://{'a' * 271}/", "",
    ):  # fmt: skip
        assert not urls.is_plain(url), url


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("http://127.0.0.1:99999/", "its port is above 65535"),
        ("http://127.0.0.1:" + "9" * 5000, "its port is above 65535"),
        ("http://example.org:http/", "its port is not a number"),
        ("http://127.0.0.1 :8765/", "there is a space in its host"),
        ("http://exam ple.org/", "there is a space in its host"),
        ("http:/example.org", "two slashes follow http: or https:"),
        ("https:example.org", "two slashes follow http: or https:"),
        ("http://", "its host is missing"),
        ("http://:80/", "its host is missing"),
        ("http://[::1/", "its host is not a host's name or address"),
        ("http://256.1.1.1/", "its host is not a host's name or address"),
        ("http://x..org/", "its host is not a host's name: each part between dots must have 1 to 63 characters"),
        ("x..org/shop", "its host is not a host's name: each part between dots must have 1 to 63 characters"),
        ("https://.org:80/", "its host is not a host's name: each part between dots must have 1 to 63 characters"),
        (f"http://{'a' * 64}.org/", "its host is not a host's name: each part between dots must have 1 to 63 characters"),
        (f"http://{'a' * 40}.{'b.' * 120}org/", "its host is longer than 253 characters"),
        ("http://*.example.org/", "there is a [*] in its host; begin from one host, and --scope domain follows links to all hosts"),
        ("*.example.org", "there is a [*] in its host"),
        ("<https://example.org/>", "it begins with <; leave out what stands around the URL"),
        ("'https://example.org/'", "it begins with '; leave out what stands around the URL"),
        ("“https://example.org/”", "it begins with “; leave out what stands around the URL"),
        ("//example.org/", "it begins without http: or https:"),
        ("://example.org/", "it begins without http: or https:"),
    ],
)
def test_what_is_wrong_with_a_url_is_named(typed: str, fault: str) -> None:
    with pytest.raises(BadUrl, match=f"cannot be crawled: {fault}.*; give an http:// or https:// URL"):
        urls.seed(typed)
