"""Content codings: what is whole is undone, what is cut short is a failure, what follows the end is ignored."""

from __future__ import annotations

import gzip
import os
import random
import zlib
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import zstandard

from crawler_stages.clients.coding import ACCEPTED, CODINGS, MAX_MEMBERS, Source, read_body
from crawler_stages.clients.contract import BrokenReply, Client, TooBig
from tests.peer import Peer, answering, body

brotli = pytest.importorskip("brotli")

TEXT = b"<!doctype html><title>tea</title>" + b"<p>a cup of tea, please</p>" * 400 + os.urandom(3_000).hex().encode()


def raw_deflate(content: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(content) + deflate.flush()


def zstd(content: bytes, **options: bool) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(content)


def zstd_stream(content: bytes) -> bytes:
    """Without the size of the content, and in several blocks."""
    stream = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    half = len(content) // 2
    flushed = stream.compress(content[:half]) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return flushed + stream.compress(content[half:]) + stream.flush()


def skippable(content: bytes) -> bytes:
    return b"\x5a\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content


# How a body is coded: the coding, and the function
FORMS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip, stored": ("gzip", partial(gzip.compress, compresslevel=0)),
    "deflate": ("deflate", zlib.compress),
    "deflate without header": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "br, fast": ("br", partial(brotli.compress, quality=0)),
    "zstd": ("zstd", zstd),
    "zstd with a checksum": ("zstd", partial(zstd, write_checksum=True)),
    "zstd without the size": ("zstd", partial(zstd, write_content_size=False)),
    "zstd in blocks": ("zstd", zstd_stream),
}
SEVERAL = [name for name, (coding, _) in FORMS.items() if coding in ("gzip", "zstd")]


def undone(coding: str, sent: bytes, size: int = 1 << 16, most: int = 4 << 20) -> bytes:
    """The decoded body, which comes in pieces of this size."""
    pieces: Iterator[bytes] = iter([sent[start : start + size] for start in range(0, len(sent), size)])
    return read_body(Source(lambda _: next(pieces, b""), most), [coding], max_bytes=most, max_ratio=1e9)


def test_every_coding_that_is_asked_for_has_a_decoder() -> None:
    assert sorted(CODINGS) == sorted(ACCEPTED.split(", ")) == sorted({coding for coding, _ in FORMS.values()})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 2, 7, 1_000, 1 << 16])
def test_it_is_undone_in_whatever_pieces_it_comes(form: str, size: int) -> None:
    coding, make = FORMS[form]

    assert undone(coding, make(TEXT), size) == TEXT


@pytest.mark.parametrize("form", FORMS)
def test_a_body_cut_short_anywhere_is_a_failure(form: str) -> None:
    coding, make = FORMS[form]
    sent = make(TEXT)
    dice = random.Random(form)
    cuts = {*range(1, 24), *range(len(sent) - 12, len(sent)), *(dice.randrange(1, len(sent)) for _ in range(60))}

    whole = []
    for cut in sorted(cuts):
        try:
            undone(coding, sent[:cut])
        except BrokenReply:
            continue
        whole.append(cut)

    assert whole == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 500_000], ids=["empty", "a byte", "zeros"])
def test_any_content_is_undone(form: str, content: bytes) -> None:
    coding, make = FORMS[form]

    assert undone(coding, make(content)) == content


@pytest.mark.parametrize("coding", sorted(CODINGS))
def test_an_empty_body_is_empty_in_every_coding(coding: str) -> None:
    assert undone(coding, b"") == b""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("junk", [b"\0", b"\n", b"junk", b"<!-- served by x -->", b"\0" * 100_000])
def test_what_follows_the_end_is_ignored(form: str, junk: bytes) -> None:
    coding, make = FORMS[form]

    assert undone(coding, make(TEXT) + junk) == TEXT


@pytest.mark.parametrize("form", SEVERAL)
def test_members_in_a_row_are_one_body_and_the_last_one_counts_as_well(form: str) -> None:
    coding, make = FORMS[form]
    sent = make(TEXT[:50]) + make(b"") + make(TEXT[50:])

    assert [undone(coding, sent, size) for size in (1, 5, 1 << 16)] == [TEXT] * 3
    with pytest.raises(BrokenReply, match="cut short"):
        undone(coding, sent[:-9])
    with pytest.raises(BrokenReply, match="members"):
        undone(coding, make(b"") * (MAX_MEMBERS + 1))


def test_skippable_zstd_frames_are_passed_over() -> None:
    sent = skippable(b"note") + zstd(TEXT) + skippable(b"x" * 100_000) + skippable(b"")

    assert [undone("zstd", sent, size) for size in (1, 3, 1 << 16)] == [TEXT] * 3
    with pytest.raises(BrokenReply, match="cut short"):
        undone("zstd", skippable(b"note")[:-1])


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("zstd", TEXT),
        ("zstd", b"\x28\xb5\x2f\xfd" + b"\xff" * 50),
        ("zstd", zstd(TEXT)[:9] + b"\x06" * 4_000),  # a reserved block
        ("zstd", zstd(TEXT, write_checksum=True)[:-4] + b"\0\0\0\0"),
        ("br", b"\xff" * 50),
        ("deflate", b"\xff" * 50),
        ("gzip", gzip.compress(TEXT)[:-8] + b"\0" * 8),
        ("gzip", gzip.compress(TEXT)[:100] + b"\xff" * 500),
    ],
)
def test_what_is_not_in_its_coding_is_a_failure(coding: str, sent: bytes) -> None:
    with pytest.raises(BrokenReply):
        undone(coding, sent)


@pytest.mark.parametrize("sent", [zstd(bytes(64 << 20)), b"\x28\xb5\x2f\xfd\x00\x58" + b"\x02\x00\x10\x00" * 10_000])
def test_a_zstd_bomb_is_stopped_at_the_limit(sent: bytes) -> None:
    with pytest.raises(TooBig, match="max_bytes"):
        undone("zstd", sent)


@pytest.fixture
def client(make: Callable[..., Client]) -> Client:
    return make()


@pytest.mark.parametrize("form", FORMS)
def test_both_clients_keep_the_same_rules(serve: Callable[..., Peer], client: Client, form: str) -> None:
    coding, make = FORMS[form]
    header, sent = f"Content-Encoding: {coding}", make(TEXT)
    peer = serve()
    peer.talks += [answering(body(each, header))(peer) for each in (sent, sent + b"junk", b"", sent[: len(sent) * 2 // 3])]

    assert [client.get(peer.url, {}).content for _ in range(3)] == [TEXT, TEXT, b""]
    with pytest.raises(BrokenReply, match="cut short"):
        client.get(peer.url, {})
