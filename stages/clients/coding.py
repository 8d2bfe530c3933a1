"""Undoing Content-Encoding (RFC 9110 §8.4) without ever holding more than a block: hostile bodies expand a thousandfold.

    the wire ──Source──▶ blocks as sent ──one generator a coding──▶ decoded blocks ──read_body──▶ content, or TooBig

Everything pulls, and no decoder is asked for more than a block, so the limits hold while a body arrives.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, Final

import zstandard

from stages.clients.base import BrokenReply, TooBig

brotli: Any
try:
    brotli = import_module("brotli")
except ImportError:                # optional: servers then send gzip
    brotli = None

BLOCK: Final = 65_536              # bytes read, and decoded, at once
MAX_CODINGS: Final = 2             # one more than anybody sends on purpose; each multiplies what a bomb can do
MAX_MEMBERS: Final = 1_000         # gzip members in a row: each costs work even if it is empty
RATIO_FROM: Final = 1 << 20        # bytes; expansion is judged from here: a small page of spaces compresses well
MAX_WINDOW: Final = 8 << 20        # bytes of memory a zstd frame may ask for (RFC 9659)

_HAS_BROTLI: Final = hasattr(getattr(brotli, "Decompressor", None), "can_accept_more_data")   # 1.2: the first with a limit
ACCEPTED: Final = "gzip, deflate, br, zstd" if _HAS_BROTLI else "gzip, deflate, zstd"

_GZIP: Final = b"\x1f\x8b"
_GZIP_BITS: Final = 31             # zlib's way to say "gzip header"
_RAW_BITS: Final = -15             # … and "no header"


class Source:
    """The blocks of a body as sent, counted."""

    def __init__(self, read: Callable[[int], bytes], limit: int) -> None:
        self._read = read
        self._limit = limit
        self.received = 0          # bytes

    def __iter__(self) -> Iterator[bytes]:
        while block := self._read(BLOCK):
            self.received += len(block)
            if self.received > self._limit:
                raise TooBig(f"a body of more than {self._limit} bytes as sent; see stages.fetch.max_bytes")
            yield block


def read_body(source: Source, codings: Iterable[str], *, max_bytes: int, max_ratio: float, cut: int = 0) -> bytes:
    """The decoded body. codings: the values of Content-Encoding. cut > 0: no more than so many bytes, the rest stays unread."""
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
    """In the order to undo them: the last one first."""
    names = [name.strip().lower().removeprefix("x-") for value in codings for name in value.split(",")]
    # What is no coding at all ("none", "utf-8", "identity") means nothing was done: such servers exist, browsers read them.
    names = [name for name in names if name in ("gzip", "deflate", "br", "zstd", "compress")]
    if len(names) > MAX_CODINGS:
        raise BrokenReply(f"{len(names)} content codings one over the other; at most {MAX_CODINGS} are undone")
    return names[::-1]


def _decoded(blocks: Iterator[bytes], names: list[str]) -> Iterator[bytes]:
    for name in names:
        if name in ("gzip", "deflate"):
            blocks = _inflated(blocks, is_gzip=name == "gzip")
        elif name == "zstd":
            blocks = _unzstd(blocks)
        elif name == "br" and _HAS_BROTLI:
            blocks = _unbrotli(blocks)
        else:
            raise BrokenReply(f"content coding {name!r}, which was not asked for; accepted are {ACCEPTED}")
    return blocks


def _inflated(blocks: Iterator[bytes], *, is_gzip: bool) -> Iterator[bytes]:
    rest = _topped_up(b"", blocks)
    bits = _bits(rest, is_gzip)
    if bits is None:               # not gzip, whatever the header says: the body is fine as it is, and browsers show it
        yield rest
        yield from blocks
        return
    for _ in range(MAX_MEMBERS):
        inflate = zlib.decompressobj(bits)
        while not inflate.eof:
            block = inflate.decompress(rest, BLOCK)
            rest = inflate.unconsumed_tail
            if block:
                yield block
            # A full block may leave output inside, to be had for no further input.
            if not inflate.eof and not rest and len(block) < BLOCK:
                rest = next(blocks, b"")
                if not rest:
                    raise BrokenReply("the compressed body is cut short")
        rest = _topped_up(inflate.unused_data, blocks)
        if not (is_gzip and rest.startswith(_GZIP)):
            for _ignored in blocks:    # what follows is junk; read, so that the connection can be used again
                pass
            return
    raise BrokenReply(f"more than {MAX_MEMBERS} gzip members")


def _topped_up(start: bytes, blocks: Iterator[bytes]) -> bytes:
    """At least two bytes, if there are: as many as it takes to tell formats apart."""
    while len(start) < 2 and (block := next(blocks, b"")):
        start += block
    return start


def _bits(start: bytes, is_gzip: bool) -> int | None:
    """zlib's window bits for what starts like this; None: nothing that could be decoded."""
    if not start:
        return None
    if is_gzip:
        return _GZIP_BITS if start.startswith(_GZIP) else None
    has_zlib_header = len(start) > 1 and start[0] & 15 == 8 and int.from_bytes(start[:2], "big") % 31 == 0   # RFC 1950 §2.2
    return zlib.MAX_WBITS if has_zlib_header else _RAW_BITS


class _Pull:
    """Blocks as a file to read from; a block may be longer than what was asked for."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def read(self, size: int = -1) -> bytes:
        return next(self._blocks, b"")


def _unzstd(blocks: Iterator[bytes]) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    # As a stream: its other interfaces return at once all that a block expands to.
    reader = decompressor.stream_reader(_Pull(blocks), read_across_frames=True)  # type: ignore[arg-type]  # reads only
    while block := reader.read(BLOCK):
        yield block


def _unbrotli(blocks: Iterator[bytes]) -> Iterator[bytes]:
    decompressor = brotli.Decompressor()
    is_empty = True
    try:
        for sent in blocks:
            is_empty, rest, is_full = False, sent, True
            while is_full and not decompressor.is_finished():      # what follows the end is junk
                block, rest = decompressor.process(rest, output_buffer_limit=BLOCK), b""
                is_full = len(block) >= BLOCK                      # then there may be more to have for no input
                if block:
                    yield block
    except brotli.error as error:
        raise BrokenReply(f"the body is not in the coding it claims: {error}") from error
    if not is_empty and not decompressor.is_finished():
        raise BrokenReply("the compressed body is cut short")
