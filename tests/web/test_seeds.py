"""Lists of URLs as they come from editors, and what is said of lines that are none."""

from __future__ import annotations

import codecs
import io

import pytest

from crawler.errors import BadUrl, UsageError
from crawler.web import seeds
from crawler.web.seeds import check, decode, lines

LIST = "# where to begin\n\nhttp://example.org/é\n  https://example.org/b  \n"
URLS = ["http://example.org/é", "https://example.org/b"]


def read(data: bytes) -> list[str]:
    return check(lines(decode(data, "seeds.txt")), "seeds.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_of_any_editor_is_read(encoding: str, end: str) -> None:
    assert read(LIST.replace("\n", end).encode(encoding)) == URLS


def test_a_list_in_utf_16_of_either_order_is_read() -> None:
    assert read(b"\xfe\xff" + LIST.encode("utf-16-be")) == URLS
    assert read(b"\xff\xfe" + LIST.encode("utf-16-le")) == URLS


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('"http://example.org/"', "http://example.org/"),
        ("'http://example.org/'", "http://example.org/"),
        ("<http://example.org/>", "http://example.org/"),
        ("“http://example.org/”", "http://example.org/"),
        ('  "http://example.org/",', "http://example.org/"),
        ("http://example.org/ # the first", "http://example.org/"),
        ("http://example.org/#top", "http://example.org/#top"),
        ("http://example.org/it's", "http://example.org/it's"),
        ("example.org/a\t# a tab", "example.org/a"),
        ("\ufeffhttp://example.org/", "http://example.org/"),
    ],
)
def test_what_stands_around_a_url_is_taken_off(line: str, text: str) -> None:
    assert [(each.number, each.text) for each in lines(f"\n{line}\n")] == [(2, text)]


@pytest.mark.parametrize("line", ["", "   ", "# http://example.org/", "  # note", '""', "\ufeff"])
def test_a_line_without_a_url_is_left_out(line: str) -> None:
    assert lines(line) == []


def test_every_line_that_is_no_url_is_named_at_once_by_its_number() -> None:
    with pytest.raises(BadUrl) as caught:
        read(b"http://example.org/\nhtp://example.org/\n\n# note\nnot a url\nhttps://u:secret@\n")

    words = str(caught.value)
    assert words.splitlines()[0].startswith("seeds.txt has 3 lines that cannot be crawled; a line is one URL, such as https://")
    assert [line.strip() for line in words.splitlines()[1:]] == [
        "line 2: 'htp://example.org/'", "line 5: 'not a url'", "line 6: 'https://(hidden)@': its host is missing",
    ]  # fmt: skip


def test_of_many_bad_lines_the_first_are_named() -> None:
    with pytest.raises(BadUrl) as caught:
        read(b"nonsense\n" * 500)

    assert len(str(caught.value).splitlines()) == 22
    assert str(caught.value).endswith("and 480 more")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_that_cannot_be_decoded_is_named(end: bytes) -> None:
    data = end.join([b"http://example.org/", b"# note", "http://example.org/é".encode("latin-1"), b""])

    with pytest.raises(UsageError, match=r"seeds\.txt, line 3: 0xe9 is not UTF-8; save it as UTF-8"):
        decode(data, "seeds.txt")


def test_utf_16_that_does_not_say_so_is_named() -> None:
    with pytest.raises(UsageError, match=r"seeds\.txt looks like UTF-16 without a byte order mark; save it as UTF-8"):
        decode(LIST.encode("utf-16-le"), "seeds.txt")


def test_a_line_with_two_urls_is_a_bad_line_and_what_was_written_is_shown() -> None:
    with pytest.raises(BadUrl) as caught:
        read(b"http://a.org/ http://b.org/\na.org b.org\nhttp://a.org/a b\n<a href=x>\nhttp://a.org:99999/\n")

    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "line 1: 'http://a.org/ http://b.org/': more than one URL", "line 2: 'a.org b.org': more than one URL",
        "line 4: '<a href=x>'", "line 5: 'http://a.org:99999/': its port is above 65535",
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\x1f\x8b\x08\0\0\0", b"SQLite format 3\0\x10\0\1\1"])
def test_a_file_that_is_no_text_is_named_so(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"^seeds\.txt is not a text file; it takes one URL a line"):
        decode(data, "seeds.txt")


class Arriving(io.BytesIO):
    """A pipe that gives so many bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(self._size)


LISTS = [
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"), (b"", "utf-8"),
]  # fmt: skip


@pytest.mark.parametrize(("mark", "encoding"), LISTS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_the_lines_of_a_pipe_are_read_in_any_encoding_and_with_any_ends(mark: bytes, encoding: str, end: str, size: int) -> None:
    values = ['{"a": 1}', "", "  \u0a0d\u0d0a caf\u00e9 ", "#5", "\U0001f600", "last"]
    data = mark + end.join(values).encode(encoding)

    found = list(seeds.stream(Arriving(data, size), "standard input"))

    assert found == ['{"a": 1}', "\u0a0d\u0d0a caf\u00e9", "#5", "\U0001f600", "last"]


def test_a_line_of_a_pipe_that_cannot_be_read_is_named_and_those_before_it_are_given() -> None:
    found = seeds.stream(io.BytesIO(b"one\n\ntw\xff\n"), "standard input")

    assert next(found) == "one"
    with pytest.raises(UsageError, match="standard input, line 3: it is not UTF-8; save it as UTF-8"):
        next(found)
