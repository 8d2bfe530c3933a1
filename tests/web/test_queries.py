"""Queries in the encoding of the page: WHATWG HTML "encoding-parse a URL", WHATWG URL "percent-encode after encoding"."""

from __future__ import annotations

import pytest

from crawler import Page
from crawler.web.encoders import encoded
from crawler.web.encoding import codec
from crawler.web.fields import Fields, FieldSpec
from crawler.web.html import Html
from crawler.web.joins import join_all
from crawler.web.queries import in_encoding

# encoding, query, what is sent
SENT = [
    ("windows-1252", "é", "%E9"),
    ("windows-1252", "€", "%80"),
    ("windows-1252", "\x81", "%81"),  # the standard maps what Python's cp1252 refuses
    ("windows-1252", "日", "%26%2326085%3B"),
    ("windows-1252", "é日é", "%E9%26%2326085%3B%E9"),
    ("windows-1252", "😀", "%26%23128512%3B"),
    ("windows-1251", "тест", "%F2%E5%F1%F2"),
    ("windows-1251", "é", "%26%23233%3B"),
    ("windows-1250", "ł", "%B3"),
    ("windows-1254", "ş", "%FE"),
    ("windows-874", "ก", "%A1"),
    ("iso-8859-2", "ł", "%B3"),
    ("iso-8859-7", "α", "%E1"),
    ("iso-8859-8", "א", "%E0"),
    ("iso-8859-15", "€", "%A4"),
    ("koi8-r", "тест", "%D4%C5%D3%D4"),
    ("koi8-u", "ї", "%A7"),
    ("ibm866", "тест", "%E2%A5%E1%E2"),
    ("macintosh", "é", "%8E"),
    ("x-mac-cyrillic", "я", "%DF"),
    ("x-user-defined", "\uf7ff", "%FF"),
    ("x-user-defined", "é", "%26%23233%3B"),
    ("shift_jis", "日本", "%93%FA%96{"),  # the second byte of a character may be ASCII, which stands for itself
    ("shift_jis", "ソ", "%83\\"),
    ("shift_jis", "ｱ", "%B1"),
    ("shift_jis", "¥‾", "\\~"),
    ("shift_jis", "−", "%81|"),
    ("shift_jis", "①髙", "%87@%FB%FC"),  # of several places the one that the standard takes
    ("shift_jis", "\x80", "%80"),
    ("shift_jis", "한", "%26%2354620%3B"),
    ("euc-jp", "本", "%CB%DC"),
    ("euc-jp", "ｱ", "%8E%B1"),
    ("euc-jp", "丂", "%26%2319970%3B"),  # JIS X 0212 is only decoded
    ("euc-jp", "¥‾−", "\\~%A1%DD"),
    ("iso-2022-jp", "日", "%1B$BF|%1B(B"),
    ("iso-2022-jp", "日a", "%1B$BF|%1B(Ba"),
    ("iso-2022-jp", "日本", "%1B$BF|K\\%1B(B"),
    ("iso-2022-jp", "¥a\\", "%1B(J\\a%1B(B\\"),
    ("iso-2022-jp", "ｱ", "%1B$B%%22%1B(B"),  # half-width Katakana become full-width ones; the bytes are "%" and a quote
    ("iso-2022-jp", "日😀", "%1B$BF|%1B(B%26%23128512%3B"),
    ("iso-2022-jp", "\x0eé", "%26%2365533%3B%26%23233%3B"),
    ("euc-kr", "한글", "%C7%D1%B1%DB"),
    ("euc-kr", "똠", "%8Cc"),  # windows-949, not KS X 1001
    ("big5", "中", "%A4%A4"),
    ("big5", "十═", "%A4Q%F9%F9"),
    ("big5", "㐀", "%26%2313312%3B"),
    ("big5", "㐵", "%26%2313365%3B"),  # Hong Kong's supplement is only decoded
    ("gbk", "中", "%D6%D0"),
    ("gbk", "€", "%80"),
    ("gbk", "😀", "%26%23128512%3B"),
    ("gb18030", "€", "%A2%E3"),
    ("gb18030", "😀", "%949%FC6"),
    ("gb18030", "\ue5e5", "%26%2358853%3B"),
]


@pytest.mark.parametrize(("encoding", "query", "sent"), SENT)
def test_a_query_is_sent_in_the_encoding_of_its_page(encoding: str, query: str, sent: str) -> None:
    assert in_encoding(f"/п?q={query}&é#ж", encoding).startswith(f"/п?q={sent}&")
    assert join_all("http://h/", [f"s?q={query}"], encoding) == [f"http://h/s?q={sent}"]


