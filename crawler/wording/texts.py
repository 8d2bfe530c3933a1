"""Make foreign text safe to show in a log, a table or a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MOST = 500  # characters of an error or a report that are stored with a task
BRIEF = 200  # characters of an item's short name
# Not printable to Python, but harmless, and part of what people write: spaces of other widths, and the (non-)joiners of Persian,
# Indic scripts and emoji.
_FREE: Final = frozenset("\xa0\u1680\u202f\u205f\u3000\u200c\u200d" + "".join(map(chr, range(0x2000, 0x200B))))
# A colour or another look of characters (ECMA-48 SGR), the only sequence that neither moves the cursor nor speaks to the terminal.
_LOOK: Final = r"(\x1b\[[0-9;:]*m)"


def escaped(text: str) -> str:
    r"""Return text as one line that any log, table or terminal can show: \n, \x1b, \u202e and their like are written out.

    Escaped are control characters (C0, DEL, C1), the ends of lines and paragraphs, marks for the direction of text, other invisible
    format characters, halves of characters, and unassigned characters. Escaping twice changes nothing.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _FREE else char.encode("unicode_escape").decode() for char in text)


def coloured(line: str) -> str:
    """Return a line with its colours and tabs; all else is escaped. A colour that is still on at its end is switched off."""
    if line.isprintable():
        return line
    import re  # here, because most lines are plain

    parts = re.split(_LOOK, line)
    for at in range(0, len(parts), 2):
        parts[at] = "\t".join(map(escaped, parts[at].split("\t")))
    is_on = len(parts) > 1 and parts[-2] not in ("\x1b[0m", "\x1b[m")
    return "".join(parts) + ("\x1b[0m" if is_on else "")


def visible_json(text: str) -> str:
    """Return the same JSON with escapes for characters that a terminal could act on: all of them stand in strings."""
    if text.isprintable():
        return text
    return "".join(char if char == "\n" or escaped(char) == char else as_json(char) for char in text)


def as_json(text: str) -> str:
    r"""Return characters as JSON escapes them: \u00e9, and in two halves what is beyond 16 bits."""
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def words(text: str, most: int = MOST) -> str:
    """Return the beginning of foreign text, escaped."""
    return escaped(text[:most])


def about(item: Any) -> str:
    """Return a short name of an item: its URL if it has one."""
    url = item.get("url") if isinstance(item, Mapping) else getattr(item, "url", None)
    if isinstance(url, str) and url:
        return words(url, BRIEF)
    if isinstance(item, list) and item:
        return about(item[0])
    from reprlib import Repr  # here, because most items have a URL

    brief = Repr()  # for items of any size, in bounded time
    brief.maxstring = brief.maxother = BRIEF
    try:
        return words(brief.repr(item), BRIEF)
    except Exception:  # noqa: BLE001  the author's class may fail to print itself
        return type(item).__name__


def about_body(body: bytes) -> str:
    """Return a short name of an encoded item."""
    import msgspec  # here, because escaping does not need it

    try:
        return about(msgspec.msgpack.decode(body))
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        return f"{len(body)} bytes that are not msgpack"
