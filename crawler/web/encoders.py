"""Encoding text as the WHATWG Encoding standard does, for the queries of URLs on pages that are not UTF-8.

    "日", "shift_jis" ──encode──▶ b"\\x93\\xfa", or None: the encoding does not have this character

Python's codecs are not the standard's: they differ in hundreds of characters. The parser brings the standard's decoders, but no
encoders. So the tables of the encoders are made by decoding each sequence of bytes once, when a page first needs them: that takes
some 20 ms for an encoding of two bytes a character.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final

from crawler.web.encoding import codec

Encode = Callable[[str], bytes | None]  # of one character

_HIGH: Final = range(0x80, 0x100)
_LEADS: Final = range(0x81, 0xFF)
_MINUS: Final = {"\u2212": "\uff0d"}  # of Japanese encodings: the sign that their index has
_HALF: Final = range(0xFF61, 0xFFA0)  # half-width Katakana
_NEC_SELECTED: Final = range(8272, 8836)  # pointers that Shift_JIS does not encode to: the characters are elsewhere, too
_USER_DEFINED: Final = range(8836, 10716)  # pointers of Shift_JIS that decode to a private area
_BIG5_FROM: Final = (0xA1 - 0x81) * 157  # pointers below are of Hong Kong's supplement, which is only decoded
_BIG5_LAST: Final = frozenset("\u2550\u255e\u2561\u256a\u5341\u5345")  # characters whose last pointer is taken

# Of half-width Katakana, from U+FF61: the full-width ones that ISO-2022-JP has.
_FULL: Final = (
    "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゛゜"
)
_ASCII_STATE, _ROMAN_STATE, _KANJI_STATE = b"\x1b(B", b"\x1b(J", b"\x1b$B"
_SHIFTS: Final = frozenset("\x0e\x0f\x1b")


def encoded(text: str, encoding: str) -> Iterator[bytes | str]:
    """Yield a text as bytes, and each character that the encoding does not have as it is. encoding: the standard's name."""
    if encoding == "iso-2022-jp":
        yield from _iso_2022_jp(text)
        return
    encode = _encoder(encoding)
    for char in text:
        yield char.encode() if char.isascii() else encode(char) or char


@lru_cache(maxsize=8)
def _encoder(encoding: str) -> Encode:
    makers = {"big5": _big5, "euc-jp": _euc_jp, "euc-kr": _euc_kr, "gb18030": _gb18030, "gbk": _gbk, "shift_jis": _shift_jis}
    return makers[encoding]() if encoding in makers else _single(encoding).get


def _single(encoding: str) -> dict[str, bytes]:
    """Return the table of an encoding of one byte a character."""
    return _first(encoding, (bytes([byte]) for byte in _HIGH))


def _first(encoding: str, sequences: Iterable[bytes]) -> dict[str, bytes]:
    """Return by character the first of these sequences that decodes to it."""
    name = codec(encoding)
    table: dict[str, bytes] = {}
    for sequence in sequences:
        text = sequence.decode(name)
        if len(text) == 1 and text != "\ufffd":
            table.setdefault(text, sequence)
    return table


def _pairs(leads: Iterable[int], *trails: Iterable[int]) -> Iterator[bytes]:
    """Yield pairs of bytes in the order of the standard's pointers."""
    every = [trail for some in trails for trail in some]
    return (bytes((lead, trail)) for lead in leads for trail in every)


def _shift_jis() -> Encode:
    pairs = enumerate(_pairs((*range(0x81, 0xA0), *range(0xE0, 0xFD)), range(0x40, 0x7F), range(0x80, 0xFD)))
    table = _first("shift_jis", (pair for n, pair in pairs if n not in _NEC_SELECTED and n not in _USER_DEFINED))
    table |= {"\x80": b"\x80", "\xa5": b"\x5c", "\u203e": b"\x7e"} | {chr(kana): bytes([kana - 0xFEC0]) for kana in _HALF}
    return lambda char: table.get(_MINUS.get(char, char))


def _euc_jp() -> Encode:
    table = _jis_0208() | {"\xa5": b"\x5c", "\u203e": b"\x7e"} | {chr(kana): bytes((0x8E, kana - 0xFEC0)) for kana in _HALF}
    return lambda char: table.get(_MINUS.get(char, char))


@lru_cache(maxsize=1)
def _jis_0208() -> dict[str, bytes]:
    return _first("euc-jp", _pairs(range(0xA1, 0xFF), range(0xA1, 0xFF)))


def _euc_kr() -> Encode:
    return _first("euc-kr", _pairs(_LEADS, range(0x41, 0xFF))).get


def _big5() -> Encode:
    pairs = list(_pairs(_LEADS, range(0x40, 0x7F), range(0xA1, 0xFF)))[_BIG5_FROM:]
    last = _first("big5", reversed(pairs))
    return (_first("big5", pairs) | {char: last[char] for char in _BIG5_LAST}).get


def _two_bytes_of_gb() -> dict[str, bytes]:
    return _first("gb18030", _pairs(_LEADS, range(0x40, 0x7F), range(0x80, 0xFF)))


def _gbk() -> Encode:
    return (_two_bytes_of_gb() | {"\u20ac": b"\x80"}).get


def _gb18030() -> Encode:
    table = _two_bytes_of_gb()

    def encode(char: str) -> bytes | None:
        if char in table:
            return table[char]
        four = char.encode("gb18030", "ignore")
        return four if len(four) == 4 and char != "\ue5e5" else None

    return encode


def _iso_2022_jp(text: str) -> Iterator[bytes | str]:
    """Encode as ISO-2022-JP, which switches between three sets of characters and ends in ASCII."""
    state = _ASCII_STATE
    for char in text:
        wanted, sequence = _in_iso_2022_jp(char, state)
        if sequence is None:
            if state == _KANJI_STATE:
                state = _ASCII_STATE
                yield state
            yield "\ufffd" if char in _SHIFTS else char
            continue
        if wanted != state:
            state = wanted
            yield state
        yield sequence
    if state != _ASCII_STATE:
        yield _ASCII_STATE


def _in_iso_2022_jp(char: str, state: bytes) -> tuple[bytes, bytes | None]:
    """Return the state that a character needs and its bytes there; None: it has none."""
    if char in _SHIFTS:
        return state, None
    if char in "\xa5\u203e":
        return _ROMAN_STATE, b"\x5c" if char == "\xa5" else b"\x7e"
    if char.isascii():
        return (_ROMAN_STATE if state == _ROMAN_STATE and char not in "\\~" else _ASCII_STATE), char.encode()
    full = _FULL[ord(char) - _HALF[0]] if ord(char) in _HALF else _MINUS.get(char, char)
    pair = _jis_0208().get(full)
    return _KANJI_STATE, None if pair is None else bytes(byte - 0x80 for byte in pair)
