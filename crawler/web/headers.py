"""Header fields: of a response, as `requests` shows them, and of a request, as a person sets them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping

from crawler.web.lazy import lazy


class Headers(Mapping[str, str]):
    """Fields by name in any case; of a name that came twice, the values joined with a comma."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = tuple(pairs)

    @lazy
    def _fields(self) -> dict[str, tuple[str, list[str]]]:
        fields: dict[str, tuple[str, list[str]]] = {}
        for name, value in self._pairs:
            fields.setdefault(name.lower(), (name, []))[1].append(value)
        return fields

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._fields[name.lower()][1])

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def get_all(self, name: str) -> list[str]:
        """Return each value apart, in order."""
        name = name.lower()
        return [value for sent, value in self._pairs if sent.lower() == name]

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"


def header_fault(name: str, value: str) -> str:
    """Return why a header cannot be sent (RFC 9110 §5.5, §5.6.2); "" if it can. The value is not repeated: it may be a secret."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        return f"{name!r} cannot name a header; use letters, digits and -"
    if not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):  # what can be sent as ISO 8859-1
        return f"the value of {name} has a line break or a character that cannot be sent; use plain letters"
    return ""


def authorization(value: str) -> str | None:
    """Return the value of the Authorization header for `user:password` or `SCHEME TOKEN`; None: it is neither."""
    scheme, _, rest = value.partition(" ")
    if rest and scheme.isalpha() and ":" not in value:
        return value
    user, colon, password = value.partition(":")
    return basic_auth(user.encode(), password.encode()) if colon else None


def basic_auth(user: bytes, password: bytes) -> str:
    """Return the value of the Authorization header for a user name and a password (RFC 7617)."""
    return f"Basic {base64.b64encode(user + b':' + password).decode()}"
