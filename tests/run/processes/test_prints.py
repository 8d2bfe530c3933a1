from __future__ import annotations

import logging
import os
import sys
import threading

import pytest

from crawler.run.processes import prints
from crawler.run.processes.prints import StageLines
from crawler.wording.lines import COUNTS, FORMED, FormedLines, shown
from crawler.worker.speaker import speaker


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stage is at work in this thread, whatever ran in it before."""
    monkeypatch.setattr(speaker, "stage", "")


def printed(*, mark: str = "") -> tuple[StageLines, int]:
    reading, writing = os.pipe()
    return StageLines("fetch+parse", writing, mark), reading


def said(lines: StageLines, reading: int) -> list[str]:
    os.close(lines.fileno())
    with os.fdopen(reading, encoding="utf-8") as end:
        return end.read().split("\n")[:-1]  # not splitlines(): the mark would end one


def test_each_line_has_the_name_of_the_stage_at_work_in_its_thread():
    lines, reading = printed()

    def link(name: str, text: str) -> None:
        speaker.stage = name
        print(text, file=lines)

    for name, text in (("parse", "one\ntwo"), ("enrich", "three")):
        thread = threading.Thread(target=link, args=(name, text))
        thread.start()
        thread.join()
    print("a thread of nobody's", file=lines)

    assert said(lines, reading) == ["parse: one", "parse: two", "enrich: three", "fetch+parse: a thread of nobody's"]


def test_a_line_is_written_when_it_ends_or_when_all_is_over():
    lines, reading = printed(mark=FORMED)

    lines.write("be")
    lines.write("gun\nno ")
    lines.write("end")
    lines.buffer.write("bytes é\n".encode())
    lines.write("last")
    lines.finish()

    assert said(lines, reading) == [f"{FORMED}fetch+parse: {text}" for text in ("begun", "no endbytes é", "last")]


def test_nobody_who_reads_is_no_failure_of_the_task():
    lines, reading = printed()
    os.close(reading)

    assert lines.write("hello\n") == 6
    os.close(lines.fileno())


def test_what_a_library_wrote_gets_the_name_of_its_process_and_what_is_formed_does_not():
    assert shown("enrich 2", f"{FORMED}enrich: hello") == "enrich: hello"
    assert shown("enrich 2", "Segmentation fault") == "enrich 2: Segmentation fault"
    assert shown("enrich 2", "crawler: no hub answers") == "crawler: no hub answers"
    assert shown("enrich 2", f"{COUNTS}1 2 0") == f"{COUNTS}enrich 2: 1 2 0"


def test_every_line_of_a_log_record_is_formed():
    try:
        int("x")
    except ValueError:
        record = logging.LogRecord("crawler", logging.WARNING, __file__, 1, "failed", (), sys.exc_info())

    lines = FormedLines("%(message)s").format(record).split("\n")

    assert lines[0] == f"{FORMED}failed"
    assert len(lines) > 3
    assert all(line.startswith(FORMED) for line in lines)


def test_a_line_without_an_end_is_written_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prints, "UNFINISHED", 0.01)
    lines, reading = printed()

    print("working", end="", file=lines)

    assert os.read(reading, 100) == b"fetch+parse: working\n"
    print(" on it", file=lines)
    assert said(lines, reading) == ["fetch+parse:  on it"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b[2K\x1b[1A\x1b[10;5Hup", "up"),
        ("\x1b]0;title\x07text\x1b]8;;http://a/\x1b\\", "text"),
        ("\r 10 %\r 20 %\r", " 20 %"),
        ("a\x08\x1e\x1fb\tc\x1b7\x1b=", "ab\tc"),
    ],
)
def test_what_would_move_the_cursor_is_left_out(text: str, shown: str) -> None:
    lines, reading = printed()

    print(text, file=lines)

    assert said(lines, reading) == [f"fetch+parse: {shown}"]
