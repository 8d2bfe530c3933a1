"""A crawl of more hosts than a process may have connections open loses none of them."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.e2e.conftest import Shell

pytestmark = pytest.mark.slow

HOSTS = [f"127.33.0.{n}" for n in range(1, 81)]
FILES = 64
SLOW = 0.3             # s until an answer: so many connections are open at once
SHELL = ("-c", "import os, sys; os.execvp('sh', ['sh', '-c', sys.argv[1]])")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve two pages on a connection that is kept."""
    pages = {b"/": b"<a href=/2>next</a>", b"/2": b"<p>end</p>"}
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
            await asyncio.sleep(SLOW)
            body = pages.get(path, b"")
            status = b"200 OK" if body else b"404 Not Found"
            writer.write(b"HTTP/1.1 %b\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
    writer.close()


@contextmanager
def web() -> Iterator[int]:
    """Serve at all of these addresses; yields the port."""
    with socket.create_server((HOSTS[0], 0)) as first:
        port: int = first.getsockname()[1]
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(answer, HOSTS, port))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield port
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.mark.parametrize("client", ["curl", "requests"])
def test_with_few_open_files_all_hosts_are_fetched_and_none_is_blamed(shell: Shell, client: str) -> None:
    with web() as port:
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
