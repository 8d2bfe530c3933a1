"""Reading what strangers send costs time and memory in proportion to its bytes, whatever its shape."""

from __future__ import annotations

import gzip
import time
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest

from crawler import Url
from crawler.web import feed, seeds, sitemap
from crawler.web.dates import read_date
from crawler.web.directives import directives
from crawler.web.encoding import charset, decode, is_html
from crawler.web.fields import Fields, FieldSpec
from crawler.web.headers import Headers
from crawler.web.html import Html
from crawler.web.mime import combined, media_type
from crawler.web.numbers import number
from crawler.web.page import Page
from crawler.web.robots import MAX_BYTES, Robots
from crawler_stages.clients.coding import Source, read_body
from crawler_stages.clients.contract import FetchFailed
from crawler_stages.clients.head import read_head
from crawler_stages.fetch.cookies import Cookies
from crawler_stages.fetch.failures import retry_after

pytestmark = pytest.mark.slow  # many rows, each large

Read = Callable[[bytes], Any]
Shape = Callable[[int], bytes]  # of about so many bytes

SMALL = 4_000  # bytes
TIMES = 4  # the larger input is so many times the smaller one: linear is 4, quadratic 16
QUICK = 0.04  # s of CPU; what takes less for the larger input is quick enough, and too short to be compared
SLOWEST = 8.0  # times as much CPU at most; the machine is busy
LARGEST = 5.0  # times as much memory at most, which grows in steps
NOISE = 350_000  # bytes; what small inputs share, such as small numbers

URL = "http://e.org/"


