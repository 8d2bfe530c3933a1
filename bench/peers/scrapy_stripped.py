"""Scrapy as a bare downloader: uvloop, links read by lxml instead of a selector, seen once here instead of in its filter.

Off is what this crawl can do without: all middlewares and extensions, statistics, logs. Nobody crawls like this; it is the floor
of what Scrapy costs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from scrapy import Request, Spider
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import Response

from bench.peers import markup, shape

AT_ONCE: Final = 16          # requests; 8 and 32 are no faster

SETTINGS: Final = {
    "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
    "CONCURRENT_REQUESTS": AT_ONCE,
    "CONCURRENT_REQUESTS_PER_DOMAIN": AT_ONCE,
    "LOG_ENABLED": False,
    "STATS_CLASS": "scrapy.statscollectors.DummyStatsCollector",
    "DUPEFILTER_CLASS": "scrapy.dupefilters.BaseDupeFilter",
    "SCHEDULER_PRIORITY_QUEUE": "scrapy.pqueues.ScrapyPriorityQueue",
    "SPIDER_MIDDLEWARES_BASE": {},      # and with them robots.txt, cookies, retries, redirects, compression and the rest
    "DOWNLOADER_MIDDLEWARES_BASE": {},
    "EXTENSIONS_BASE": {},
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
            yield Request(url)


def crawl(start: str, output: str) -> None:
    shape.collect_seldom()
    with shape.Pages(output) as pages:
        process = AsyncCrawlerProcess(SETTINGS)
        process.crawl(Site, first=start, links=shape.Links(start), pages=pages)
        process.start()


if __name__ == "__main__":
    shape.run(crawl)
