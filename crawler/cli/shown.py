"""Show a stage's output: readable on a terminal, as JSON lines otherwise."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from crawler.cli.printing import cell, console, data
from crawler.wording.counting import counted
from crawler.wording.texts import escaped

if TYPE_CHECKING:
    from rich.table import Table

    from crawler.web.page import Page

TEXT_SHOWN = 300  # characters of one value
LIST_SHOWN = 10  # links or other list members


def json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON lines on a terminal too")


def page_options(parser: argparse.ArgumentParser, what: str = "") -> None:
    """Add the arguments of commands that take one page. what: help about it."""
    parser.add_argument("page", metavar="URL|FILE", help=what or None)
    parser.add_argument("--url", metavar="URL", default="", help="the address of the page in FILE: its links are relative to it")


def show(items: Iterable[Any], *, as_json: bool) -> None:
    """Print each item to standard output."""
    if as_json or not sys.stdout.isatty():
        for item in items:
            emit(item)
    else:
        show_readable(items)


def emit(item: Any) -> None:
    """Print one JSON line, for visits one each; a control item is printed with its kind."""
    import msgspec

    from crawler.codec import values
    from crawler.stage import To
    from crawler.web.page import Page, Visits

    if isinstance(item, To) and isinstance(item.item, Visits):
        for visit in item.item:
            emit(To(item.queue, visit))
        return
    if isinstance(item, Page):
        value: Any = facts(item)
    elif isinstance(item, To):
        value = {"to": item.queue, "item": facts(item.item) if isinstance(item.item, Page) else item.item}
    elif isinstance(item, msgspec.Struct):
        value = {type(item).__name__.lower(): item}
    else:
        value = item
    data(msgspec.json.encode(values.stored(value)).decode())


def facts(page: Page) -> dict[str, Any]:
    """Return the data of a page without its body."""
    return {
        "url": page.url, "status_code": page.status_code, "headers": dict(page.headers), "encoding": page.encoding,
        "bytes": len(page.content), "elapsed": page.elapsed.total_seconds(),
    }  # fmt: skip


def show_readable(items: Iterable[Any]) -> None:

    from crawler.codec import values
    from crawler.stage import Report, To
    from crawler.web.page import Page, Visit, Visits

    out = console()
    visits: dict[str, list[str]] = {}
    links: list[str] = []  # already shown as part of a record
    for item in items:
        queue, inner = (item.queue, item.item) if isinstance(item, To) else ("", item)
        if isinstance(inner, Visits | Visit):
            visits.setdefault(queue, []).extend(visit.url for visit in (inner if isinstance(inner, Visits) else (inner,)))
        elif isinstance(inner, Report):
            out.print(cell(f"report: {inner.text}"))
        elif isinstance(inner, Page):
            out.print(table(facts(inner), queue))
        elif isinstance(inner, Mapping):
            out.print(table(values.stored(inner), queue))
            links = inner.get("links") or links
        else:
            out.print(cell(f"{queue + ': ' if queue else ''}{_value(inner)}"))
    for queue, urls in visits.items():
        lines = _first(urls) if urls != links else []
        whom = f"the queue {queue}" if queue else "the next stage"
        out.print(cell(f"{counted(len(urls), 'URL')} for {whom}" + (":" if lines else "")))
        for line in lines:
            out.print(cell(f"  {line}"), soft_wrap=True)


def table(row: Mapping[Any, Any], queue: str = "") -> Table:
    """Return a table of the names and values in one row."""
    from rich.table import Table

    title = f"for the queue {queue}" if queue else None
    found = Table(box=None, show_header=False, pad_edge=False, title=title, title_justify="left")
    found.add_column(style="bold", no_wrap=True)
    found.add_column(overflow="fold")
    for name, value in row.items():
        found.add_row(cell(str(name)), cell(*_value(value).split("\n")))
    return found


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, list) and len(value) > 1:
        return "\n".join([f"{len(value):,} of them:", *(f"  {line}" for line in _first([_line(one) for one in value]))])
    if isinstance(value, Mapping):
        return "\n".join(f"{escaped(str(name))}: {_line(one)}" for name, one in value.items())
    return _line(value)


def _line(value: Any) -> str:
    import msgspec

    if isinstance(value, str):
        return escaped(_cut(value))
    try:
        return escaped(_cut(msgspec.json.encode(value).decode()))
    except (TypeError, ValueError):
        return escaped(_cut(repr(value)))


def _cut(text: str) -> str:
    """Shorten a text. Its lines stay: in a table they cannot be taken for others."""
    plain = text[: TEXT_SHOWN + 1].replace("\t", " ")
    return plain if len(text) <= TEXT_SHOWN else f"{plain[:TEXT_SHOWN]}… ({len(text):,} characters)"


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - LIST_SHOWN
    return lines[:LIST_SHOWN] + ([f"… and {more:,} more"] if more > 0 else [])
