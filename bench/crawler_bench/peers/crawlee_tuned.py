"""Crawlee as fast as it goes: its plain HTTP crawler, links read by lxml and seen once here, requests kept in memory.

Off is what this crawl has no use for: sessions, retries, blocked pages, statistics, logs, and keys that forget the case of a URL.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from crawlee import ConcurrencySettings, Request
from crawlee.crawlers import HttpCrawler, HttpCrawlingContext
from crawlee.http_clients import ImpitHttpClient
from crawlee.storage_clients import MemoryStorageClient

from crawler_bench.peers import markup, shape

AT_ONCE: Final = 32  # requests; 8 and 16 are slower


async def crawl_site(start: str, pages: shape.Pages) -> None:
    links = shape.Links(start)
    crawler = HttpCrawler(
        http_client=ImpitHttpClient(),
        storage_client=MemoryStorageClient(),
        concurrency_settings=ConcurrencySettings(min_concurrency=AT_ONCE, max_concurrency=AT_ONCE, desired_concurrency=AT_ONCE),
        use_session_pool=False,
        retry_on_blocked=False,
        max_request_retries=0,
        configure_logging=False,
        statistics_log_format="inline",
    )

    @crawler.router.default_handler
    async def read(context: HttpCrawlingContext) -> None:
        response, url = context.http_response, context.request.url
        kind, body = response.headers.get("content-type", ""), await response.read()
        if not kind.startswith("text/html"):
            pages.write(url, response.status_code, kind, "")
            return
        title, hrefs = markup.read(body)
        pages.write(url, response.status_code, kind, title)
        await context.add_requests([Request.from_url(new, unique_key=new) for new in links.new(url, hrefs)])

    await crawler.run([Request.from_url(start, unique_key=start)])


def crawl(start: str, output: str) -> None:
    logging.disable()
    shape.collect_seldom()
    with shape.Pages(output) as pages:
        asyncio.run(crawl_site(start, pages))


if __name__ == "__main__":
    shape.run(crawl)
