"""File names typed where a URL or a page is expected: which words mean a file, and the message for a missing one.

./page.html   ../x   /tmp/page   ~/page   C:\\page.html   file:///tmp/page.html       a file, there or not
page.html     docs/page.html                                                          a file: no host can end like that
example.org   example.org/page.html   127.0.0.1:8000/page.html                        a URL, unless there is such a file
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Final

from crawler.errors import UsageError

# Suffixes of files of which none is a top-level domain.
SUFFIXES: Final = frozenset((
    ".html", ".htm", ".xhtml", ".shtml", ".mhtml", ".php", ".asp", ".aspx", ".jsp", ".xml", ".rss", ".atom", ".pdf", ".js", ".css",
    ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".list", ".urls", ".log", ".toml", ".yaml", ".yml", ".ini", ".sqlite",
    ".warc", ".gz", ".bz2", ".xz", ".zst", ".jpg", ".jpeg", ".png", ".gif", ".svg",
))  # fmt: skip
_PATH: Final = re.compile(r"\.{1,2}(?:[/\\]|$)|/(?!/)|~|[A-Za-z]:[\\/](?![\\/])")
_FILE: Final = re.compile(r"file:(?:/+(?:localhost(?=/))?)?", re.IGNORECASE)


def page_file(text: str) -> Path | None:
    """Return the file of a page that was typed; None for a URL. Raises UsageError for a directory and for a missing file."""
    path = _meant(text)
    if path is None:
        return None
    if os.path.isdir(path):
        raise UsageError(f"{text} is a directory; give one file of it, or a URL")
    if not os.path.exists(path):
        raise UsageError(f"there is no file {text}; {_as_url(text)}")
    return path


def refuse(text: str) -> None:
    """Raise UsageError if a word means a file or a directory, for a command that takes URLs only."""
    path = _meant(text)
    if path is None:
        return
    if not os.path.exists(path):
        raise UsageError(f"there is no file {text}, and only a URL can be crawled; {_as_url(text)}")
    if os.path.isdir(path):
        raise UsageError(f"{text} is a directory here, not a URL; a file of URLs is given with --seeds FILE")
    name = shlex.quote(str(path))
    host = "" if _is_path(text) else f"; if you mean the host: https://{text}"
    raise UsageError(f"{text} is a file here; if it has URLs to begin from: crawler run --seeds {name}; "
                     f"if it is a page: crawler parse {name}{host}")  # fmt: skip


def _meant(text: str) -> Path | None:
    """Return the file or directory that a word means; None if it means a URL."""
    if mark := _FILE.match(text):
        from urllib.parse import unquote

        return Path(f"/{unquote(text[mark.end() :].lstrip('/'))}")
    if "://" in text:
        return None
    path = Path(os.path.expanduser(text))
    if os.path.isdir(path):  # of a plain name a host: a directory example.org may be that of an earlier crawl
        return path if "/" in text.rstrip("/") or _is_path(text) else None
    return path if _is_path(text) or os.path.exists(path) or _is_file_name(text) else None


def _is_path(text: str) -> bool:
    """Tell whether a word can only be a path or a URL of a file."""
    return (_PATH.match(text) or _FILE.match(text)) is not None


def _is_file_name(text: str) -> bool:
    """Tell whether a word ends like a file and does not begin with a host."""
    first, slash, _ = text.partition("/")
    has_host = bool(slash) and first.strip(".") and ("." in first or ":" in first) and not os.path.isdir(first)
    return not has_host and os.path.splitext(text)[1].lower() in SUFFIXES and not re.search(r"[:?#@]", text)


def _as_url(text: str) -> str:
    if _is_path(text):
        return "a URL begins with https:// or http://"
    return f"a URL is written with its scheme: https://{text}"
