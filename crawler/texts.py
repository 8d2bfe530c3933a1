"""Foreign text made safe to show: in a log, a table or a terminal."""

from __future__ import annotations

MOST = 500                # characters of an error, or of a report, kept with a task


def words(text: str, most: int = MOST) -> str:
    """Foreign text as one line that any log, table and terminal can take: what is no plain character is escaped."""
    text = text[:most]
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
