"""Name used to request a site if `www.example.org` and `example.org` are one host.

    http://www.example.org/ ──redirects to──▶ http://example.org/      learned: the site wants no www
    a link to http://www.example.org/a                                 sent: http://example.org/a

Used with `frontier.strip_www` only. Links are sent as they are written, until a site has redirected a URL with www to the same URL
without. All workers and later runs know it then: it is stored as a shared note.
"""

from __future__ import annotations

from typing import Final

from crawler.stage import Shared
from crawler.web import urls

BARE: Final = "bare/"  # prefix of shared notes, one for each host that wants no www


class SiteNames:
    """Thread-safe."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def learn(self, start: str, end: str) -> None:
        """Note a redirect if it only leaves out www. Both URLs are as written."""
        host = urls.split(end)[1]
        is_stripped = start != end and urls.folded(start, strip_www=True) == end
        if is_stripped and not self._wants_none(host):
            self._shared.set(BARE + host, b"")

    def host(self, host: str) -> str:
        """Return the name to ask in place of this host, which may be the same."""
        bare = urls.bare(host)
        return bare if bare != host and self._wants_none(bare) else host

    def _wants_none(self, bare: str) -> bool:
        return BARE + bare in self._shared.find(BARE)
