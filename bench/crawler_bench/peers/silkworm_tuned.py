"""Silkworm as fast as it goes: uvloop, connections kept, no browser played, links seen once here instead of in its filter.

Its workers look each second whether there is more to do, so up to a second of every crawl is its end.
"""

from __future__ import annotations

import os
from typing import Final

import scraper_rs
from silkworm import Request, Response, Spider, run_spider_uvloop

from crawler_bench.peers import shape

AT_ONCE: Final = 16  # requests; 4 to 64 make no difference


class Site(Spider):
    name = "site"

    def __init__(self, start: str, pages: shape.Pages) -> None:
        super().__init__(start_urls=[start])
        self.links = shape.Links(start)
        self.pages = pages

    async def parse(self, response: Response) -> None:
        kind = response.headers.get("content-type", "")
        if not kind.startswith("text/html"):
            self.pages.write(response.url, response.status, kind, "")
            return
        document = scraper_rs.Document(response.body.decode("utf-8", "replace"))
        title = document.select_first("title")
        self.pages.write(response.url, response.status, kind, "" if title is None else " ".join(title.text.split()))
        hrefs = (anchor.attrs["href"] for anchor in document.select("a[href]"))
        for url in self.links.new(response.url, hrefs):
            await self.follow(Request(url, dont_filter=True))


def crawl(start: str, output: str) -> None:
    os.environ["SILKWORM_LOG_LEVEL"] = "ERROR"
    with shape.Pages(output) as pages:
        run_spider_uvloop(Site(start, pages), concurrency=AT_ONCE, emulation=None, keep_alive=True)


if __name__ == "__main__":
    shape.run(crawl)
