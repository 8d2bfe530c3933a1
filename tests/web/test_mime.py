"""Content-Type headers, read by the steps of the standards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.web.encoding import charset, is_html
from crawler.web.mime import MimeType, combined, media_type, mime_type

# header: type, charset
HEADERS = {
    "text/html": ("text/html", ""),
    "text/html;charset=utf-8": ("text/html", "utf-8"),
    " TEXT/Html ; Charset=UTF-8 ": ("text/html", "UTF-8"),
    "text/html;": ("text/html", ""),
    "text/html;;;charset=gbk": ("text/html", "gbk"),
    "text/html; ; charset=gbk": ("text/html", "gbk"),
    "text/html;charset": ("text/html", ""),
    "text/html;charset=": ("text/html", ""),
    "text/html;charset=;charset=gbk": ("text/html", "gbk"),
    "text/html;charset=gbk;charset=utf-8": ("text/html", "gbk"),
    'text/html; charset="gbk"': ("text/html", "gbk"),
    'text/html; charset="gb\\k"': ("text/html", "gbk"),
    'text/html; charset="gbk': ("text/html", "gbk"),
    'text/html; charset="gbk" junk; x=y': ("text/html", "gbk"),
    'text/html; x="a,b;c"; charset=gbk': ("text/html", "gbk"),
    "text/html; x=y=z; charset=gbk": ("text/html", "gbk"),
    "text/html\t;\tcharset=gbk\t": ("text/html", "gbk"),
    "text/html; charset = gbk": ("text/html", ""),  # a name with a blank is none
    "text/html, text/html": ("text/html", ""),
    "text/html,text/html;charset=gbk": ("text/html", "gbk"),
    "text/html;charset=gbk, text/html": ("text/html", "gbk"),  # the examples of the Fetch standard
    "text/html;charset=gbk;a=b, text/html;x=y": ("text/html", "gbk"),
    "text/html;charset=gbk, x/x, text/html;x=y": ("text/html", ""),
    "text/html;charset=gbk, x/x": ("x/x", ""),
    "text/html, cannot-parse": ("text/html", ""),
    "text/html, */*": ("text/html", ""),
    "text/html;charset=gbk, */*": ("text/html", "gbk"),
    "text/html, ": ("text/html", ""),
    ",,text/html,,": ("text/html", ""),
    "*/*, text/html": ("text/html", ""),
    "text/plain, text/html": ("text/html", ""),
    "text/html, text/plain": ("text/plain", ""),
    'text/html;x=", text/plain': ("text/html", ""),
    'text/html;" \\" text/plain", text/xml': ("text/xml", ""),
    "text/html, unknown/unknown": ("", ""),
    "application/xhtml+xml": ("application/xhtml+xml", ""),
    "": ("", ""),
    "bogus": ("", ""),
    "html": ("", ""),
    "text/": ("", ""),
    "/html": ("", ""),
    "text html": ("", ""),
    "text/ html": ("", ""),
    "te xt/html": ("", ""),
    "text/html/x": ("", ""),
    "(null)": ("", ""),
    "*/*": ("", ""),
    "unknown/unknown": ("", ""),
    "Application/Unknown": ("", ""),
    "charset=gbk": ("", "gbk"),  # no type; but a charset can be meant for nothing else
    "text/html charset=gbk": ("", "gbk"),
    "; charset='gbk'": ("", "gbk"),
}


@pytest.mark.parametrize(("header", "wanted"), HEADERS.items())
def test_a_type_and_its_charset(header: str, wanted: tuple[str, str]) -> None:
    assert mime_type(header) == MimeType(*wanted)
    assert media_type(header) == wanted[0]


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ([], ""),
        (["Text/HTML; Charset=UTF-8"], "Text/HTML; Charset=UTF-8"),
        (["bogus"], "bogus"),
        (["text/html", "text/html; charset=gbk"], "text/html; charset=gbk"),
        (["text/html; charset=gbk", "text/html"], "text/html; charset=gbk"),
        (["text/plain", "text/html"], "text/html"),
        (["text/html, text/html"], "text/html"),
        (["text/html", ""], "text/html"),
        (["bogus", "*/*"], "bogus, */*"),
    ],
)
def test_of_several_headers_the_one_that_counts(sent: list[str], kind: str) -> None:
    assert combined(sent) == kind


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("text/html; charset='utf-8'", "utf-8"), ('text/html; charset=" utf-8 "', "utf-8"),
        ("text/html; charset=latin1", "windows-1252"),
        ("text/html; charset=utf8, text/html", "utf-8"), ("text/html; charset=none", None), ("text/html, charset=gbk", None),
    ],
)  # fmt: skip
def test_the_charset_is_known_by_the_name_of_the_standard(header: str, name: str | None) -> None:
    assert charset(header) == name


STARTS = [
    "<!DOCTYPE HTML>", "<!doctype  html public>", "<HTML>", "<head>", "<Script src=x>", "<iframe >", "<h1>", "<div id=x>",
    "<font size=1>",
    "<table>", "<a href=x>", "<style>", "<title>", "<b>", "<body\tclass=x>", "<br/>", "<p>", "<!-- a comment", "<!---->",
    "\n\t\f\r <p>",
    "\ufeff<html>", "<meta charset=utf-8>", "<?xml version='1.0'?>\n<!DOCTYPE html>",
    "<?xml version='1.0' encoding='utf-8'?><html>",
]  # fmt: skip
NO_STARTS = [
    "", "tea", "<", "<abbr>", "<pre>", "<html", "{}", "%PDF-1.7", "<?xml version='1.0'?><rss>", "<urlset>", "x<html>", "<htmlx>",
]  # fmt: skip


@pytest.mark.parametrize("header", [header for header, (kind, _) in HEADERS.items() if not kind])
def test_where_the_header_does_not_say_it_the_bytes_do(header: str) -> None:
    assert [start for start in STARTS if not is_html(header, start.encode())] == []
    assert [start for start in NO_STARTS if is_html(header, start.encode())] == []


@given(st.text(alphabet='text/hml;=,"\\ \t*charset\u00e9\u20ac', max_size=60))
def test_whatever_is_sent_there_is_an_answer(header: str) -> None:
    found = mime_type(header)

    assert found.essence == found.essence.lower()
    assert media_type(f"{header}, text/html") in ("text/html", found.essence, "")
