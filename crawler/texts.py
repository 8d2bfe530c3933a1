"""Make foreign text safe to show in a log, a table or a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import Repr
from typing import Any

MOST = 500                # characters of an error or a report that are stored with a task
BRIEF = 200               # characters of an item's short name


def words(text: str, most: int = MOST) -> str:
    """Return foreign text as one line that any log, table or terminal can show: all other characters are escaped."""
    text = text[:most]
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


_brief = Repr()           # for items of any size, in bounded time
_brief.maxstring = _brief.maxother = BRIEF


def about(item: Any) -> str:
    """Return a short name of an item: its URL if it has one."""
    url = item.get("url") if isinstance(item, Mapping) else getattr(item, "url", None)
    if isinstance(url, str) and url:
        return words(url, BRIEF)
    if isinstance(item, list) and item:
        return about(item[0])
    try:
        return words(_brief.repr(item), BRIEF)
    except Exception:  # noqa: BLE001  the author's class may fail to print itself
        return type(item).__name__


def about_body(body: bytes) -> str:
    """Return a short name of an encoded item."""
    import msgspec  # here, because escaping does not need it

    try:
        return about(msgspec.msgpack.decode(body))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return f"{len(body)} bytes that are not msgpack"
