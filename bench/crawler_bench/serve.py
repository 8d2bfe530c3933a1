"""A web server over a directory, as a process of its own: nginx where it is installed, else the small one in `static`.

Whichever it is, `capacity` says what it can do alone: a crawl that comes near that figure has measured the server.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from crawler.errors import CrawlerError

STARTING = 10.0  # s a server has to answer
PAUSE = 0.02  # s between looks whether it does
TRIES = 5  # free ports tried: nginx cannot pick one itself, and another process may be quicker
STOPPING = 5.0  # s it has to end

NGINX = """\
daemon off;
master_process off;
{user}
pid "{work}/nginx.pid";
error_log "{work}/error.log";
events {{ worker_connections 4096; }}
http {{
    types {{ text/html html; text/css css; text/plain txt; image/png png; image/svg+xml svg; application/javascript js; }}
    default_type application/octet-stream;
    charset utf-8;
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 1000000;
    client_body_temp_path "{work}/body";
    proxy_temp_path "{work}/proxy";
    fastcgi_temp_path "{work}/fastcgi";
    uwsgi_temp_path "{work}/uwsgi";
    scgi_temp_path "{work}/scgi";
    server {{ listen 127.0.0.1:{port} backlog=1024; root "{root}"; }}
}}
"""


class ServerFailed(CrawlerError):
    """The web server a bench needs did not start."""


class Server(Struct, frozen=True):
    """One that is running."""

    kind: str  # "nginx" or "own"
    origin: str  # http://host:port
    port: int
    pid: int


@contextmanager
def serving(root: Path, nginx: str | None) -> Iterator[Server]:
    """Serve a directory, which may be filled later, until the block ends. nginx: where that is; None: the own server."""
    with tempfile.TemporaryDirectory(prefix="crawler-bench-server-") as work:
        process, port = _start_nginx(nginx, root, Path(work)) if nginx else _start_own(root)
        try:
            yield Server("nginx" if nginx else "own", f"http://127.0.0.1:{port}", port, process.pid)
        finally:
            process.terminate()
            process.wait(STOPPING)
            if process.stdout is not None:
                process.stdout.close()


def find_nginx() -> str | None:
    """Debian keeps it where a user's PATH does not look. None: it is not installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _start_nginx(nginx: str, root: Path, work: Path) -> tuple[subprocess.Popen[bytes], int]:
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""  # else it looks for nobody, who may not read our directory
    for _ in range(TRIES):
        port = free_port()
        file = work / "nginx.conf"
        file.write_text(NGINX.format(user=user, work=work, port=port, root=root), "utf-8")
        process = subprocess.Popen([nginx, "-e", f"{work}/error.log", "-c", str(file)], stderr=subprocess.DEVNULL)
        if answers(process, port):
            return process, port
    said = (work / "error.log").read_text("utf-8", "replace").strip().splitlines()
    raise ServerFailed(f"{nginx} did not start: {said[-1] if said else 'it says nothing'}; try 'nginx -t', or take it off PATH")


def _start_own(root: Path) -> tuple[subprocess.Popen[bytes], int]:
    process = subprocess.Popen([sys.executable, "-m", "crawler_bench.static", str(root)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait()
        raise ServerFailed(f"the bench's own server ended with exit code {process.returncode}; it has said why above")
    return process, int(line)


def free_port() -> int:
    """One that was free a moment ago: another process may be quicker."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Once it takes connections; False if it ended instead."""
    give_up = time.monotonic() + STARTING
    while process.poll() is None and time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port), STARTING).close()
        except ConnectionRefusedError:
            time.sleep(PAUSE)
        else:
            return True
    if process.poll() is None:
        process.kill()
        process.wait()
    return False


def capacity(server: Server, paths: Sequence[str], seconds: float = 0.5) -> float:
    """Pages a second that one connection gets out of it, one after the other: a floor of what it can do."""
    with socket.create_connection(("127.0.0.1", server.port), STARTING) as connection:
        buffer = memoryview(bytearray(1 << 16))
        began = time.perf_counter()
        done = 0
        while time.perf_counter() - began < seconds:
            _get(connection, server.port, paths[done % len(paths)], buffer)
            done += 1
        return done / (time.perf_counter() - began)


def _get(connection: socket.socket, port: int, path: str, buffer: memoryview) -> None:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += _some(connection, buffer)
    fields, _, body = head.partition(b"\r\n\r\n")
    left = int(fields.lower().partition(b"content-length:")[2].split()[0]) - len(body)
    while left > 0:
        left -= len(_some(connection, buffer))


def _some(connection: socket.socket, buffer: memoryview) -> bytes:
    n = connection.recv_into(buffer)
    if n == 0:
        raise ServerFailed("the web server closed the connection in the middle of an answer")
    return bytes(buffer[:n])