@pytest.mark.parametrize(
    ("href", "sent"),
    [
        ("s?a=1&b=é+x%20%C3%A9&c", "s?a=1&b=%E9+x%20%C3%A9&c"),  # what is encoded already stays
        ("s?é ü", "s?%E9%20%FC"),
        ("s?\"<>'é", "s?%22%3C%3E%27%E9"),
        ("s?{|}`^\\é", "s?{|}`^\\%E9"),
        ("s?é?é", "s?%E9?%E9"),
        ("  s?é \n", "s?%E9"),
        ("s?\té\r\nü", "s?%E9%FC"),
        ("s?é#é?é", "s?%E9#é?é"),
        ("é#s?é", "é#s?é"),
        ("é/s", "é/s"),
        ("é?s", "é?s"),
        ("?é", "?%E9"),
        ("//h/?é", "//h/?%E9"),
        ("s?\ud800é", "s?%26%2365533%3B%E9"),
    ],
)
def test_only_the_query_is_touched(href: str, sent: str) -> None:
    assert in_encoding(href, "windows-1252") == sent


ENCODINGS = [
    "windows-1252", "windows-1251", "iso-8859-2", "koi8-r", "shift_jis", "euc-jp", "iso-2022-jp", "euc-kr", "big5", "gbk",
    "gb18030",
]  # fmt: skip
ONE_WAY = dict.fromkeys("¥", "\\") | dict.fromkeys("‾", "~") | {"−": "－"}  # in Japanese encodings


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_was_encoded_is_decoded_to_the_same_by_the_standards_decoder(encoding: str) -> None:
    for number in (*range(0x80, 0xD800, 7), *range(0xF900, 0x10000, 7)):
        char = chr(number)
        pieces = list(encoded(char, encoding))
        if not any(isinstance(piece, str) for piece in pieces):
            text = b"".join(piece for piece in pieces if isinstance(piece, bytes)).decode(codec(encoding))
            half = encoding == "iso-2022-jp" and 0xFF61 <= number <= 0xFF9F
            assert half or text in (char, ONE_WAY.get(char)), f"{char} {number:x}"


PAGE = """<!doctype html><meta charset={charset}><base href="/b?é">
<link rel=canonical href="c?é"><link rel=next href="n?é"><meta http-equiv=refresh content="5; URL='r?é'">
<a href="?é">x</a><a href="é?é#é">x</a><area href="a?é"><iframe src="i?é"></iframe><b data-u="u?é">u?é</b>"""


@pytest.mark.parametrize(
    ("charset", "sent"), [("windows-1252", "%E9"), ("utf-8", "%C3%A9"), ("iso-8859-2", "%E9"), ("gbk", "%A8%A6")]
)
def test_every_url_of_a_page_has_its_query_in_the_pages_encoding(charset: str, sent: str) -> None:
    body = PAGE.format(charset=charset).encode(charset)

    html = Html(body, "http://h/p", "text/html")
    fields = Fields({"u": FieldSpec(css="b::attr(data-u)", type="url"), "t": FieldSpec(css="b", type="url")}).read(html)

    assert html.base == f"http://h/b?{sent}"
    assert html.canonical == f"http://h/c?{sent}"
    assert html.refresh == (5.0, f"http://h/r?{sent}")
    assert set(html.link_urls) == {f"http://h/{path}?{sent}" for path in ("c", "n", "r", "b", "%C3%A9", "a", "i")}
    assert f"[x](http://h/b?{sent})" in html.text("markdown")
    assert fields == {"u": f"http://h/u?{sent}", "t": f"http://h/u?{sent}"}
    page = Page.of(body, url="http://h/p", status_code=200, header_pairs=[("Content-Type", "text/html")])
    assert page.urljoin("?é") == f"http://h/b?{sent}"


@pytest.mark.parametrize(
    ("head", "content_type", "sent"),
    [
        ("", "text/html; charset=windows-1251", "%F2"),
        ("<meta charset=utf-8>", "text/html; charset=windows-1251", "%F2"),  # the header outranks the page
        ("<meta charset=windows-1251>", "text/html", "%F2"),
        ("<meta http-equiv=content-type content='text/html; charset=cp1251'>", "text/html", "%F2"),
        ("<meta charset=utf-8>", "text/html", "%D1%82"),
        ("<meta charset=utf-16>", "text/html", "%D1%82"),
        ("<meta charset=x-x-unknown>", "text/html; charset=utf-8", "%D1%82"),
    ],
)
def test_the_encoding_is_the_one_that_the_page_is_read_in(head: str, content_type: str, sent: str) -> None:
    html = Html(f"<!doctype html>{head}<a href='?q=&#1090;'>x</a>".encode(), "http://h/", content_type)

    assert html.link_urls == [f"http://h/?q={sent}"]


