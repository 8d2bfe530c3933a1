"""Open and close a stage, and report whatever its author's code raises in one line, with the stage and the place."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from crawler.errors import CrawlerError, StageUnusable

log = logging.getLogger(__name__)


@contextmanager
def opening(stage: str) -> Iterator[None]:
    """Surround a stage's `open`. Raises StageUnusable for its exceptions; our own errors pass unchanged."""
    with _reported(stage, "opened"):
        yield


@contextmanager
def closing(stage: str) -> Iterator[None]:
    """Surround a stage's `close`, as `opening` does its `open`."""
    with _reported(stage, "closed"):
        yield


@contextmanager
def _reported(stage: str, done: str) -> Iterator[None]:
    try:
        yield
    except CrawlerError:
        raise
    except (Exception, SystemExit) as error:
        from crawler.wording.places import place, told  # here, because only failures need it

        log.debug("stage %s cannot be %s", stage, done, exc_info=True)
        if isinstance(error, SystemExit):
            where = f"it calls sys.exit({error.code!r}) at {place(error)}"
            raise StageUnusable(stage, f"{where}; let it raise an exception instead", done) from error
        raise StageUnusable(stage, told(error), done) from error
