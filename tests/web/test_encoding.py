"""Which encoding the bytes of a page are in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.web.encoding import canonical, is_html
from crawler.web.html import Html, decode
from tests import cases


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b"\xef\xbb\xbfa", "text/html; charset=latin1", "utf-8"),  # a mark outranks the header
        (b"\xff\xfea\x00", "text/html; charset=utf-8", "utf-16le"),
        (b"\xfe\xff\x00a", "", "utf-16be"),
        (b"<meta charset=utf-8>a", "text/html; charset=windows-1251", "windows-1251"),  # the header outranks <meta>
        (b"<meta charset=utf-8>a", "text/html; charset=nonsense", "utf-8"),  # an unknown label is no answer
        (b"<meta charset=shift_jis>", "text/html", "shift_jis"),
        (b"<meta charset=utf-16>a", "text/html", "utf-8"),  # what can be read as ASCII is no UTF-16
        (b" " * 3000 + b"<meta charset=koi8-r>\xd0", "text/html", "koi8-r"),  # beyond the prescan
        (b'<?xml version="1.0" encoding="iso-8859-2"?><a/>', "application/xml", "iso-8859-2"),
        (b"<?xml version='1.0' encoding='utf-16'?><a/>", "text/xml", "utf-8"),  # what can be read as ASCII is no UTF-16
        ("<?xml version='1.0'?><a/>".encode("utf-16-le"), "application/xml", "utf-16le"),
        (b"<meta charset=shift_jis>", "text/plain", "utf-8"),  # not HTML: nothing it says counts
        ("žluťoučký kůň".encode(), "text/plain", "utf-8"),
        ("ein schöner Tag, für alle".encode("latin1"), "text/html", "windows-1252"),
        ("привет, как у вас сегодня дела".encode("cp1251"), "text/html", "windows-1251"),
        (b"plain", "text/html", "utf-8"),
        (b"a", 'text/html; charset="Latin1"', "windows-1252"),  # quoted, and an alias
        (b"", "", "utf-8"),
    ],
)
def test_the_first_in_the_order_of_the_standard_that_knows_wins(body: bytes, content_type: str, encoding: str) -> None:
    assert decode(body, content_type)[1] == encoding


def test_text_is_without_mark_and_what_is_malformed_is_replaced() -> None:
    assert decode(b"\xef\xbb\xbfcaf\xc3\xa9 \xff")[0] == "café \ufffd"
    assert decode("日本".encode("shift_jis"), "text/html; charset=SJIS")[0] == "日本"


@pytest.mark.parametrize("content_type", ["text/html", "text/html; charset=big5", ""])
def test_the_tree_is_read_in_the_encoding_that_decode_tells(content_type: str) -> None:
    for body in (b"<title>\xa4\xa4</title>", b"<meta charset=euc-jp><title>\xa4\xa2</title>", b"\xef\xbb\xbf<title>x</title>"):
        text, encoding = decode(body, content_type)

        html = Html(body, content_type=content_type)

        assert html.encoding == encoding
        assert f"<title>{html.title}</title>" in text


@pytest.mark.parametrize("label", ["", "utf-7", "os.path", "\x00", "\ud800", "x" * 10_000, "../utf-8"])
def test_a_label_that_the_standard_does_not_know_is_no_answer(label: str) -> None:
    assert canonical(label) is None


@pytest.mark.parametrize(
    ("content_type", "body", "answer"),
    [
        ("Text/HTML; charset=utf-8", b"", True),
        ("application/xhtml+xml", b"", True),
        ("application/pdf", b"<html>", False),
        ("text/plain", b"<html>", False),
        ("", b"\xef\xbb\xbf \n<!DOCTYPE html>", True),
        ("", b"<Html lang=en>", True),
        ("", b"<?xml version='1.0'?>", False),
        ("", b"", False),
    ],
)
def test_html_is_known_by_its_type_or_else_by_its_first_bytes(content_type: str, body: bytes, answer: bool) -> None:
    assert is_html(content_type, body) is answer


def test_the_html5lib_encoding_cases_hold() -> None:
    wrong = []

    for case in cases.load("html5lib_encoding.json", "html5lib's encoding cases")["cases"]:
        if case["script_needed"]:
            continue
        body = case["data"]["bytes_latin1"].encode("latin1")
        expected, found = canonical(case["expected_encoding"]), decode(body, "text/html")[1]
        # In these cases windows-1252 also stands for "nothing found"; plain ASCII that declares nothing we call UTF-8.
        is_undeclared = expected == "windows-1252" and found == "utf-8" and body.isascii()
        if found != expected and not is_undeclared:
            wrong.append((case["file"], body[:200], expected, found))

    assert wrong == []


SCRAPS = [b"<meta ", b"charset=", b"utf-16", b"\xff\xfe", b"<?xml encoding='", b"'", b"?>", b"<\0?\0"]


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.binary(max_size=100), st.lists(st.sampled_from(SCRAPS)).map(b"".join)),
    st.one_of(st.text(max_size=30), st.text(max_size=30).map("text/html; charset={}".format), st.just("text/xml")),
)
def test_whatever_the_bytes_and_the_header_there_is_a_text_and_an_encoding(body: bytes, content_type: str) -> None:
    text, encoding = decode(body, content_type)

    assert isinstance(text, str)
    assert canonical(encoding) == encoding
    if content_type.startswith("text/html"):
        assert Html(body, content_type=content_type).encoding == encoding
