"""The bare loop, the yardstick: this project's libraries in one process, without a hub, a store, a limit or a second chance."""

from __future__ import annotations

from collections import deque
from io import BytesIO
from typing import Final

import pycurl
import turbohtml

from crawler_bench.peers import shape

AT_ONCE: Final = 16  # transfers; on loopback more of them make nothing faster
WAIT: Final = 1.0  # s at most until libcurl is asked again


def crawl(start: str, output: str) -> None:
    links, waiting = shape.Links(start), deque([start])
    multi, idle = pycurl.CurlMulti(), [pycurl.Curl() for _ in range(AT_ONCE)]
    bodies: dict[pycurl.Curl, tuple[str, BytesIO]] = {}
    with shape.Pages(output) as pages:
        while waiting or bodies:
            while waiting and idle:
                curl, url, body = idle.pop(), waiting.popleft(), BytesIO()
                curl.setopt(pycurl.URL, url)
                curl.setopt(pycurl.WRITEDATA, body)
                bodies[curl] = (url, body)
                multi.add_handle(curl)
            multi.perform()
            done = finished(multi)
            for curl in done:
                multi.remove_handle(curl)
                idle.append(curl)
                url, body = bodies.pop(curl)
                waiting += read(curl, url, body.getvalue(), links, pages)
            if not done:
                multi.select(WAIT)


def finished(multi: pycurl.CurlMulti) -> list[pycurl.Curl]:
    """Those whose page is there. Raises pycurl.error: one that will not come."""
    _, done, failed = multi.info_read()
    for _, code, text in failed:
        raise pycurl.error(code, text)
    return done


def read(curl: pycurl.Curl, url: str, body: bytes, links: shape.Links, pages: shape.Pages) -> list[str]:
    """Write a page's line; returns where it leads."""
    status, kind = curl.getinfo(pycurl.RESPONSE_CODE), curl.getinfo(pycurl.CONTENT_TYPE) or ""
    if not kind.startswith("text/html"):
        pages.write(url, status, kind, "")
        return []
    document = turbohtml.parse(body, encoding="utf-8", positions=False)
    title = next(document.iter_elements("title"), None)
    pages.write(url, status, kind, "" if title is None else " ".join(title.text.split()))
    hrefs = (anchor.attr("href") for anchor in document.iter_elements("a"))
    return links.new(url, (href for href in hrefs if href is not None))


if __name__ == "__main__":
    shape.run(crawl)
