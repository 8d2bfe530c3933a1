"""A crawl that everything tries to lead to private addresses: a canary listens on all of loopback, and hears nothing."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import FAST, Shell, statuses
from tests.site import Content, Response, Site
from tests.spellings import LOOPBACK, OTHERS

pytestmark = pytest.mark.slow


class Canary:
    """Every address of loopback, at one port."""

    def __init__(self) -> None:
        has_v6 = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if has_v6 else socket.AF_INET
        self._socket = socket.create_server(("", 0), family=family, dualstack_ipv6=has_v6)
        self.port: int = self._socket.getsockname()[1]
        self.callers: list[str] = []
        self.has_heard = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, address = self._socket.accept()
            except OSError:
                return
            self.callers.append(str(address))
            self.has_heard.set()
            connection.close()

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def canary() -> Iterator[Canary]:
    canary = Canary()
    with socket.create_connection(("127.0.0.2", canary.port)):
        pass  # it does hear
    assert canary.has_heard.wait(5)
    canary.callers.clear()
    yield canary
    canary.stop()


def test_no_page_and_no_redirect_leads_to_a_private_address(shell: Shell, canary: Canary) -> None:
    targets = [f"http://{spelling}:{canary.port}/x" for spelling in LOOPBACK] + [f"http://{spelling}/x" for spelling in OTHERS]
    pages: dict[str, Content] = {
        f"/to/{n}": Response(302, {"Location": target}) for n, target in enumerate(targets) if target.isascii()
    }  # fmt: skip
    pages["/seed"] = Response(302, {"Location": f"http://127.0.0.1:{canary.port}/seed"})
    links = "".join(f"<a href='{target}'>x</a><iframe src='{target}?frame'></iframe>" for target in [*targets, *pages])
    pages["/"] = f"<meta charset=utf-8>{links}"
    with Site(pages) as site:
        done = shell.run("run", site.url, site.link("/seed"), *FAST, "-s", "frontier.scope=any", "-o", "pages.jsonl")

        assert done.returncode == 0, done.stderr
        expected = {site.link(path): 302 for path in pages} | {site.url: 200}
        found = statuses(shell.rows("pages.jsonl"))
        assert {url: found.get(url) for url in expected} == expected
        assert set(found.values()) <= {200, 302, 404}
    assert canary.callers == []
    report = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
    assert report["counters"]["fetch/skipped/private address"] >= 60
