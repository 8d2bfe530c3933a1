"""No page takes far more memory than others of its size."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import Final

import pytest

from crawler.errors import PageTooCostly
from crawler.web.html import Html
from crawler.web.memory import IS_LIMITED, limited, process_limit

pytestmark = pytest.mark.skipif(not IS_LIMITED, reason="only Linux limits the memory of a process")

BOMB = "".join(f"<b id={i}><p>" for i in range(20_000))  # it needs more than earlier tests can have left to this process


def test_a_page_that_needs_too_much_memory_is_given_up_with_the_reason() -> None:
    html = Html(f"<title>x</title><a href=/a>a</a>{BOMB}", "http://e.org/")

    assert "bytes of HTML needs more than" in html.problem
    assert (html.title, html.links, html.text(), html.metas, html.jsonld, html.encoding) == (None, [], "", {}, [], "utf-8")


@pytest.mark.slow
def test_the_page_after_one_that_was_given_up_is_read() -> None:
    for _ in range(3):
        assert Html(BOMB).problem
        page = Html("<title>x</title>" + "<p>y</p>" * 100_000)
        assert (page.title, page.problem) == ("x", "")


def test_the_limit_holds_during_the_work_only() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)

    during = limited(1 << 20, lambda: resource.getrlimit(resource.RLIMIT_DATA))
    with pytest.raises(ZeroDivisionError):
        limited(1 << 20, lambda: 1 // 0)

    assert during[0] != before[0]
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_memory_that_other_work_has_taken_is_not_the_pages() -> None:
    limited(1 << 20, lambda: None)
    others = bytearray(200 << 20)

    assert len(limited(1 << 20, lambda: bytearray(50 << 20))) == 50 << 20
    assert others
    with pytest.raises(PageTooCostly, match="1048576 bytes of HTML needs more than 88 MiB"):
        limited(1 << 20, lambda: bytearray(8 << 30))  # more than earlier tests can have left to this process


@pytest.mark.slow
def test_threads_that_read_at_once_are_each_limited() -> None:
    words = [sys.executable, "-c", _THREADS]  # a process of its own: what other tests have freed could be had without asking
    found = subprocess.run(words, input=BOMB, capture_output=True, text=True, timeout=60, check=True).stdout

    assert found.splitlines() == ["the tree x"] * 20


def test_a_process_with_a_limit_goes_on_after_what_was_too_much() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)

    with process_limit(2 << 30, threads=1):
        with pytest.raises(MemoryError):
            bytearray(4 << 30)
        assert Html("<title>x</title>" + "<p>y</p>" * 10_000).title == "x"
        assert Html(BOMB).problem
    with process_limit(0, threads=1):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before

    assert resource.getrlimit(resource.RLIMIT_DATA) == before


_THREADS: Final = """
import sys, threading
from crawler.web.html import Html
bomb, found = sys.stdin.read(), []
all_started = threading.Barrier(4)     # the stack of a thread that starts while a page is read would count as the page's

def read():
    all_started.wait()
    for _ in range(5):
        found.append(f"{Html(bomb).problem[:8]} {Html('<title>x</title>' + '<p>y</p>' * 10_000).title}")

threads = [threading.Thread(target=read) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*found, sep=chr(10))
"""
DENSE: Final = {
    "quotations": "<blockquote>" * 400 + "<p>x" * 225_000,
    "lists": "<ul><li>" * 200 + "<p>x" * 225_000,
    "numbered lists": "<ol start=999999999><li>" * 200 + "<pre>" + "\nx" * 450_000,
    "quotation marks": "<q>" * 300_000,
}
_TEXTS: Final = """
import sys
from crawler.web.html import Html
html = Html(sys.stdin.read(), "http://e.org/")
for form in ("text", "markdown"):
    print(len(html.text(form)))
print(int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) >> 10)     # without that of the process that forked it
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", DENSE)
def test_the_text_of_a_dense_page_with_deep_levels_is_made_in_little_memory(name: str) -> None:
    """In a process of its own: the library that makes the text ends its process where it gets no memory."""
    done = subprocess.run([sys.executable, "-c", _TEXTS], input=DENSE[name], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    text, markdown, megabytes = map(int, done.stdout.split())
    assert text > 0
    assert markdown > 0 or name == "quotation marks"
    assert megabytes < 400


_MULTIPLIED: Final = """
import sys
from crawler.web.html import Html
html = Html(sys.stdin.buffer.read(), "http://e.org/")
for form in ("text", "markdown", "article"):
    print(repr(html.text(form)), html.is_text_cut)
print(int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) >> 10)
"""


@pytest.mark.slow
@pytest.mark.parametrize("markup", ["<p><b><i><u><a href=x>", "<b id=x><p>", "<p><b>y"])
def test_no_text_is_made_of_a_page_whose_elements_the_parser_has_multiplied(markup: str) -> None:
    page = (markup * (1 << 20))[: 1 << 20].encode()

    done = subprocess.run([sys.executable, "-c", _MULTIPLIED], input=page, capture_output=True, check=True)

    *texts, megabytes = done.stdout.decode().splitlines()
    assert texts == ["'' True"] * 3
    assert int(megabytes) < 200


FLAT: Final = {
    "cells": "<table><tr>" + "<td>x" * 200_000,
    "rows": "<table>" + "<tr><td>x" * 115_000,
    "rows of heads": "<table><caption>c</caption><tr>" + "<th>a<td>b<tr>" * 75_000,
    "paragraphs": "<p>x" * 260_000,
    "quotations": "<q>x" * 260_000,
}
_ARTICLE: Final = """
import sys
import crawler_stages.parse
from crawler.web.html import Html
Html("<title>x</title><p>" + "word and words. " * 50).text("article")   # the library is imported
html = Html(sys.stdin.read(), "http://e.org/")
print(len(html.text("article")), int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) >> 10)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", FLAT)
def test_the_article_of_a_flat_page_of_small_elements_is_made_in_little_memory(name: str) -> None:
    pytest.importorskip("trafilatura")

    done = subprocess.run([sys.executable, "-c", _ARTICLE], input=FLAT[name], capture_output=True, text=True, check=True)

    text, megabytes = map(int, done.stdout.split())
    assert text > 0
    assert megabytes < 200
