"""Put the seeds of a crawl, and report the ones that were not taken, with the reason."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from crawler.config.load import shown
from crawler.config.settings import FrontierSettings
from crawler.items import New, Verdict
from crawler.wording.counting import agree, counted

BATCH: Final = 1_000  # tasks in one call
NAMED: Final = 3  # seeds named in a message


class Taken(Struct, frozen=True):
    """The results of putting seeds: the texts of each kind, in their order."""

    new: list[str]
    known: list[str]  # the crawl already has, or had, these URLs
    twice: list[str]  # an earlier seed means the same URL
    refused: list[str]  # beyond a limit of the frontier


def put(texts: Sequence[str], seed: Callable[[str], New], put_tasks: Callable[[Sequence[New]], list[Verdict]]) -> Taken:
    """Make tasks of these texts with `seed` and put them. Raises BadUrl."""
    tasks: dict[bytes | None, tuple[str, New]] = {}
    taken = Taken([], [], [], [])
    for text in texts:
        task = seed(text)
        if task.key in tasks:
            taken.twice.append(text)
        else:
            tasks[task.key] = text, task
    for batch in _batched(list(tasks.values())):
        verdicts = put_tasks([task for _, task in batch])
        for (text, _), verdict in zip(batch, verdicts, strict=True):
            {Verdict.ACCEPTED: taken.new, Verdict.DUPLICATE: taken.known}.get(verdict, taken.refused).append(text)
    return taken


def warnings(taken: Taken, frontier: FrontierSettings, added: Sequence[str] = ()) -> list[str]:
    """List the warnings for a person. added: seeds that are expected to be new to the crawl."""
    lines = []
    if taken.refused:
        them = agree(len(taken.refused), "it", "them")
        lines.append(f"{not_taken(taken.refused, frontier)}; raise the limit to have {them} crawled")
    if taken.twice:
        n = len(taken.twice)
        lines.append(f"{counted(n, 'seed')} {agree(n, 'is a duplicate', 'are duplicates')}: {_named(taken.twice)}")
    if known := [text for text in taken.known if text in set(added)]:
        n = len(known)
        what = agree(n, "is a URL that the crawl has already; it is", "are URLs that the crawl has already; they are")
        lines.append(f"{counted(n, 'seed')} {what} not fetched again: {_named(known)}")
    return lines


def not_taken(refused: Sequence[str], frontier: FrontierSettings) -> str:
    """Describe seeds refused by a limit: `1 seed was not taken, because frontier.max_pages = 10 is reached: http://b.org/`."""
    limits = {"max_pages": frontier.max_pages, "max_pages_per_host": frontier.max_pages_per_host}
    names = " or ".join(f"frontier.{name} = {limit}" for name, limit in limits.items() if limit)
    n = len(refused)
    return f"{counted(n, 'seed')} {agree(n, 'was', 'were')} not taken, because {names or 'a limit'} is reached: {_named(refused)}"


def _named(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(str(shown("", text)) for text in texts[:NAMED]) + more


def _batched(items: Sequence[tuple[str, New]]) -> Iterator[Sequence[tuple[str, New]]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch
