"""The server of a bench without nginx: `python -m crawler_bench.static DIR` serves a directory on a free port, and prints the port.

GET over keep-alive HTTP/1.1, every answer kept in memory as it is sent. Not for anything but a bench on loopback.
"""

from __future__ import annotations

import asyncio
import mimetypes
import sys
from pathlib import Path
from urllib.parse import unquote

HEAD_LIMIT = 64 << 10  # bytes of a request; more is nobody we serve


class Answers:
    """What is sent for each path, made when first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._kept: dict[bytes, bytes] = {}

    def __getitem__(self, target: bytes) -> bytes:
        if target not in self._kept:
            self._kept[target] = self._answer(target)
        return self._kept[target]

    def _answer(self, target: bytes) -> bytes:
        path = unquote(target.partition(b"?")[0].decode("latin-1"))
        file = self._root / (path.lstrip("/") + ("index.html" if path.endswith("/") else ""))
        if ".." in file.parts or not file.is_file():
            return _response("404 Not Found", "text/html", b"<h1>not here</h1>")
        return _response("200 OK", mimetypes.guess_type(file.name)[0] or "application/octet-stream", file.read_bytes())


def _response(status: str, kind: str, body: bytes) -> bytes:
    kind += "; charset=utf-8" if kind.startswith("text/") else ""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Connection(asyncio.Protocol):
    """One client; its requests are answered in order."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            words = head.split(b" ", 2)
            if len(words) < 3 or words[0] != b"GET":
                self._transport.close()
                return
            self._transport.write(self._answers[words[1]])
        if len(self._received) > HEAD_LIMIT:
            self._transport.close()


async def serve(root: Path) -> None:
    """Until the process is ended."""
    answers = Answers(root)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(answers), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
