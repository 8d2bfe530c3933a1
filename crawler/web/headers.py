"""The header fields of a response, as `requests` shows them."""

from __future__ import annotations

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
        """Each value apart, in order."""
        name = name.lower()
        return [value for sent, value in self._pairs if sent.lower() == name]

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"
