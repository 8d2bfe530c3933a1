"""Hosts that hardly send anything do not keep others from being fetched."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.e2e.conftest import Shell
from tests.e2e.many_hosts import reply, serving

pytestmark = pytest.mark.slow

DRIPS = [f"127.34.0.{n}" for n in range(1, 101)]  # more than there are places and threads at first
SILENT = [f"127.34.1.{n}" for n in range(1, 21)]  # of which even robots.txt does not come
GOOD = "127.34.2.1"
PAGES = 40  # of the good host, each behind a link of the one before
PAGE = b"<p>slow</p>" + b" " * 1_000


@pytest.mark.parametrize("client", ["curl", "requests"])
def test_a_good_host_is_crawled_to_its_end_while_all_others_drip(shell: Shell, client: str) -> None:
    """They drip until the good one has come to its end, so that the crawl ends only if it need not wait for them."""
    is_over = asyncio.Event()

    async def answer(host: str, path: str, writer: asyncio.StreamWriter) -> None:
        if host in SILENT:
            await is_over.wait()
        if path == "/robots.txt":
            writer.write(reply(b"", b"404 Not Found"))
        elif host == GOOD:
            n = int(path[1:] or 0)
            writer.write(reply(b"<a href=/%d>next</a>" % (n + 1) if n < PAGES else b"<p>end</p>"))
            if n == PAGES:
                is_over.set()
        else:
            whole = reply(PAGE)
            sent = len(whole) - len(PAGE)
            writer.write(whole[:sent])
            while not is_over.is_set():
                await asyncio.sleep(0.5)
                writer.write(whole[sent : sent + 1])
                sent += 1
            writer.write(whole[sent:])

    with serving([*DRIPS, *SILENT, GOOD], answer) as port:
        seeds = [f"http://{host}:{port}/\n" for host in [*DRIPS, *SILENT, GOOD]]
        (shell.directory / "seeds").write_text("".join(seeds))
        ran = shell.run(
            "run", "--seeds", "seeds", "-s", "frontier.delay=0", "-s", f"stages.fetch.client={client}", "-O", "pages.jsonl",
            "-s", "stages.fetch.timeout=50",
        )  # fmt: skip

    urls = {json.loads(line)["url"] for line in (shell.directory / "pages.jsonl").read_text().splitlines()}
    assert ran.returncode == 0, ran.stderr
    assert len(urls) == len(DRIPS) + len(SILENT) + PAGES + 1
    assert "see stages.fetch" not in ran.stderr  # nothing had to be given up first
