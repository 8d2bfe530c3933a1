"""Decoding a zstd stream block by block, so that its end is known and no step gives more than a little (RFC 8878 §3.1).

    bytes ──▶ frame header ──▶ block, block, … last block ──▶ checksum ──▶ eof          a skippable frame is passed over

The streams of `zstandard` hide whether a frame was whole, and its decoder objects give at once all that their input expands to,
2 GB for 64 KiB. Fed one block at a time, a decoder object gives at most 128 KiB, and the last block says that it is the last.
"""

from __future__ import annotations

import re
from typing import Final

import zstandard

MAGIC: Final = b"\x28\xb5\x2f\xfd"
MAX_WINDOW: Final = 8 << 20  # bytes of memory a frame may ask for (RFC 9659)

_MAX_BLOCK: Final = 128 << 10  # bytes of a block, and of what it expands to
_SKIPPABLE: Final = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_SKIPPABLE_HEAD: Final = 8  # bytes: magic number and size
_BLOCK_HEAD: Final = 3  # bytes: is it the last, type, size
_CHECKSUM: Final = 4  # bytes
_RUN: Final = 1  # type of a block: one byte many times
_COMPRESSED: Final = 2  # the type of most; 0: as it is, 3: reserved
_DICTIONARY_ID: Final = (0, 1, 2, 4)  # bytes, by the two bits of the descriptor that say so
_CONTENT_SIZE: Final = (0, 2, 4, 8)


def begins(start: bytes) -> bool:
    """Return whether a frame begins like this; four bytes are enough to know."""
    return start.startswith(MAGIC) or _SKIPPABLE.match(start) is not None


class Frame:
    """The decoder of one frame, with the interface of `zlib.decompressobj`."""

    def __init__(self) -> None:
        self.eof = False
        self.unconsumed_tail = b""  # input that is left, to be given again
        self.unused_data = b""  # what follows the end
        self._decoder = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
        self._held = b""  # input that is too short to be understood
        self._left = 0  # bytes of the part at hand that are still to come
        self._is_begun = False  # the frame header is known
        self._is_skipped = False  # it is a skippable frame
        self._is_last = False  # the part at hand is the last one
        self._has_checksum = False

    def decompress(self, data: bytes, most: int) -> bytes:
        """Give what the input expands to, about `most` bytes and a block at most. Raises ZstdError."""
        data, self._held, self.unconsumed_tail = self._held + data, b"", b""
        at, given = 0, 0
        while given < most and not self.eof:
            if not self._left:
                part = self._block(data, at) if self._is_begun else self._header(data)
                if part is None:
                    break
                self._left, gives = part
                given += gives
            step = min(self._left, len(data) - at)
            at += step
            self._left -= step
            if self._left:
                break
            self.eof = self._is_last
        decoded = self._decoder.decompress(data[:at]) if at and not self._is_skipped else b""
        if self.eof:
            self.unused_data = data[at:]
        elif given < most:
            self._held = data[at:]
        else:
            self.unconsumed_tail = data[at:]
        return decoded

    def _header(self, data: bytes) -> tuple[int, int] | None:
        """Return the size of the frame header, and 0, its output; None: more bytes are needed. A skippable frame is all header."""
        if len(data) < len(MAGIC) + 1:
            return None
        if not begins(data):
            raise zstandard.ZstdError("no zstd frame")
        if not data.startswith(MAGIC):
            if len(data) < _SKIPPABLE_HEAD:
                return None
            self._is_begun = self._is_skipped = self._is_last = True
            return _SKIPPABLE_HEAD + int.from_bytes(data[4:8], "little"), 0
        descriptor = data[len(MAGIC)]
        has_window = not descriptor >> 5 & 1
        self._is_begun, self._has_checksum = True, bool(descriptor >> 2 & 1)
        content_size = _CONTENT_SIZE[descriptor >> 6] or (not has_window)
        return len(MAGIC) + 1 + has_window + _DICTIONARY_ID[descriptor & 3] + content_size, 0

    def _block(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Return the size of the block that begins there, and of its output at most; None: more bytes are needed."""
        if len(data) < at + _BLOCK_HEAD:
            return None
        head = int.from_bytes(data[at : at + _BLOCK_HEAD], "little")
        kind, size = head >> 1 & 3, head >> 3
        if size > _MAX_BLOCK:
            raise zstandard.ZstdError(f"a block of {size} bytes")
        self._is_last = bool(head & 1)
        end = _CHECKSUM if self._is_last and self._has_checksum else 0
        return _BLOCK_HEAD + (1 if kind == _RUN else size) + end, _MAX_BLOCK if kind == _COMPRESSED else size
