"""Scrapy as one who knows it writes a crawl for speed: its own scheduler and middlewares, links read by lxml, each URL asked for
once by a set of the spider's own: a request for every link of a page, for its filter to look at, is five times the work.

Off is what its documentation says of broad crawls, logs and cookies, and what nobody here looks at: the telnet console. Retries,
redirects, compression, depth, referrers and statistics are on, as they are by default.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from scrapy import Request, Spider
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import Response

from crawler_bench.peers import markup, shape

AT_ONCE: Final = 32  # requests; 8, 16 and 64 are no faster

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
    links: shape.Links
    pages: shape.Pages

    async def start(self) -> AsyncIterator[Any]:
        yield Request(self.first)

    def parse(self, response: Response) -> Iterator[Request]:
        kind = (response.headers.get("Content-Type") or b"").decode("latin-1")
        if not kind.startswith("text/html"):
            self.pages.write(response.url, response.status, kind, "")
            return
        title, hrefs = markup.read(response.body)
        self.pages.write(response.url, response.status, kind, title)
        for url in self.links.new(response.url, hrefs):
            yield Request(url, dont_filter=True)


def crawl(start: str, output: str, settings: Mapping[str, Any] = SETTINGS) -> None:
    shape.collect_seldom()
    with shape.Pages(output) as pages:
        process = AsyncCrawlerProcess(dict(settings))
        process.crawl(Site, first=start, links=shape.Links(start), pages=pages)
        process.start()


if __name__ == "__main__":
    shape.run(crawl)
