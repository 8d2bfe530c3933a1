"""URLs to begin from, as they were typed: on a command line, in a file, or on standard input."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from crawler.errors import UsageError
from crawler.wording.secrets import is_secret

if TYPE_CHECKING:
    from crawler.config.load import Config

log = logging.getLogger(__name__)

SAID = 10  # seeds without a scheme that are reported one by one
STDIN = "standard input"


def read(words: Sequence[str], files: Sequence[str] = ()) -> list[str]:
    """Return the seeds from the words and from the files; the name - stands for standard input.

    Raises BadUrl for a word that is not a URL, and UsageError for a file or standard input that cannot be read or has no URL.
    """
    from crawler.web import urls

    found = [word for word in words if word != "-"]
    for word in found:
        refuse_path(word)
        if len(word.split()) > 1:
            from crawler.web import seeds  # here, because only mistakes need it

            seeds.refuse_several(word)
        if "=" in word or word == "help":
            refuse_other(word)
        urls.seed(word)
    if "-" in (*words, *files):
        found += _listed(sys.stdin.buffer.read(), STDIN)
    for name in dict.fromkeys(files):
        if name == "-":
            continue
        try:
            data = Path(name).expanduser().read_bytes()
        except OSError as error:
            way = "it takes one URL a line, in UTF-8"
            if "://" in name:
                way = f"a URL is given without --seeds: crawler run {shlex.quote(name)}"
            raise UsageError(f"the seeds in {name} cannot be read: {error.strerror}; {way}") from error
        found += _listed(data, name)
    return found


def refuse_path(word: str) -> None:
    """Raise UsageError for the name of a file or directory that was typed in place of a URL."""
    if not word.startswith(("http://", "https://")):
        from crawler.cli import files  # here, because most URLs are typed with their scheme

        files.refuse(word)


def refuse_other(word: str) -> None:
    """Raise UsageError for a setting, or the word help, that was typed in place of a URL."""
    if word == "help":
        raise UsageError("'help' is no URL; what a command does: crawler help run")
    name, _, value = word.partition("=")
    if set(name) & set(":/?#@"):
        return
    from crawler.config import suggestions
    from crawler.config.reference import entries

    meant = [name] if name in entries() else suggestions.elsewhere(name.lstrip("-")) or suggestions.similar(name, "")
    if meant:
        shown = "…" if is_secret(word) else value
        raise UsageError(f"{name}={shown} is a setting and no URL; write {' or '.join(f'-s {each}={shown}' for each in meant)}")


def settle(
    texts: Sequence[str], config: Config, say: Callable[[str], None], known: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """Return the texts as URLs with schemes. Hosts typed without a scheme are asked which one they support.

    say: called with a line for each decision. known: URLs of texts that are already decided.
    """
    from crawler.web.urls import lacks_scheme

    for text in texts:
        name, is_setting, _ = text.partition("=")
        if is_setting and not set(name) & set(":/?#@") and is_secret(text):
            raise UsageError(f"{name}=… is a setting and no URL; write -s {name}=…")
    if not any(lacks_scheme(text) and text not in known for text in texts):
        return [known.get(text, text) for text in texts]
    from crawler.web.schemes import choose

    is_direct = not config.settings.stages.get("fetch", {}).get("proxy")
    taken = choose([text for text in texts if text not in known], can_ask=is_direct)
    for each in taken[:SAID]:
        say(str(each))
    if len(taken) > SAID:
        say(f"and {len(taken) - SAID} more without a scheme: "
            + ", ".join(f"{n} taken as {scheme}" for scheme in ("https", "http")
                        if (n := sum(each.url.startswith(f"{scheme}:") for each in taken[SAID:]))))  # fmt: skip
    settled = {each.typed: each.url for each in taken} | dict(known)
    return [settled.get(text, text) for text in texts]


def tell(line: str) -> None:
    """Log a line, for commands that have no view."""
    log.info("%s", line)


def _listed(data: bytes, what: str) -> list[str]:
    from crawler.web import seeds

    listed = seeds.check(seeds.lines(seeds.decode(data, what)), what)
    if listed:
        return listed
    if what == STDIN:
        raise UsageError(f"{what} has no URL; it takes one URL a line")
    raise UsageError(f"{what} is empty; it takes one URL a line" if not data.strip() else
                     f"{what} has no URL in it, only comments; it takes one URL a line")  # fmt: skip
