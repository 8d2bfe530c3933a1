"""Output of a stage for one task or one batch of them, from which `handler` makes the outcomes."""

from __future__ import annotations

from collections import defaultdict
from functools import partial

import msgspec

from crawler.items import Admitted, Name, New, Pace
from crawler.stage import Report
from crawler.wording.texts import MOST
from crawler.worker.routing import CHILD_BYTES, MAX_GIVEN, Misgiven, Taken, refuse_too_much, size

REPORTS = 20  # different reports of one task that are stored
REPORTED = 1_000  # characters of them


class Gathered(msgspec.Struct):
    """Output of a stage for a task, so far."""

    children: list[New] = msgspec.field(default_factory=list)
    paces: list[Pace] = msgspec.field(default_factory=list)
    counts: defaultdict[str, int] = msgspec.field(default_factory=partial(defaultdict, int))  # a Counter takes 0.7 µs
    keys: list[tuple[str, Name]] = msgspec.field(default_factory=list)
    reports: dict[str, int] = msgspec.field(default_factory=dict)  # how often each text was given, in their order
    refused: dict[str, None] = msgspec.field(default_factory=dict)  # reasons why single items were not taken
    links: dict[str, int] = msgspec.field(default_factory=dict)  # by reason the number of links not taken, if none was
    size: int = 0
    refused_item: Misgiven | None = None  # the first error of an item that cannot be put, if there is one

    @property
    def report(self) -> str:
        """All reports, one on each line, as far as there is room for them."""
        if not (self.reports or self.refused or self.links):
            return ""
        lines = [f"{text} ({n:,} times)" if n > 1 else text for text, n in self.reports.items()]
        lines += [f"links not followed: {', '.join(f'{n:,} {why}' for why, n in self.links.items())}"[:MOST]] if self.links else []
        lines += [f"not followed: {', '.join(self.refused)}"[:MOST]] if self.refused else []
        while len(lines) > 1 and sum(map(len, lines)) > REPORTED:
            lines = [*lines[:-2], "and more"] if lines[-1] == "and more" else [*lines[:-1], "and more"]
        return "\n".join(lines)

    def add(self, taken: Taken) -> None:
        if isinstance(taken, New):  # the two that every page gives come first
            self.children.append(taken)
            self._grow(len(taken.item) + CHILD_BYTES)
            if taken.key is not None:
                self.keys.append((taken.queue, taken.key))
        elif isinstance(taken, Admitted):
            for reason, n in taken.skipped.items():
                self.counts[f"skipped/{reason}"] += n
            if taken.tasks:
                self.children += taken.tasks
                self._grow(size(taken.tasks))
            elif taken.skipped:  # nothing new came of it, so it is told why
                for reason, n in taken.skipped.items():
                    self.links[reason] = self.links.get(reason, 0) + n
            self.keys += [(taken.queue, name) for name in taken.names]
        elif isinstance(taken, str):
            self.counts[f"skipped/{taken}"] += 1
            self.refused[taken] = None
        elif isinstance(taken, Pace):
            self.paces.append(taken)
        elif isinstance(taken, Report) and (taken.text in self.reports or len(self.reports) < REPORTS):
            self.reports[taken.text] = self.reports.get(taken.text, 0) + 1

    def _grow(self, bytes: int) -> None:
        self.size += bytes
        if self.size > MAX_GIVEN:
            refuse_too_much(self.size, len(self.children))
