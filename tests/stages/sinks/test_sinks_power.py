"""The power goes at any moment: every row that was acknowledged is in its output, and the output can be written on.

The disk is a model (see `tests.recording`), what it is asked is what a real store asked of a real one.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.recording import Leaves, cut, record
from tests.stages.outputs import Output, page

VICTIM = """
import os, sys
from crawler_stages.sinks import SinkOptions, open_sink
from tests.stages.outputs import page

folder = sys.argv[1]
sinks = {suffix: open_sink(SinkOptions(output=f"{folder}/out{suffix}", state=f"{folder}/state")) for suffix in sys.argv[3:]}
os.write(1, b"open 0\\n")
for n in range(int(sys.argv[2])):
    for suffix, sink in sinks.items():
        sink.write([page(f"http://a/{n}", text="x" * 700), page("http://a/", title=str(n))])
        os.write(1, f"{suffix} {n}\\n".encode())
os._exit(0)
"""
SUFFIXES = (".jsonl", ".csv", ".sqlite")
BATCHES = 6
FEW = 6  # cuts of each kind at any moment, beside one of the worst kind after each acknowledgement

pytestmark = pytest.mark.slow


def test_after_a_power_cut_at_any_moment_every_acknowledged_row_is_there(tmp_path: Path) -> None:
    random, live = Random(5), tmp_path / "live"
    live.mkdir()
    root = Path(__file__).parents[3]
    events = record(VICTIM, [str(live), str(BATCHES), *SUFFIXES], tmp_path / "recording", root)
    says = [(number, *event.data.decode().split()) for number, event in enumerate(events) if event.kind == "says"]
    assert len(says) == 1 + BATCHES * len(SUFFIXES)
    cuts = [(number + 1, Leaves.NOTHING) for number, *_ in says]
    cuts += [(random.randrange(says[0][0] + 1, len(events)), leaves) for leaves in Leaves for _ in range(FEW)]

    for n, leaves in cuts:
        restore(cut(events, n, leaves, random), live)
        for suffix in SUFFIXES:
            acknowledged = [int(batch) for number, kind, batch in says if number < n and kind == suffix]
            output = Output(live / f"out{suffix}", sync="close")
            output.put([])
            rows = {row["url"]: row for row in output.rows()}

            lost = [number for number in acknowledged if f"http://a/{number}" not in rows]
            assert lost == [], f"{suffix}, cut at {n}, {leaves}"
            if acknowledged:
                assert int(rows["http://a/"]["title"]) >= acknowledged[-1]
            assert output.put([page("http://a/new")])[0].new == 1
            assert len({row["url"] for row in output.rows()}) == len(output.rows()) == len(rows) + 1


def restore(files: dict[str, bytes], live: Path) -> None:
    """Bring the files to this state, each in its place: a store knows its file by that."""
    left = {path: content for name, content in files.items() if (path := Path(name)).is_relative_to(live)}
    for path in live.rglob("*"):
        if path.is_file() and path not in left:
            path.unlink()
    for path, content in left.items():
        with path.open("r+b" if path.exists() else "wb") as file:
            file.truncate()
            file.write(content)
