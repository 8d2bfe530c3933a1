"""Scrapy as one who knows it writes a crawl for speed: its own scheduler, filter and middlewares, and links read by lxml.

Off is what its documentation says of broad crawls, logs and cookies, and what nobody here looks at: the telnet console. Retries,
redirects, compression, depth, referrers and statistics are on, as they are by default.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import ada_url
from scrapy import Request, Spider
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import Response

from bench.peers import markup, shape

AT_ONCE: Final = 32          # requests; 8, 16 and 64 are no faster

SETTINGS: Final = {
    "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
    "CONCURRENT_REQUESTS": AT_ONCE,
    "CONCURRENT_REQUESTS_PER_DOMAIN": AT_ONCE,
    "COOKIES_ENABLED": False,
    "LOG_ENABLED": False,
    "TELNETCONSOLE_ENABLED": False,
}


class Site(Spider):
    name = "site"
    first: str
    pages: shape.Pages

    async def start(self) -> AsyncIterator[Any]:
        yield Request(self.first)     # by default the first page passes the filter, and comes home twice

    def parse(self, response: Response) -> Iterator[Request]:
        kind = (response.headers.get("Content-Type") or b"").decode("latin-1")
        if not kind.startswith("text/html"):
            self.pages.write(response.url, response.status, kind, "")
            return
        title, hrefs = markup.read(response.body)
        self.pages.write(response.url, response.status, kind, title)
        for url in {url for href in set(hrefs) if (url := joined(response.url, href))}:
            if url.startswith(self.first):     # the site is all there is; what was seen before its filter knows
                yield Request(url)


def joined(page: str, href: str) -> str:
    """Without a fragment: Scrapy's filter knows a URL with one, its responses keep it. "" for what is no URL."""
    try:
        return str(ada_url.join_url(page, href).partition("#")[0])
    except ValueError:
        return ""


def crawl(start: str, output: str) -> None:
    shape.collect_seldom()
    with shape.Pages(output) as pages:
        process = AsyncCrawlerProcess(SETTINGS)
        process.crawl(Site, first=start, pages=pages)
        process.start()


if __name__ == "__main__":
    shape.run(crawl)
