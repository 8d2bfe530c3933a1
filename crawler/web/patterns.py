"""Regular expressions of users on URLs, checked so that no hostile URL makes them slow.

    pattern ──its cost, at most──▶ linear in the URL's length?   `re`, as it stands
                                   RE2 can take it?              RE2: always linear
                                   few steps all the same?       `re`
                                   else                          refused, with what to write instead

The syntax is `re`'s whatever the engine: see `pattern_tree`. RE2 (extra `re2`) has no look-around and no back-references. Its
searches cost some 0.8 µs, `re`'s 0.1 µs, so RE2 is not asked about a URL without the text that all matches contain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from crawler.errors import ConfigError
from crawler.web.pattern_cost import search_cost
from crawler.web.pattern_tree import Tree, Untranslatable, literal, read, written
from crawler.wording.extras import how_to_install

Search = Callable[[str], object]
"""A function that tells whether a URL matches: a true value if so."""

_LINEAR_STEPS: Final = 1_000_000  # of a linear search in the longest URL: some ms
_STEPS: Final = 300_000_000  # of a search by `re` where RE2 cannot be asked. The estimate is high: 2 to 20 ms as measured
_NEVER: Final = 1e15  # steps that would take days: as good as endless


def searches(setting: str, patterns: Sequence[str], longest: int) -> list[Search]:
    """Return the searches for some patterns in URLs of up to `longest` characters. Raises ConfigError that names a bad one."""
    return [_search(setting, pattern, longest) for pattern in patterns]


def _search(setting: str, pattern: str, longest: int) -> Search:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        hint = r"; instead of the shell's *.html write \.html$" if pattern.startswith(("*", "?")) else ""
        raise ConfigError(f"{setting}: {pattern!r} is not a regular expression: {error}{hint}") from error
    tree = read(pattern)
    cost = search_cost(tree)
    if cost.power <= 1 and cost.at(longest) <= _LINEAR_STEPS:
        return compiled.search
    translated = _translated(tree)
    if translated and (search := _by_re2(translated, literal(tree))):
        return search
    if cost.at(longest) <= _STEPS:
        return compiled.search
    raise ConfigError(f"{setting}: {pattern!r} can {_refusal(cost.at(longest) > _NEVER, bool(translated))}")


def _translated(tree: Tree) -> str:
    try:
        return written(tree)
    except Untranslatable:
        return ""


def _by_re2(pattern: str, needed: str) -> Search | None:
    """needed: a text that all matches contain. None: RE2 is not installed, or the pattern is too large for it."""
    try:
        import re2  # here, because few crawls have such a pattern
    except ImportError:
        return None
    options = re2.Options()
    options.never_capture, options.log_errors = True, False
    try:
        search = re2.compile(pattern.encode(), options).search
    except re2.error:
        return None
    return lambda url: needed in url and search(url.encode("utf-8", "replace"))


def _refusal(is_endless: bool, is_for_re2: bool) -> str:
    """Return what is wrong with a pattern and what to write instead."""
    if is_endless:
        wrong = (
            "take for ever on a URL made for it: it repeats something that can match the same text in several ways, such as (a+)+; "
            "write a+, or let each part end with a character that cannot be within it, as in ([^/]+/)*"
        )
    else:
        wrong = (
            "take seconds on a long URL made for it: several of its repetitions can match the same text, as in .*/.*/; begin it "
            "with ^, and write [^/]* or [^?]* for .*"
        )
    if is_for_re2:
        return f"{wrong}. The engine of an extra takes it as it is: {how_to_install('re2')}"
    return f"{wrong}; or do without look-around, such as (?!…), back-references and possessive parts, and {how_to_install('re2')}"
