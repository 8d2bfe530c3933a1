"""Undoing Content-Encoding (RFC 9110 §8.4) without ever holding more than a block: hostile bodies expand a thousandfold.

    the wire ──Source──▶ blocks as sent ──one generator a coding──▶ decoded blocks ──read_body──▶ content, or TooBig

Everything pulls, and no decoder is asked for more than a block, so the limits hold while a body arrives. `CODINGS` is the table of
decoders. The rules are the same for all of them: a body that ends before its coding does is cut short, and a failure; a second gzip
member or zstd frame goes on where the first one ends (RFC 1952 §2.2, RFC 8878 §3); what else follows the end is ignored, as
browsers do; an empty body is empty in every coding.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, Final, NamedTuple, Protocol

import zstandard

from crawler_stages.clients import zstd_frames
from crawler_stages.clients.contract import BrokenReply, TooBig

brotli: Any
try:
    brotli = import_module("brotli")
except ImportError:  # optional: servers then send gzip
    brotli = None

BLOCK: Final = 65_536  # bytes read, and decoded, at once
MAX_CODINGS: Final = 2  # one more than any honest server sends; each multiplies the size of a bomb
MAX_MEMBERS: Final = 1_000  # gzip members or zstd frames in a row: each costs work even if it is empty
RATIO_FROM: Final = 1 << 20  # bytes; expansion is judged from here: a small page of spaces compresses well

_HAS_BROTLI: Final = hasattr(getattr(brotli, "Decompressor", None), "can_accept_more_data")  # 1.2: the first with a limit
ACCEPTED: Final = "gzip, deflate, br, zstd" if _HAS_BROTLI else "gzip, deflate, zstd"

_GZIP: Final = b"\x1f\x8b"
_GZIP_BITS: Final = 31  # zlib's way to say "gzip header"
_RAW_BITS: Final = -15  # … and "no header"


class Source:
    """The blocks of a body as sent, counted."""

    def __init__(self, read: Callable[[int], bytes], limit: int) -> None:
        self._read = read
        self._limit = limit
        self.received = 0  # bytes

    def __iter__(self) -> Iterator[bytes]:
        while block := self._read(BLOCK):
            self.received += len(block)
            if self.received > self._limit:
                raise TooBig(f"a body of more than {self._limit} bytes as sent; see stages.fetch.max_bytes")
            yield block


def read_body(source: Source, codings: Iterable[str], *, max_bytes: int, max_ratio: float, cut: int = 0) -> bytes:
    """Return the decoded body. codings: the values of Content-Encoding. cut > 0: no more than this many bytes, the rest stays
    unread."""
    blocks = _decoded(iter(source), _names(codings))
    kept: list[bytes] = []
    size = 0
    try:
        for block in blocks:
            kept.append(block)
            size += len(block)
            if cut and size >= cut:
                return b"".join(kept)[:cut]
            if size > max_bytes:
                raise TooBig(f"a body of more than {max_bytes} bytes; see stages.fetch.max_bytes")
            if size > RATIO_FROM and size > max_ratio * source.received:
                raise TooBig(f"{source.received} bytes that expand to more than {size}; see stages.fetch.max_ratio")
    except (zlib.error, zstandard.ZstdError) as error:
        raise BrokenReply(f"the body is not in the coding it claims: {error}") from error
    return b"".join(kept)


def _names(codings: Iterable[str]) -> list[str]:
    """Return the names of codings in the order to undo them: the last one first."""
    names = [name.strip().lower().removeprefix("x-") for value in codings for name in value.split(",")]
    # A name that is no coding ("none", "utf-8", "identity") means the body is not coded: such servers exist, browsers read them.
    names = [name for name in names if name in ("gzip", "deflate", "br", "zstd", "compress")]
    if len(names) > MAX_CODINGS:
        raise BrokenReply(f"{len(names)} content codings one over the other; at most {MAX_CODINGS} are undone")
    return names[::-1]


def _decoded(blocks: Iterator[bytes], names: list[str]) -> Iterator[bytes]:
    for name in names:
        if name not in CODINGS:
            raise BrokenReply(f"content coding {name!r}, which was not asked for; accepted are {ACCEPTED}")
        blocks = _undone(blocks, CODINGS[name])
    return blocks


class Decoder(Protocol):
    """A decompressor of `zlib.decompressobj`."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, most: int, /) -> bytes: ...


class Coding(NamedTuple):
    """A row of `CODINGS`."""

    decoder: Callable[[bytes], Decoder | None]  # for what begins with these bytes; None: it is not coded at all
    is_member: Callable[[bytes], bool]  # whether what follows an end is a further member


