"""A console of rich that shows no character that acts on a terminal, whatever it is given."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from crawler.wording.texts import escaped


class SafeConsole(Console):
    """Escapes the text of every segment. Its ends of lines stay: rich makes them, and foreign text comes in cells without."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            if control or text.isprintable():
                yield segment
            else:
                yield Segment("\n".join(map(escaped, text.split("\n"))), style)
