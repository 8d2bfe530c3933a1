"""Mask secrets in text for screens, logs, messages and the arguments of processes: passwords, tokens, cookies and keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

HIDDEN: Final = "(hidden)"

# Parts of the names of settings whose values may be secret: they are not repeated in commands, and no arguments of processes.
PRIVATE: Final = frozenset({"auth", "headers", "proxy", "cookies"})
# The patterns are compiled by `re` when they are first used: `crawler --help` needs none of them.
_NAME = r"(?i)passw|secret|token|credential|cookie|authorization|(auth|api|access|private).?key$|\.auth(\.|$)"
# A header that is sent, unless it is known to hold no secret: sites name their keys as they like (X-Key, X-Signature).
_HEADER = (
    r"(?i)\.headers\.(?!(accept[\w-]*|cache-control|pragma|connection|content-type|dnt|expect|from|if-[\w-]+|origin|priority|range|"
    r"referer|sec-[\w-]+|te|upgrade-insecure-requests|user-agent|via|x-requested-with)$)"
)
_USERINFO = r"(?<=://)[^/\s?#]*@"
# The same anywhere in a sentence; a path made from a URL has one slash.
_IN_TEXT = r"(?<=[A-Za-z]:/)(/?)[^/\s?#'\"]*@"
# user:password@host without a scheme, as a proxy is often typed. XPath such as child::a/@href is not meant.
_BARE = r"(?<![^\s=\"'(\[{,])[^\s/?#@:=\"'()\[\]{},]+:[^\s/?#@:\"']+@(?=[\w\[])"
# One word with a user name and a password, which may contain any character: all between them and the last @.
_WORD = r"(?s)([^\s:/@=]+:[^@]*(?:@.*)?@)"


def masked(text: str, typed: Iterable[str] = ()) -> str:
    """Return a sentence with user names and passwords removed from the URLs in it. typed: words whose passwords it may repeat."""
    for word in typed:
        name, equals, value = word.partition("=")
        if equals and value and "://" not in name and is_secret(word):
            text = text.replace(f"={value}", f"={HIDDEN}").replace(f"={value!r}", f"={HIDDEN}")
        _, _, rest = word.rpartition("://")
        if found := re.search(_WORD, rest or word):
            text = text.replace(found[1], f"{HIDDEN}@")
    return re.sub(_BARE, f"{HIDDEN}@", re.sub(_IN_TEXT, rf"\g<1>{HIDDEN}@", text))


def shown(name: str, value: Any) -> Any:
    """Return the value of a setting as it may be shown: without secrets, also inside URLs."""
    if isinstance(value, Mapping):
        return {key: shown(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(name, item) for item in value]
    if value and not isinstance(value, bool) and (re.search(_NAME, name) or re.search(_HEADER, name)):
        return HIDDEN
    return re.sub(_BARE, f"{HIDDEN}@", re.sub(_USERINFO, f"{HIDDEN}@", value)) if isinstance(value, str) else value


def is_secret(setting: str) -> bool:
    """Tell whether a setting, written KEY=VALUE, has or may have a secret in it."""
    name, _, text = setting.partition("=")
    words = set(re.findall(r"[\w-]+", text)) if "{" in text else set()  # keys of a table
    is_private = PRIVATE & {*name.split("."), *words} or any(re.search(_NAME, word) for word in [name, *words])
    return bool(is_private) or shown("", text) != text