def _undone(blocks: Iterator[bytes], coding: Coding) -> Iterator[bytes]:
    rest = _topped_up(b"", blocks)
    if not rest:
        return
    for _ in range(MAX_MEMBERS):
        decoder = coding.decoder(rest)
        if decoder is None:
            yield rest
            yield from blocks
            return
        while not decoder.eof:
            block = decoder.decompress(rest, BLOCK)
            rest = decoder.unconsumed_tail
            if block:
                yield block
            # A full block may leave output inside, to be had for no further input.
            if not decoder.eof and not rest and len(block) < BLOCK:
                rest = next(blocks, b"")
                if not rest:
                    raise BrokenReply("the compressed body is cut short")
        rest = _topped_up(decoder.unused_data, blocks)
        if not coding.is_member(rest):
            for _ignored in blocks:  # what follows is junk; read, so that the connection can be used again
                pass
            return
    raise BrokenReply(f"more than {MAX_MEMBERS} members of a compressed body")


def _topped_up(start: bytes, blocks: Iterator[bytes]) -> bytes:
    """Extend `start` to at least four bytes, if there are that many: enough to tell formats apart."""
    while len(start) < len(zstd_frames.MAGIC) and (block := next(blocks, b"")):
        start += block
    return start


def _gunzip(start: bytes) -> Decoder | None:
    """Make a gzip decoder; None if the body is not gzip, whatever the header says. Browsers and libcurl refuse that; here it is
    taken as it is, because proxies that unpack and leave the header exist, and the parser finds no page in a body that is none."""
    return zlib.decompressobj(_GZIP_BITS) if start.startswith(_GZIP) or start == _GZIP[:1] else None


def _inflate(start: bytes) -> Decoder:
    """Make a decoder for deflate with the header of zlib, as RFC 9110 §8.4.1.2 has it, or without, as some servers send it."""
    has_header = len(start) > 1 and start[0] & 15 == 8 and int.from_bytes(start[:2], "big") % 31 == 0  # RFC 1950 §2.2
    return zlib.decompressobj(zlib.MAX_WBITS if has_header else _RAW_BITS)


class _Brotli:
    """The decoder of Brotli with the interface of `zlib.decompressobj`.

    The library fails if anything follows the end of the stream, and the output of that call is lost. So its input is kept, and
    decoded again after a failure, the last piece of it byte by byte: either the stream ends within it, or it is broken.
    """

    unconsumed_tail = b""
    unused_data = b""  # never told: it is junk

    def __init__(self) -> None:
        self.eof = False
        self._decoder = brotli.Decompressor()
        self._sent: list[bytes] = []
        self._given = 0  # bytes
        self._again: Iterator[bytes] | None = None

    def decompress(self, data: bytes, most: int) -> bytes:
        try:
            if self._again is None:
                return self._first(data, most)
            return self._next(self._again, most)
        except brotli.error as error:
            raise BrokenReply(f"the body is not in the coding it claims: {error}") from error

    def _first(self, data: bytes, most: int) -> bytes:
        if data:
            self._sent.append(data)
        try:
            block = bytes(self._decoder.process(data, output_buffer_limit=most))
        except brotli.error:
            self._again = self._decoded_anew(most)
            return self._next(self._again, most)
        self.eof = bool(self._decoder.is_finished())
        self._given += len(block)
        return block

    def _next(self, again: Iterator[bytes], most: int) -> bytes:
        """Return at least `most` bytes, or all that are left."""
        found: list[bytes] = []
        size = 0
        while size < most and (block := next(again, None)) is not None:
            new = block[self._given :]
            self._given -= len(block) - len(new)
            found.append(new)
            size += len(new)
        self.eof = size < most
        return b"".join(found)

    def _decoded_anew(self, most: int) -> Iterator[bytes]:
        decoder = brotli.Decompressor()
        *before, last = self._sent
        for piece in [*before, *(last[place : place + 1] for place in range(len(last)))]:
            is_full, sent = True, piece
            while is_full and not decoder.is_finished():
                block, sent = bytes(decoder.process(sent, output_buffer_limit=most)), b""
                is_full = len(block) >= most
                yield block
        if not decoder.is_finished():
            raise BrokenReply("the compressed body is cut short")


def _never(_start: bytes) -> bool:
    return False


CODINGS: Final[dict[str, Coding]] = {
    "gzip": Coding(_gunzip, lambda start: start.startswith(_GZIP)),
    "deflate": Coding(_inflate, _never),
    "zstd": Coding(lambda _: zstd_frames.Frame(), zstd_frames.begins),
    **({"br": Coding(lambda _: _Brotli(), _never)} if _HAS_BROTLI else {}),
}  # fmt: skip
