"""The name under which a site is asked where `www.example.org` and `example.org` are one host: the one it redirects to.

    http://www.example.org/ ──redirects to──▶ http://example.org/      learned: example.org
    a link to http://www.example.org/a                                 sent: http://example.org/a

Used with `frontier.strip_www` only. Until a site has redirected from one name to the other, links are sent as they are written. The
first such redirect counts, and all workers and later runs know it: it is stored as a shared note.
"""

from __future__ import annotations

from typing import Final

from crawler.stage import Shared
from crawler.web import urls

NAME: Final = "www/"               # prefix of shared notes: by the name without www, the name to ask


class SiteNames:
    """Thread-safe."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def learn(self, start: str, end: str) -> None:
        """Note a redirect. Both URLs are as written. It tells nothing if they differ in more than scheme and www."""
        (_, name, path), (_, other, rest) = urls.split(start), urls.split(end)
        if name == other or path != rest or urls.bare(name) != urls.bare(other):
            return
        if self._known(other) is None:
            self._shared.set(NAME + urls.bare(other), other.encode())

    def host(self, host: str) -> str:
        """Return the name to ask in place of this host, which may be the same."""
        known = self._known(host)
        return host if known is None else known.decode()

    def _known(self, host: str) -> bytes | None:
        return self._shared.find(NAME).get(NAME + urls.bare(host))
