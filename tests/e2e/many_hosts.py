"""A web of many hosts: each address of loopback is one."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

Answer = Callable[[str, str, asyncio.StreamWriter], Awaitable[None]]  # of a host and path
SHELL = ("-c", "import os, sys; os.execvp('sh', ['sh', '-c', sys.argv[1]])")  # for `Shell.start`, with a line of sh


def reply(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


@contextmanager
def serving(hosts: Sequence[str], answer: Answer) -> Iterator[int]:
    """Serve at all of these addresses, on connections that are kept; yields the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
                await answer(writer.get_extra_info("sockname")[0], path, writer)
        writer.close()

    with socket.create_server((hosts[0], 0)) as first:
        port: int = first.getsockname()[1]
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(serve, hosts, port))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
