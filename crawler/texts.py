"""Foreign text made safe to show: in a log, a table or a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import Repr
from typing import Any

MOST = 500                # characters of an error, or of a report, kept with a task
BRIEF = 200               # characters that name an item


def words(text: str, most: int = MOST) -> str:
    """Foreign text as one line that any log, table and terminal can take: what is no plain character is escaped."""
    text = text[:most]
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


_brief = Repr()           # of an item of any size, in bounded time
_brief.maxstring = _brief.maxother = BRIEF


def about(item: Any) -> str:
    """An item in a few words: its URL if it has one."""
    url = item.get("url") if isinstance(item, Mapping) else getattr(item, "url", None)
    if isinstance(url, str) and url:
        return words(url, BRIEF)
    if isinstance(item, list) and item:
        return about(item[0])
    try:
        return words(_brief.repr(item), BRIEF)
    except Exception:  # noqa: BLE001  an author's class may not be able to show itself
        return type(item).__name__


def about_body(body: bytes) -> str:
    """The same of an item as it travels."""
    import msgspec  # here, because escaping has no use for it

    try:
        return about(msgspec.msgpack.decode(body))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return f"{len(body)} bytes that are no msgpack"