@pytest.mark.parametrize("encoding", ["utf-16le", "utf-16be"])
def test_pages_in_utf_16_send_utf_8(encoding: str) -> None:
    html = Html("\ufeff<a href='?т'>x</a>".encode(encoding), "http://h/", "text/html")

    assert html.link_urls == ["http://h/?%D1%82"]


def test_the_same_href_on_pages_of_two_encodings_is_two_urls() -> None:
    pages = [Html(f"<meta charset={charset}><a href='?é'>x</a>".encode(charset), "http://h/", "text/html") for charset in
             ("utf-8", "windows-1252", "utf-8")]  # fmt: skip

    assert [html.link_urls for html in pages] == [["http://h/?%C3%A9"], ["http://h/?%E9"], ["http://h/?%C3%A9"]]


@pytest.mark.parametrize(
    ("content", "target"),
    [
        ("0;url=r?é", "r?%E9"), ("0; URL = 'r?é' x", "r?%E9"), ('0 "r?é"x', "r?%E9"), ("0,r?é", "r?%E9"),
        ("1.5;url=r?é", "r?%E9"),
        ("  .5 ; url='r?é", "r?%E9"), ("0;urlx?é", "urlx?%E9"), ("0;\turl=é?é", "%C3%A9?%E9"), ("0; url=r?%C3%A9", "r?%C3%A9"),
    ],
)  # fmt: skip
def test_a_refresh_has_its_query_in_the_pages_encoding(content: str, target: str) -> None:
    escaped = content.replace('"', "&quot;")
    body = f'<meta charset=windows-1252><meta http-equiv=Refresh content="{escaped}">'
    html = Html(body.encode("cp1252"), "http://h/", "text/html")

    assert html.refresh is not None
    assert html.refresh[1] == f"http://h/{target}"


@pytest.mark.parametrize(
    ("head", "refresh"),
    [
        ("<meta http-equiv=refresh content='5; url=x'><meta http-equiv=refresh content='0; url=y'>", (5.0, "http://h/x")),
        ("<meta http-equiv=refresh content='x'><meta http-equiv=refresh content='0; url=y'>", (0.0, "http://h/y")),
        (
            "<meta http-equiv=refresh content='0; url=javascript:1'><meta http-equiv=refresh content='0; url=y'>",
            (0.0, "http://h/y"),
        ),
        ("<meta http-equiv=refresh content='60'><meta http-equiv=refresh content='0; url=y'>", None),
        ("<noscript><meta http-equiv=refresh content='0; url=nojs'></noscript>", None),
        ("<meta http-equiv=refresh content='0; url=/'>", None),
        ("<meta http-equiv=refresh content='0; url=\"\"'>", None),
        ("<meta http-equiv=refresh content='5x; url=y'>", None),
        ("<meta http-equiv=refresh content='1.2.3; url=y'>", (1.2, "http://h/y")),
        ("<meta http-equiv=refresh content='.; url=y'>", (0.0, "http://h/y")),
        ("<meta http-equiv=refresh content='5 y'>", (5.0, "http://h/y")),
    ],
)
def test_the_first_refresh_that_can_be_read_counts(head: str, refresh: tuple[float, str] | None) -> None:
    assert Html(head, "http://h/", "text/html").refresh == refresh


@pytest.mark.parametrize(
    ("links", "canonical"),
    [
        ("<link rel=canonical>", None),
        ("<link rel=canonical href>", None),
        ('<link rel=canonical href="">', None),
        ('<link rel=canonical href=" \n">', None),
        ('<link rel=canonical href="mailto:x">', None),
        ('<link rel=canonical><link rel=canonical href="/a">', "http://h/a"),
        ('<link rel=canonical href=""><link rel="x CANONICAL" href="/a"><link rel=canonical href="/b">', "http://h/a"),
        ('<link rel=canonical href="#x">', "http://h/"),
        ('<base href="/"><link rel=canonical href="">', None),
    ],
)
def test_a_canonical_link_without_an_address_is_none(links: str, canonical: str | None) -> None:
    assert Html(links, "http://h/d/p" if "base" in links else "http://h/", "text/html").canonical == canonical


@pytest.mark.parametrize(
    "element", ["<link rel=next href=''>", "<link rel=next>", "<iframe src=''></iframe>", "<link rel=canonical href>"]
)
def test_an_element_with_an_empty_address_is_no_link(element: str) -> None:
    assert Html(f"<base href='/b'>{element}", "http://h/", "text/html").link_urls == []
