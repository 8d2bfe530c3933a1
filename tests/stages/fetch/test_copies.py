"""Pages kept to be asked for again: what is kept, what is asked, and what a 304 makes of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from crawler import ConfigError
from crawler_stages.clients.contract import Reply
from crawler_stages.fetch import Fetch
from crawler_stages.fetch.copies import FILE, Copies

URL = "http://example.org/"


def reply(status: int = 200, content: bytes = b"", **headers: str) -> Reply:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Reply(status=status, headers=pairs, content=content, received=len(content), seconds=0.1)


def test_a_page_is_asked_for_by_what_it_was_sent_with(tmp_path: Path) -> None:
    copies = Copies(tmp_path)

    copies.keep(URL, reply(content=b"a", ETag='W/"1"', Last_Modified="Tue, 09 Feb 2021 22:23:32 GMT"))

    copy = copies.find(URL)
    assert copy is not None
    assert copy.conditions() == {"If-None-Match": 'W/"1"', "If-Modified-Since": "Tue, 09 Feb 2021 22:23:32 GMT"}
    assert copies.find(f"{URL}b") is None
    copies.close()


def test_a_304_is_the_page_that_was_kept_with_its_header_brought_up_to_date(tmp_path: Path) -> None:
    copies = Copies(tmp_path)
    copies.keep(URL, reply(content=b"tea", ETag="1", Content_Type="text/html", X_Old="kept", Content_Length="3"))
    copies.close()

    again = Copies(tmp_path)  # another crawl
    copy = again.find(URL)
    assert copy is not None
    page = copy.confirmed(reply(304, ETag="2", Content_Length="0"))

    assert (page.status, page.content) == (304, b"tea")
    assert dict(page.headers) == {"ETag": "2", "Content-Type": "text/html", "X-Old": "kept", "Content-Length": "3"}
    again.close()


@pytest.mark.parametrize(
    "later", [reply(content=b"no validators"), reply(ETag="1", Cache_Control="private, No-Store"), reply(404, ETag="1")]
)
def test_what_may_not_be_kept_or_cannot_be_asked_for_is_forgotten(tmp_path: Path, later: Reply) -> None:
    copies = Copies(tmp_path)
    copies.keep(URL, reply(ETag="1"))

    copies.keep(URL, later)

    assert copies.find(URL) is None
    copies.close()


def test_two_workers_share_the_file(tmp_path: Path) -> None:
    one, other = Copies(tmp_path), Copies(tmp_path)

    one.keep(URL, reply(content=b"a", ETag="1"))

    found = other.find(URL)
    assert found is not None
    assert found.content == b"a"
    one.close()
    other.close()


def test_a_file_that_breaks_costs_time_and_no_page(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    copies = Copies(tmp_path)
    copies.close()  # every use of it is an error from now on

    with caplog.at_level(logging.WARNING):
        copies.keep(URL, reply(ETag="1"))
        assert copies.find(URL) is None

    assert "can be kept" in caplog.text
    assert "can be read" in caplog.text


def test_a_place_where_nothing_can_be_kept_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database" * 100)

    with pytest.raises(ConfigError, match=r"stages\.fetch\.revalidate: pages cannot be kept in"):
        Fetch(Fetch.Options(revalidate=True, state=str(tmp_path))).open()
