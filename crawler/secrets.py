"""Mask secrets in text for screens, logs and messages: passwords, tokens, cookies and keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "(hidden)"

_NAME = re.compile(
    r"passw|secret|token|credential|cookie|authorization|(auth|api|access|private).?key$|\.auth(\.|$)", re.IGNORECASE
)
_USERINFO = re.compile(r"(?<=://)[^/\s?#]*@")
# The same anywhere in a sentence; a path made from a URL has one slash.
_IN_TEXT = re.compile(r"(?<=[A-Za-z]:/)(/?)[^/\s?#'\"]*@")


def masked(text: str) -> str:
    """Return a sentence with user names and passwords removed from the URLs in it."""
    return _IN_TEXT.sub(rf"\g<1>{HIDDEN}@", text)


def shown(name: str, value: Any) -> Any:
    """Return the value of a setting as it may be shown: without secrets, also inside URLs."""
    if isinstance(value, Mapping):
        return {key: shown(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(name, item) for item in value]
    if value and not isinstance(value, bool) and _NAME.search(name):
        return HIDDEN
    return _USERINFO.sub(f"{HIDDEN}@", value) if isinstance(value, str) else value
