"""Scrapy as its manual shows a crawl of a whole site: a CrawlSpider with a LinkExtractor, a feed of JSON lines, default settings.

Two are not the default: it logs no line for each page, and its feed is written over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urldefrag, urlsplit

from scrapy import Request
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import Response
from scrapy.linkextractors import LinkExtractor
from scrapy.spiders import CrawlSpider, Rule

from crawler_bench.peers import shape


class Site(CrawlSpider):
    name = "site"
    rules = (Rule(LinkExtractor(), callback="parse_page", follow=True),)

    async def start(self) -> AsyncIterator[Any]:
        for url in self.start_urls:
            yield Request(url)  # by default the first page passes the filter, and comes home twice

    def parse_start_url(self, response: Response, **kwargs: Any) -> Any:
        return self.parse_page(response)

    def parse_page(self, response: Response) -> dict[str, Any]:
        return {
            "url": urldefrag(response.url).url,
            "status": response.status,
            "content_type": (response.headers.get("Content-Type") or b"").decode("latin-1"),
            "title": response.css("title::text").get(),
            "fetched_at": datetime.now(UTC).isoformat(),
        }


def crawl(start: str, output: str) -> None:
    process = AsyncCrawlerProcess({"LOG_LEVEL": "INFO", "FEEDS": {output: {"format": "jsonlines", "overwrite": True}}})
    process.crawl(Site, start_urls=[start], allowed_domains=[urlsplit(start).hostname])
    process.start()


if __name__ == "__main__":
    shape.run(crawl)
