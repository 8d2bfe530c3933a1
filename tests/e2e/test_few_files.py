"""A crawl of more hosts than a process may have connections open loses none of them."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from tests.e2e.conftest import Shell
from tests.e2e.many_hosts import SHELL, reply, serving

pytestmark = pytest.mark.slow

HOSTS = [f"127.33.0.{n}" for n in range(1, 81)]
FILES = 64
SLOW = 0.3  # s until an answer: so many connections are open at once


async def answer(_host: str, path: str, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(SLOW)
    pages = {"/": b"<a href=/2>next</a>", "/2": b"<p>end</p>"}
    writer.write(reply(pages[path]) if path in pages else reply(b"", b"404 Not Found"))


@pytest.mark.parametrize("client", ["curl", "requests"])
def test_with_few_open_files_all_hosts_are_fetched_and_none_is_blamed(shell: Shell, client: str) -> None:
    with serving(HOSTS, answer) as port:
        (shell.directory / "seeds").write_text("".join(f"http://{host}:{port}/\n" for host in HOSTS))
        process = shell.start(
            f"ulimit -n {FILES}; exec {sys.executable} -m crawler run --seeds seeds -s frontier.delay=0.01 "
            f"-s stages.fetch.client={client} -s stages.fetch.concurrency=80 -O pages.jsonl", by=SHELL,
        )  # fmt: skip
        _, told = process.communicate(timeout=60)

    rows = [json.loads(line) for line in (shell.directory / "pages.jsonl").read_text().splitlines()]
    assert process.returncode == 0, told
    assert len({row["url"] for row in rows}) == 2 * len(HOSTS)
    assert "is short of open files: a process may have 64 files and connections open (ulimit -n)" in told
    assert "will be tried" not in told
