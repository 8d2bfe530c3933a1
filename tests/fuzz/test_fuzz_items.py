"""Whatever lies on a queue or in a file: a stage finishes it or says why not, and a sink keeps what is whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from corpora import BUG, bent, broken, examples, kept
from hypothesis import given
from hypothesis import strategies as st

from crawler import Page, Record, Stage, UsageError, Visit
from crawler.items import Lease, New
from crawler.pipeline.plugins import item_schema
from crawler.worker.handler import Handler, Outcome
from crawler.worker.routing import Router
from crawler_stages.parse import Parse
from crawler_stages.square import Square
from crawler_stages.store import Store
from tests.stages.outputs import Output, page

PAGE = Page.of(
    b"<title>x</title><a href=/b>b</a>" * 40, url="http://example.org/", status_code=200,
    header_pairs=[("Content-Type", "text/html"), ("X-Robots-Tag", "noindex")], depth=1, referrer="http://r/", fetched_at=1e9,
).packed()  # fmt: skip
RECORD = Record(
    url="http://a/", final_url="http://a/", status=200, content_type="text/html", encoding="utf-8", title="x", description=None,
    canonical=None, language=None, links=["http://a/b"], depth=0, referrer="", fetched_at="2001-09-09T01:46:40.000+00:00",
    elapsed=0.1, bytes=1, sha256="aa", location=None,
)  # fmt: skip
ITEMS: dict[str, Any] = {
    name: msgspec.msgpack.decode(msgspec.msgpack.encode(item)) for name, item in
    {"parse": PAGE, "store": RECORD, "square": 4, "fetch": Visit("http://a/", 1)}.items()
}  # fmt: skip
PACKED = zstandard.ZstdCompressor().compress(b"<a href=/x>" * 100)


@pytest.fixture(scope="module")
def handlers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Handler]]:
    folder = tmp_path_factory.mktemp("fuzz")
    made: dict[str, Stage] = {
        "parse": Parse(), "square": Square(),
        "store": Store(msgspec.convert({"output": str(folder / "out.jsonl"), "state": str(folder / "state")}, Store.Options)),
    }  # fmt: skip
    for stage in made.values():
        stage.open()
    yield {
        name: Handler(stage, item_schema(type(stage))[0], Router(name, ("records", "urls"), {"urls": keyed}))
        for name, stage in made.items()
    }
    for stage in made.values():
        stage.close()


def keyed(item: Visit) -> New:
    return New("urls", item.url.encode())


def process(handler: Handler, body: bytes) -> Outcome:
    (outcome,) = handler.handle([Lease(1, 1, 1, "x", body, None, "", 0)])
    assert (outcome.done is not None) + (outcome.failed is not None) + outcome.is_released == 1
    if outcome.failed is not None:
        assert not outcome.failed.reason.startswith(BUG), outcome.failed.reason
    return outcome


@pytest.mark.slow
@examples(200)
@given(st.sampled_from(["parse", "store", "square"]).flatmap(
    lambda name: st.tuples(st.just(name), st.one_of(
        bent(ITEMS[name]).map(msgspec.msgpack.encode), broken(msgspec.msgpack.encode(ITEMS[name])), st.binary(max_size=30),
    ))
))  # fmt: skip
def test_any_item_is_done_or_dead_with_a_reason(handlers: dict[str, Handler], given: tuple[str, bytes]) -> None:
    name, body = given

    process(handlers[name], body)


@pytest.mark.slow
@examples(150)
@given(
    st.sampled_from(["text/html", "application/xml", "application/rss+xml", "text/plain", "", "application/json",
    "application/gzip", "x"]),
    st.one_of(broken(PACKED).map(lambda body: (body, True)), st.binary(max_size=60).map(lambda body: (body, False)),
              st.sampled_from([b"<a href=", b"<?xml", b"<rss", b"<urlset", b"\x1f\x8b", b"{", b"\xff\xfe",
              b"\xef\xbb\xbf<"]).flatmap(
                  lambda start: st.binary(max_size=40).map(lambda rest: (start + rest, False)))),
    st.sampled_from(["http://example.org/", "http://example.org/sitemap.xml", "nonsense", "", "http://[", "data:,x"]),
)  # fmt: skip
def test_a_page_of_anything_is_parsed(handlers: dict[str, Handler], kind: str, body: tuple[bytes, bool], url: str) -> None:
    content, is_packed = body
    item = Page(url=url, status_code=200, header_pairs=[("Content-Type", kind)], body=content, is_packed=is_packed)

    process(handlers["parse"], msgspec.msgpack.encode(item))


@kept("pages")
def test_a_page_that_was_kept_is_parsed(handlers: dict[str, Handler], data: bytes) -> None:
    item = Page(url="http://example.org/", status_code=200, header_pairs=[], body=data)

    assert process(handlers["parse"], msgspec.msgpack.encode(item)).done is not None


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
@examples(40)
@given(
    tail=st.one_of(st.binary(max_size=40), st.sampled_from([b'{"url": ', b'"', b'""', b"\xff\n", b"\0" * 30, b'{"a": 1}\n{',
    b",,,,\n", b"[]\n"])),
    cut=st.integers(0, 60), has_index=st.booleans(),
)  # fmt: skip
def test_whatever_a_kill_left_at_the_end_of_a_file_whole_rows_stay(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, tail: bytes, cut: int, has_index: bool
) -> None:
    folder = tmp_path_factory.mktemp("tail")
    output = Output(folder / f"out{suffix}", sync="close")
    output.put([page("http://a/"), page("http://b/", text="two\nlines")])
    whole = output.path.read_bytes()
    output.path.write_bytes(whole[: len(whole) - cut] + tail)
    if not has_index:
        output.lose_index()

    goes_on(output, b"" if cut else whole)
    shutil.rmtree(folder)


def goes_on(output: Output, whole: bytes) -> None:
    """The next store writes on behind what is whole; or it names a line of somebody else's that it cannot read, and leaves all
    as it is."""
    before, refusal = output.path.read_bytes(), ""
    try:
        output.put([page("http://c/")])
    except UsageError as error:
        refusal = str(error)
    after = output.path.read_bytes()

    if refusal:
        assert str(output.path) in refusal
        assert after == before
    else:
        assert after.startswith(whole)
        assert after.count(b"http://c/") == 1


@kept("tails")
@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_tail_that_was_kept_harms_no_row(tmp_path: Path, suffix: str, data: bytes) -> None:
    output = Output(tmp_path / f"out{suffix}")
    output.put([page("http://a/"), page("http://b/")])
    whole = output.path.read_bytes()
    output.path.write_bytes(whole + data)

    goes_on(output, whole)