def repeated(piece: str | bytes, start: str | bytes = b"", end: str | bytes = b"") -> Shape:
    start, piece, end = (part.encode() if isinstance(part, str) else part for part in (start, piece, end))
    return lambda size: start + piece * ((size - len(start) - len(end)) // len(piece)) + end


def numbered(piece: str, start: str = "", end: str = "") -> Shape:
    """Each piece with a number of its own, in place of @."""
    return lambda size: (start + "".join(piece.replace("@", str(n)) for n in range(size // (len(piece) + 4))) + end).encode()


def halves(first: Shape, second: Shape) -> Shape:
    return lambda size: first(size // 2) + second(size // 2)


def robots(text: bytes) -> None:
    rules = Robots(text)
    for agent in ("crawler/1.0", "a1", "other"):
        rules.why(agent, "/" + "a" * 2_000 + "?b")
        rules.delay(agent)


def header(text: bytes) -> None:
    read_head(BytesIO(b"HTTP/1.1 200 OK\r\n" + text + b"\r\n"), 1 << 30)


def fields(text: bytes) -> None:
    pairs = [tuple(line.partition(":")[::2]) for line in text.decode("latin-1").split("\n")]
    found = Headers(pairs)
    assert len(found) == len(list(found))
    found.get_all("a")


def mime(text: bytes) -> None:
    value = text.decode("latin-1")
    media_type(value), charset(value), combined([value, value])


def cookies(text: bytes) -> None:
    jar = Cookies()
    url = Url.parse(URL)
    jar.learn(url, text.decode("latin-1").split("\n"))
    jar.of(url)


def page(text: bytes) -> None:
    html = Html(text, URL, "text/html")
    assert html.jsonld is not None
    assert html.refresh is None or html.refresh
    html.robots("crawler")


def encoding(text: bytes) -> None:
    for kind in ("text/html", "text/plain", "text/xml", ""):
        decode(text, kind)
        is_html(kind, text)


def body(coding: str) -> Read:
    def read(text: bytes) -> None:
        pieces = iter([text])
        read_body(Source(lambda _: next(pieces, b""), 1 << 30), [coding], max_bytes=1 << 30, max_ratio=1e9)

    return read


def location(text: bytes) -> None:
    moved = Page.of(b"", url=URL, status_code=301, header_pairs=[("Location", text.decode("latin-1"))])
    assert moved.location is None or moved.location


def typed(text: bytes) -> None:
    seeds.check(seeds.lines(seeds.decode(text, "seeds.txt")), "seeds.txt")


def reading(form: str) -> Read:
    def read(text: bytes) -> None:
        html = Html(text, URL, "text/html")
        if form == "fields":
            FIELDS.read(html)
        else:
            html.text("markdown" if form == "markdown" else "text")

    return read


FIELDS = Fields({"css": "td::text", "xpath": "//li", "attribute": "a::attr(href)", "many": FieldSpec(css="p", many=True)})
# Elements in each other and beside each other, and what a cell, an attribute or a text may have.
SHAPES: dict[str, Shape] = {
    **{piece: repeated(piece) for piece in (
        "<table>", "<table><tr><td>", "<table><td>x", "<table><caption>", "<table><tr><td>a<td>b</table>", "<ul><li>x",
        "<ol><li>", "<dl><dd>x", "<blockquote>x", "<span>x", "<b><i>x", "<a href=x>", "<div>x", "<p>x", "<p><b><i><u>",
        "x<br>", "<hr>", "&amp;", "&", "&CounterClockwiseContourIntegral;", "<option>x", "<details><summary>x", "<q>x",
        "<del>x<ins>", "<p hidden>x", "<b>.</b>", "<!-- x -->", "<ul><li><table><tr><td>x", "<blockquote><ul><li>x",
    )},
    "cells": repeated("<td>x", "<table><tr>"), "rows": repeated("<tr><td>x<td>y", "<table>"),
    "wide cells": repeated("<tr><td colspan=100000>x", "<table>"),
    "tall cells": repeated("<tr><td rowspan=65534>x<td>y", "<table>"),
    "items": repeated("<li>x", "<ul>"), "options": repeated("<option>x", "<select>"), "lines of code": repeated("x\n", "<pre>"),
    "an attribute": repeated("x", '<p title="', '">'), "attributes": numbered("a@=b ", "<p ", ">x"),
    "links": numbered("<a href=/@>x</a> "), "ticks": repeated("`", "<code>"), "stars": repeated("*"), "blanks": repeated(" "),
}  # fmt: skip


READERS: dict[str, tuple[Read, dict[str, Shape]]] = {
    "robots.txt": (robots, {
        "agents, then rules": halves(numbered("User-agent: a@\n"), numbered("Disallow: /@\n")),
        "agents with delays, then rules": halves(numbered("User-agent: a@\nCrawl-delay: @\n"), numbered("Allow: /@\n")),
        "one agent again and again": halves(repeated("User-agent: a1\nCrawl-delay: 1\n"), numbered("Disallow: /@\n")),
        "groups of one agent": numbered("User-agent: crawler\nDisallow: /@\n"),
        "rules for us": numbered("Disallow: /@\n", "User-agent: *\n"),
        "indexes": numbered("Allow: /@/index.html\n", "User-agent: *\n"),
        "wildcards": repeated("a*", "User-agent: *\nDisallow: /"),
        "lines of wildcards": repeated("Disallow: /*a*a*a*b$\n", "User-agent: *\n"),
        "wildcards that nearly match": repeated("Disallow: /*" + "a" * 300 + "b*c\n", "User-agent: *\n"),
        "empty lines": repeated("\n"), "carriage returns": repeated("\r"), "colons": repeated(":"), "blanks": repeated(" "),
        "words without a colon": repeated("a b\n"), "comments": repeated("#"),
        "not UTF-8": repeated(b"\xff", b"User-agent: *\nAllow: /"),
        "percent signs": repeated("%", "User-agent: *\nAllow: /"), "sitemaps": numbered("Sitemap: http://e.org/@\n"),
        "a long number": repeated("9", "User-agent: *\nCrawl-delay: "), "a long name": repeated("a", "User-agent: "),
    }),
    "sitemap": (lambda text: sitemap.read(text, URL), {
        "entries": numbered("<url><loc>http://e.org/@</loc></url>", "<urlset>", "</urlset>"),
        "no loc": repeated("<url></url>", "<urlset>"), "loc opened": repeated("<loc>", "<urlset>"), "url opened": repeated("<url>"),
        "closed": repeated("</url>", "<urlset>"), "less": repeated("<"), "less a": repeated("<a "), "quotes": repeated("<a b='"),
        "attributes": repeated("a='b' ", "<urlset ", ">"), "comments": repeated("<!--"), "sections": repeated("<![CDATA["),
        "doctypes": repeated("<!d[", "<urlset>"), "instructions": repeated("<?"), "ampersands": repeated("&", "<urlset><url><loc>"),
        "entities": repeated("&amp;", "<urlset><url><loc>", "</loc></url>"), "equals": repeated("<a ="), "deep": repeated("<a>"),
        "alternates": numbered("<xhtml:link href='/@'/>", "<urlset><url><loc>http://e.org/</loc>", "</url></urlset>"),
        "text": numbered("http://e.org/@\n"), "prose": repeated("word\n"), "one line": repeated("http://e.org/"),
        "nothing": repeated("\n"), "zeros": repeated(b"\0"), "gzip members": repeated(gzip.compress(b"")),
    }),
    "feed": (lambda text: feed.read(text, URL), {
        "guids": numbered("<item><guid>http://e.org/@</guid></item>", "<rss><channel>"),
        "guids of one item": numbered("<guid>http://e.org/@</guid>", "<rss><channel><item>"),
        "links": numbered("<entry><link href='/@'/></entry>", "<feed>"),
        "bases": lambda size: numbered("<entry><link href='@'/></entry>", "<feed>" + f"<a xml:base='{'b/' * 5}'>" * 60)(size),
        "long bases": numbered("<entry xml:base='c@/'><link href='@'/></entry>", f"<feed><a xml:base='{'b/' * 500}'>"),
    }),
    "header": (header, {
        "fields": numbered("a@: b\r\n"), "one field": repeated("a: b\r\n"), "folds": repeated(" b\r\n", "a: b\r\n"),
        "no colons": repeated("a\r\n"), "one line": repeated("a", "a: ", "\r\n"), "blanks": repeated(" ", "a:", "b\r\n"),
        "lengths": repeated("Content-Length: 1\r\n"), "codings": repeated("gzip,", "Content-Encoding: ", "\r\n"),
    }),
    "header fields": (fields, {"one name": repeated("a: b\n"), "names": numbered("a@: b\n")}),
    "Content-Type": (mime, {
        "commas": repeated(","), "types": repeated("text/html,"), "parameters": repeated(";a=b", "text/html"),
        "quotes": repeated('"'),
        "quoted": repeated('a="', "text/html;"), "escapes": repeated("\\", 'text/html;a="'),
        "semicolons": repeated(";", "text/html"),
        "equals": repeated("=", "text/html;a"), "blanks": repeated(" ", "text/html;", "a"), "letters": repeated("a"),
        "charsets": repeated("charset=", "text/html;"), "charset blanks": repeated("charset "),
        "escaped quotes": repeated('\\"', 'a/b;c="'),
    }),
    "Set-Cookie": (cookies, {
        "cookies": numbered("a@=b\n"), "one cookie": repeated("a=b\n"), "attributes": repeated(";a=b", "a=b"),
        "equals": repeated("="),
        "semicolons": repeated(";"), "a date": repeated("1 ", "a=b; expires="), "dates": repeated("; expires=Mon", "a=b"),
        "paths": numbered("a=b; path=/@\n"), "a long path": repeated("/", "a=b; path="), "blanks": repeated(" ", "a=", "b"),
    }),
    "X-Robots-Tag": (lambda text: directives([text.decode()], "crawler"), {
        "words": repeated("noindex,"), "robots": repeated("a: "), "colons": repeated(":"), "one word": repeated("a"),
        "commas": repeated(","),
    }),
    "Retry-After": (lambda text: retry_after([("Retry-After", text.decode())]), {
        "digits": repeated("9"), "words": repeated("Mon "), "colons": repeated("1:"), "brackets": repeated("("),
        "minus": repeated("-1 "),
    }),
    "Location": (location, {
        "letters": repeated("a"), "dots": repeated("../"), "slashes": repeated("/"), "percents": repeated("%"),
        "bytes": repeated(b"\xff"),
        "at signs": repeated("@", "http://"), "labels": repeated("a.", "http://"), "blanks": repeated(" "),
    }),
    "JSON-LD and meta": (page, {
        "scripts": repeated('<script type="application/ld+json">{}</script>'),
        "arrays": repeated("[", '<script type="application/ld+json">'),
        "objects": repeated('{"a":', '<script type="application/ld+json">'),
        "numbers": repeated("1,", '<script type="application/ld+json">[', "1]</script>"),
        "a long number": repeated("9", '<script type="application/ld+json">', "</script>"),
        "comments in it": repeated("<!--", '<script type="application/ld+json">'),
        "refreshes": repeated('<meta http-equiv=refresh content="0;url=http://e.org/">'),
        "a long refresh": repeated(";", '<meta http-equiv=refresh content="0', '">'),
        "a blank refresh": repeated(" ", '<meta http-equiv=refresh content="0', 'url=">'),
        "robots": repeated("<meta name=robots content=noarchive>"),
    }),
    **{f"{form} of a page": (reading(form), SHAPES) for form in ("text", "markdown", "fields")},
    "encoding": (encoding, {
        "ASCII": repeated("a"), "not UTF-8": repeated(b"\xe4 "), "metas": repeated("<meta charset=x>"), "blanks": repeated(" "),
        "declaration": repeated(" ", "<?xml version='1.0'"), "declarations": repeated("<?xml encoding="), "zeros": repeated(b"\0"),
        "marks": repeated(b"\xef\xbb\xbf"), "wide": repeated(b"\xff\xfe"), "comments": repeated("<!--"),
    }),
    "body in zstd": (body("zstd"), {
        "empty blocks": repeated(b"\0\0\0", b"\x28\xb5\x2f\xfd\x00\x58", b"\1\0\0"),
        "small blocks": repeated(b"\x08\0\0a", b"\x28\xb5\x2f\xfd\x00\x58", b"\1\0\0"),
    }),
    "body in gzip": (body("gzip"), {
        "stored": lambda size: gzip.compress(bytes(size), 0), "junk": lambda size: gzip.compress(b"") + bytes(size),
    }),
    "seeds": (typed, {
        "URLs": numbered("http://e.org/@\n"), "none": repeated("a b\n"), "comments": repeated("#\n"), "one line": repeated("a"),
        "blanks": repeated(" "), "line ends": repeated("\r\n"), "hash signs": repeated("a #"),
    }),
    "date": (lambda text: read_date(text.decode()), {
        "digits": repeated("1"), "days": repeated("1.1.2026 "), "months": repeated("May "), "blanks": repeated(" "),
        "hyphens": repeated("1-"),
    }),
    "number": (lambda text: number(text.decode()), {
        "digits": repeated("1"), "points": repeated("1."), "commas": repeated("1,"), "blanks": repeated("1 "),
        "signs": repeated("-"),
        "marks": repeated("€1"), "letters": repeated("a"),
    }),
}  # fmt: skip
ROWS = [(reader, shape) for reader, (_, shapes) in READERS.items() for shape in shapes]


def cpu(read: Read, text: bytes) -> float:
    begun = time.process_time()
    run(read, text)
    return time.process_time() - begun


def memory(read: Read, text: bytes) -> int:
    """The most bytes in use at once."""
    tracemalloc.start()
    try:
        run(read, text)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def run(read: Read, text: bytes) -> None:
    try:
        read(text)
    except (FetchFailed, ValueError):  # it may be refused; what matters is what that costs
        return


@pytest.mark.parametrize(("reader", "shape"), ROWS, ids=[f"{reader}: {shape}" for reader, shape in ROWS])
def test_four_times_the_bytes_cost_about_four_times_as_much(reader: str, shape: str) -> None:
    read, shapes = READERS[reader]
    small, large = shapes[shape](SMALL), shapes[shape](TIMES * SMALL)
    assert len(large) <= MAX_BYTES
    run(read, small[:1_000])  # what is imported and compiled once

    if cpu(read, large) > QUICK:
        seconds = min(cpu(read, large) for _ in range(2))
        assert seconds <= max(SLOWEST * min(cpu(read, small) for _ in range(3)), QUICK)
    assert memory(read, large) <= LARGEST * memory(read, small) + NOISE
