"""Webs whose every page is known, on as many loopback addresses as there are to be hosts, with a log of who came when."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise

from crawler.demo.loopback import Loopback, Request, Response
from tests.site import Hit, Site, generated

LINK = re.compile(r'href="(?:/p/(\d+)\.html|/)"')


class Web(Site):
    """n pages that can all be reached from `seed`, each on one of `hosts` loopback addresses."""

    def __init__(self, n: int, hosts: int = 1, seed: int = 0) -> None:
        super().__init__(host="0.0.0.0")
        self._hosts = hosts
        self.pages = {path: LINK.sub(self._link, str(page)) for path, page in generated(n, seed).items()}
        self.urls = frozenset(self.address(number) for number in range(n))
        self.seed = self.address(0)

    def address(self, number: int) -> str:
        """The URL of a page."""
        return f"{self.origin(number)}{f'/p/{number}.html' if number else '/'}"

    def origin(self, number: int) -> str:
        return f"http://127.0.0.{1 + number % self._hosts}:{self.port}"

    @property
    def settings(self) -> list[str]:
        """What a crawl that may go to all of it has to be told."""
        hosts = ", ".join(f'"127.0.0.{1 + number}:{self.port}"' for number in range(self._hosts))
        return ["frontier.scope=any", f"stages.fetch.allow_private=[{hosts}]"]

    def _link(self, found: re.Match[str]) -> str:
        return f'href="{self.address(int(found[1] or 0))}"'

    def gaps(self) -> list[float]:
        """s between the end of one answer and the start of the next request, host by host, without robots.txt."""
        by_host: dict[str, list[Hit]] = defaultdict(list)
        for hit in self.log:
            if hit.path != "/robots.txt":
                by_host[hit.host].append(hit)
        return [
            after.start - before.end
            for hits in by_host.values()
            for before, after in pairwise(hits)
        ]  # fmt: skip


class Endless(Loopback):
    """A web without end, and no wider than it was at the start: each page leads to one that is new. It keeps no log."""

    def __init__(self, hosts: int = 64) -> None:
        super().__init__(host="0.0.0.0")
        self._hosts = hosts
        self.seeds = [self.address(number) for number in range(hosts)]

    def address(self, number: int) -> str:
        return f"http://127.0.0.{1 + number % self._hosts}:{self.port}/p/{number}"

    def answer(self, request: Request) -> Response:
        if request.target == "/robots.txt":
            return Response(404)
        number = int(request.target.rpartition("/")[2])
        links = "".join(f'<a href="{self.address(to)}">{to}</a>' for to in (number + self._hosts, number // 2, number // 3))
        return Response(body=f"<!doctype html><title>{number}</title>{'<p>tea and a cup ' * 60}{links}".encode())
