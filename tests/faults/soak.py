"""The whole pipeline for an hour on a web without end, with a kill every few seconds: nothing may grow but what is stored."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.checker import check_books
from tests.faults.kills import TOGETHER, Crawl, done, kill
from tests.faults.processes import PATIENCE, Bench, children, look, until
from tests.faults.table import HUB, MIB, Row, number
from tests.faults.webs import Endless

LOOK_EVERY = 1.0  # s
KILL_EVERY = (2.0, 6.0)  # s from one kill to the next
SPARED = 0.5  # share of the time after which only parse is killed: what lives long enough to grow has to be seen
WARM, WARMED, LATE = 0.5, 0.7, 0.85  # shares of the time: the most of WARM to WARMED is what may be there from LATE on
SLACK = 1.10  # what the end may be above the warm part, for noise; and
SLACK_BYTES = 8 * MIB  # of memory besides
SLACK_FILES = 8  # descriptors besides: connections that have just broken
DELAY = 0.2  # s, on 64 hosts: 320 pages a second at most, so that the web is not what is measured


@dataclass(frozen=True)
class Sample:
    """Everything that could grow, at one moment."""

    at: float  # s since the start
    rss: dict[str, int]  # bytes, by role
    files: dict[str, int]  # descriptors, by role
    wal: int  # bytes of the store's log
    disk: int  # bytes of all else in the data directory and of the output
    pages: int  # done so far


def soak(work: Path, minutes: float, seed: int = 60) -> Row:
    row = Row(
        "L", f"{minutes:g} minutes with a kill every {KILL_EVERY[0]:g}-{KILL_EVERY[1]:g} s",
        "memory, descriptors and disk a page are flat, nothing is lost or there twice",
    )  # fmt: skip
    with Endless() as web, Bench(work / "soak", settings()) as bench:
        (bench.directory / "seeds").write_text("\n".join(web.seeds))
        crawl = Crawl(bench, ["--seeds", "seeds"], "pages.jsonl")
        try:
            until(lambda: (stats := crawl.stats()) and done(stats), "the crawl begins")
            samples = suffer(row, crawl, bench, minutes * 60, Random(seed))
            end(row, crawl, bench)
        finally:
            crawl.close()
    judge(row, samples)
    return row


def settings() -> list[str]:
    return [f"frontier.delay={DELAY}", "stages.fetch.pause_after_robots=0", "hub.max_attempts=20"]


def suffer(row: Row, crawl: Crawl, bench: Bench, seconds: float, dice: Random) -> list[Sample]:
    began = time.monotonic()
    next_kill, samples = began + dice.uniform(*KILL_EVERY), []
    while (at := time.monotonic() - began) < seconds and crawl.is_running:
        threading.Event().wait(LOOK_EVERY)
        sample = take_sample(row, crawl, bench, at)
        if sample is not None:
            samples.append(sample)
        if time.monotonic() >= next_kill:
            pid = crawl.pid(dice.choice(("hub", *TOGETHER)) if at < SPARED * seconds else "fetch+parse")
            row.rounds += pid is not None and kill(pid)
            next_kill = time.monotonic() + dice.uniform(*KILL_EVERY)
    row.expect(crawl.is_running, f"the crawl ended by itself: {bench.log('run')[-600:]}")
    return samples


def take_sample(row: Row, crawl: Crawl, bench: Bench, at: float) -> Sample | None:
    """None: there is no hub just now."""
    stats = crawl.stats()
    if stats is None:
        return None
    check_books(row, stats)
    seen = {role: look(pid) for role, pid in {**children(crawl.process.pid), "run": crawl.process.pid}.items()}
    files = [file for file in (*bench.data.rglob("*"), crawl.output) if file.is_file()]
    sizes = {file.name: file.stat().st_size for file in files if file.exists()}
    wal = sum(size for name, size in sizes.items() if name.endswith("-wal"))
    return Sample(
        at, {role: one.rss for role, one in seen.items() if one}, {role: one.files for role, one in seen.items() if one},
        wal, sum(sizes.values()) - wal, next(queue.done for queue in stats.queues if queue.name == "urls"),
    )  # fmt: skip


def end(row: Row, crawl: Crawl, bench: Bench) -> None:
    """As a person would; what was recorded must be in the file, once."""
    crawl.process.send_signal(signal.SIGINT)
    code = crawl.process.wait(PATIENCE)
    row.expect(code == 130, f"the crawl ended with {code} after Ctrl-C: {bench.log('run')[-600:]}")
    report = json.loads((bench.data / "report.json").read_text())
    urls = [json.loads(line)["url"] for line in crawl.output.read_text("utf-8").splitlines()]
    row.lost = report["queues"]["records"]["done"] - len(set(urls))
    row.twice = len(urls) - len(set(urls))
    row.expect(row.lost == 0, f"{row.lost} records were done and are not in the file")
    row.expect(row.twice == 0, f"{row.twice} rows are there twice")
    row.expect(not report["dead"], f"innocent tasks are dead: {report['dead']}")
    row.notes.append(f"{len(urls):,} pages stored, {report['pages_per_second']:.0f} a second")


def judge(row: Row, samples: Sequence[Sample]) -> None:
    """Compare what there was after the warm-up with the last part of the time."""
    last = samples[-1].at
    warm = [sample for sample in samples if WARM * last <= sample.at < WARMED * last]
    late = [sample for sample in samples if sample.at >= LATE * last]
    row.rss = max(sample.rss.get("hub", 0) for sample in samples)
    for role in ("run", "hub", *TOGETHER):
        before, after = (max(sample.rss.get(role, 0) for sample in part) for part in (warm, late))
        most = HUB if role == "hub" else before * SLACK + SLACK_BYTES
        row.expect(after <= most, f"{role} has grown from {before / MIB:.0f} to {after / MIB:.0f} MiB")
        opened, open_now = (max(sample.files.get(role, 0) for sample in part) for part in (warm, late))
        row.expect(open_now <= opened + SLACK_FILES, f"{role} has {open_now} descriptors open, {opened} before")
        row.notes.append(
            f"{role}: {before / MIB:.1f} MiB at most after the warm-up, {after / MIB:.1f} at the end; descriptors {opened}, "
            f"{open_now}"
        )
    wal_before, wal_after = (max(sample.wal for sample in part) for part in (warm, late))
    row.expect(
        wal_after <= wal_before * SLACK + SLACK_BYTES, f"the log has grown from {wal_before / MIB:.0f} to {wal_after / MIB:.0f} MiB"
    )
    first, middle, final = warm[0], late[0], late[-1]
    early = (middle.disk - first.disk) / max(middle.pages - first.pages, 1)
    recent = (final.disk - middle.disk) / max(final.pages - middle.pages, 1)
    row.expect(recent <= early * 1.25, f"a page takes {recent:,.0f} bytes of disk, {early:,.0f} before")
    row.notes.append(
        f"log {wal_before / MIB:.0f} MiB at most, {wal_after / MIB:.0f} at the end; a page takes {early:,.0f} bytes of disk "
        f"(its record, its key, its story), {recent:,.0f} at the end; {number(final.pages)} pages"
    )
