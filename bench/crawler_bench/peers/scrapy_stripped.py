"""Scrapy as a bare downloader: uvloop, links read by lxml instead of a selector, seen once here instead of in its filter.

Off is what this crawl can do without: all middlewares and extensions, statistics, logs. Nobody crawls like this; it is the floor
of what Scrapy costs.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from crawler_bench.peers import scrapy_tuned, shape

AT_ONCE: Final = 16  # requests; 8 and 32 are no faster

SETTINGS: Final = {
    "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
    "CONCURRENT_REQUESTS": AT_ONCE,
    "CONCURRENT_REQUESTS_PER_DOMAIN": AT_ONCE,
    "LOG_ENABLED": False,
    "STATS_CLASS": "scrapy.statscollectors.DummyStatsCollector",
    "DUPEFILTER_CLASS": "scrapy.dupefilters.BaseDupeFilter",
    "SCHEDULER_PRIORITY_QUEUE": "scrapy.pqueues.ScrapyPriorityQueue",
    "SPIDER_MIDDLEWARES_BASE": {},  # and with them robots.txt, cookies, retries, redirects, compression and the rest
    "DOWNLOADER_MIDDLEWARES_BASE": {},
    "EXTENSIONS_BASE": {},
}


if __name__ == "__main__":
    shape.run(partial(scrapy_tuned.crawl, settings=SETTINGS))
