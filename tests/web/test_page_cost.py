"""Pages of 1 MB that ask for much: links, fields and every form of text take less than 200 MB and 2 s of CPU each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Final

import pytest

from crawler.web.memory import IS_LIMITED

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not IS_LIMITED, reason="only Linux tells a process's peak in /proc")]

SIZE: Final = 1 << 20


def many(piece: Callable[[int], str], start: str = "") -> str:
    """Return a page of about SIZE characters: pieces that differ by their number."""
    one = len(piece(SIZE // 16))
    return start + "".join(map(piece, range(SIZE // one)))


PAGES: Final[dict[str, Callable[[], str]]] = {
    "noscripts in each other": lambda: "<noscript>x" * (SIZE // 11),
    "open noscripts": lambda: "<noscript><p>x" * (SIZE // 14),
    "noscripts with ignored ends": lambda: "<div><noscript><p>x</noscript>y</div>" * (SIZE // 37),
    "popovers in each other": lambda: "<div popover>x" * (SIZE // 14),
    "hidden in each other": lambda: "<div hidden>x" * (SIZE // 13),
    "mains in each other": lambda: "<div role=main>x" * (SIZE // 16),
    "open dialogs in each other": lambda: "<dialog open>x" * (SIZE // 14),
    "cells of one paragraph": lambda: "<table><tr>" + "<td><p>x" * (SIZE // 8),
    "loose lists": lambda: "<ul>a<li>b</ul>" * (SIZE // 15),
    "loose lists in each other": lambda: "<ul>a<li>" * (SIZE // 9),
    "options": lambda: "<select>" + "<option>x" * (SIZE // 9),
    "quotations in each other": lambda: "<q>x" * (SIZE // 4),
    "line ends in code": lambda: "<pre>" + "x<br>" * (SIZE // 5),
    "code in code": lambda: "<pre>x" * (SIZE // 6),
    "rows of heads": lambda: "<table><tr>" + "<th>a<td>b<tr>" * (SIZE // 14),
    "digits": lambda: "<p>" + "1 " * (SIZE // 2),
    "fractions": lambda: "<p>1 ½ " * (SIZE // 8),
    "queries": lambda: many(lambda n: f"<a href='?{'q' * 50}={n}'>x</a>"),
    "areas": lambda: many(lambda n: f"<area href={n}>", "<map>"),
    "pictures": lambda: many(lambda n: f"<img srcset='{n}a 1x, {n}b 2x'>"),
    "refreshes": lambda: many(lambda n: f"<meta http-equiv=refresh content='{n};url=/{n}'>"),
    "headings with links": lambda: many(lambda n: f"<h2><a href=/{n}>x</a></h2>"),
    "emphasis in each other": lambda: "<em>x<strong>" * (SIZE // 13),
    "a long style": lambda: "<p style='" + "a:b;" * (SIZE // 4) + "'>x",
}
_READ: Final = """
import resource, sys, time
from crawler.web.fields import Fields, FieldSpec
from crawler.web.html import Html

fields = Fields({
    "a": "h1", "b": ".price::text", "c": FieldSpec(css="p", type="float", many=True), "d": "//td[2]/text()", "e": "//a/@href",
    "f": "p ~ p", "g": "div:has(span)", "h": "//tr/td/following-sibling::td", "i": "//*[following::b]", "j": "p:nth-child(2)",
})
source = sys.stdin.buffer.read()
begun = time.process_time()
form = sys.argv[1]
html = Html(source, "http://e.org/")
_ = html.link_urls, html.title, html.description, html.canonical, html.refresh
if form == "fields":
    fields.read(html)
    from crawler.web.apart import _apart
    _apart.close()
else:
    html.text(form)
took = time.process_time() - begun
children = resource.getrusage(resource.RUSAGE_CHILDREN)
own = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) >> 10
print(took + children.ru_utime + children.ru_stime, max(own, children.ru_maxrss >> 10))
"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_takes_little_memory_and_time(name: str) -> None:
    page = PAGES[name]().encode()
    costs = {}

    for form in ("fields", "text", "markdown"):
        words = [sys.executable, "-c", _READ, form]
        done = subprocess.run(words, input=page, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        seconds, megabytes = map(float, done.stdout.split())
        costs[form] = (seconds < 2, megabytes < 200, seconds, megabytes)

    assert all(is_quick and is_small for is_quick, is_small, *_ in costs.values()), costs
