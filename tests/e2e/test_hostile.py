"""Pages made to exhaust a crawler: each ends within its limits, no process grows, and the rest of the crawl does not notice."""

from __future__ import annotations

import gzip
import subprocess
import time
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.conftest import FAST, Shell, statuses
from tests.oddities import DEAD, FAILED, FINE, Answer, Exchange, Oddities, Row, coded, ok, page, says

pytestmark = pytest.mark.slow

MOST_MEMORY = 512 << 20  # bytes, of any process
MOST_TIME = 60.0  # s


@cache
def zeros(size: int) -> bytes:
    """Gzip of so many, made without having them."""
    compressor = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 20)
    return b"".join([*(compressor.compress(block) for _ in range(size >> 20)), compressor.flush()])


def brotli_bomb(_: Exchange) -> bytes:
    brotli = pytest.importorskip("brotli")
    return coded("br", brotli.compress(bytes(64 << 20), quality=1))


def stream(exchange: Exchange) -> None:
    """1 GiB of a page, as fast as it is taken."""
    exchange.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
    exchange.pour(b"<p>tea" * 10_000)


ANSWERS: dict[str, tuple[Answer, int | str]] = {
    "stream": (stream, DEAD),
    "stream-without-end": (says(b"HTTP/1.1 200 OK\r\n\r\n", end=lambda e: e.pour(b"<p>tea" * 10_000)), DEAD),
    "gzip": (lambda _: coded("gzip", zeros(256 << 20)), DEAD),
    "gzip-in-gzip": (lambda _: coded("gzip, gzip", gzip.compress(zeros(256 << 20))), DEAD),
    "brotli": (brotli_bomb, DEAD),
    "members": (lambda _: coded("gzip", gzip.compress(b"") * 100_000), FAILED),
    "drip": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", end=lambda e: e.drip(pause=1.0)), FAILED),
    "header": (says(b"HTTP/1.1 200 OK\r\n", end=lambda e: e.pour(b"X-More: of the same\r\n" * 500)), DEAD),
    "links": (lambda _: ok(b"<a href=x>" * 1_000_000), 200),
    "different-links": (lambda _: ok(b"".join(b"<a href=//x.invalid/%x>" % n for n in range(400_000))), 200),
    "deep": (lambda _: ok(b"<b><div>" * 1_250_000), 200),
    "x": (FINE, 200),
    **{f"fine/{n}": (ok(page(f"{n + 1}")), 200) for n in range(30)},
}
HOSTILE = Row(
    "hostile", "pages made to exhaust a crawler",
    {"": ok(page(*(path for path in ANSWERS if path[:5] != "fine/"), "fine/0")), "fine/30": FINE,
     **{path: answer for path, (answer, _) in ANSWERS.items()}},
    {"": 200, "fine/30": 200, **{path: outcome for path, (_, outcome) in ANSWERS.items()}},
)  # fmt: skip


@pytest.fixture
def server() -> Iterator[Oddities]:
    with Oddities(more=[HOSTILE]) as server:
        yield server


def family(pid: int) -> Iterator[int]:
    """A process and all that came of it."""
    yield pid
    try:
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:  # it has just ended
        return
    for child in children:
        yield from family(child)


def peak(pid: int) -> int:
    """Bytes of memory a process has had at most."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)


def watch(process: subprocess.Popen[str]) -> dict[int, int]:
    """The peaks of a process and its descendants, by pid, until it ends."""
    peaks: dict[int, int] = {}
    give_up = time.monotonic() + MOST_TIME
    while process.poll() is None and time.monotonic() < give_up:
        for pid in family(process.pid):
            peaks[pid] = max(peaks.get(pid, 0), peak(pid))
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    return peaks


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks of memory are read from /proc")
def test_no_page_takes_the_crawl_down_or_its_memory_up(shell: Shell, server: Oddities) -> None:
    process = shell.start(
        "run", server.url("hostile"), *FAST, "-q", "-s", "stages.fetch.timeout=5", "-s", "hub.max_attempts=1", "-o", "pages.jsonl"
    )

    peaks = watch(process)
    _, said = process.communicate(timeout=10)

    assert process.returncode == 3, said
    assert len(peaks) >= 5  # run, hub, three stages
    assert max(peaks.values()) < MOST_MEMORY, {pid: f"{size >> 20} MiB" for pid, size in peaks.items()}
    prefix = server.url("hostile")
    found = {url.removeprefix(prefix): status for url, status in statuses(shell.rows("pages.jsonl")).items()}
    assert found == {path: outcome for path, outcome in HOSTILE.expected.items() if isinstance(outcome, int)}
