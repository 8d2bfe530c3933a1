from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from crawler.cli import view
from crawler.items import HostStats, QueueStats, Stats


def queue(name: str, full: str = "", **counts: int) -> QueueStats:
    numbers = dict.fromkeys(("accepted", "ready", "delayed", "leased", "dead", "done", "bytes"), 0) | counts
    return QueueStats(name, **numbers, keyed=name == "urls", polite=name == "urls", is_read=True, full=full)


def host(name: str = "example.org", rest: float = 0.0, delay: float = 1.0, leased: int = 0, paused: bool = False) -> HostStats:
    return HostStats(name, ready=5, leased=leased, delay=delay, rest=rest, paused=paused)


def stats(*queues: QueueStats, hosts: tuple[HostStats, ...] = (), **counters: int) -> Stats:
    return Stats(1.0, 2.0, queues, [], hosts, len(hosts), counters, is_drained=False)


WAITING = queue("urls", accepted=5, ready=5)


def test_rates_are_of_the_last_seconds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(view.time, "monotonic", lambda: now[0])
    rates = view.Rates()

    assert rates.of(stats(queue("urls", done=10))) == {"urls": 0.0}
    now[0] += 2.0
    assert rates.of(stats(queue("urls", done=30))) == {"urls": 10.0}
    now[0] += view.RATE_OVER
    assert rates.of(stats(queue("urls", done=30))) == {"urls": 0.0}


def test_log_lines_come_now_and_then(monkeypatch, caplog):
    now = [100.0]
    monkeypatch.setattr(view.time, "monotonic", lambda: now[0])
    lines = view.Lines(lambda seen: "the host rests" if seen.hosts else "", quiet=False)

    with caplog.at_level(logging.INFO, "crawler.run"), lines:
        lines.show(stats(queue("urls", accepted=9, done=1)))
        assert not caplog.messages
        now[0] += view.LOG_EVERY - 2.0
        lines.show(stats(queue("urls", accepted=9, done=17)))
        now[0] += 2.0
        lines.show(stats(queue("urls", accepted=9, done=21, ready=8), queue("result"), hosts=(host(leased=1),)))

    assert caplog.messages[0].startswith("urls: 21 done (2.0/s), 8 waiting; the host rests")


@pytest.mark.parametrize(("quiet", "said"), [(False, "hello\n"), (True, "")])
def test_what_is_said_goes_to_stderr_unless_it_is_to_be_quiet(capsys, quiet, said):
    view.Lines(lambda _: "", quiet=quiet).say("hello")

    assert capsys.readouterr() == ("", said)


def test_the_table_shows_queues_hosts_statuses_and_the_reason():
    seen = stats(
        queue("urls", accepted=12_345, ready=12_000, done=345), queue("pages", accepted=1, full="records"), queue("result"),
        hosts=(host("a.example", paused=True), host("b.example", rest=2.5)),
        **{"fetch/status/200": 340, "parse/skipped/too deep": 7},
    )  # fmt: skip
    console = Console(file=io.StringIO(), width=120)

    console.print(view.render(seen, {"urls": 12.5}, "pages waits"))

    shown = console.file.getvalue()
    assert "pages (held back: records is full)" in shown
    for part in ("12,000", "12.5", "host (2 with work)", "paused", "in 2.5 s", "200: 340", "too deep: 7", "pages waits"):
        assert part in shown
    assert "result" not in shown                                    # nothing was ever on it


def test_what_is_shown_is_plain_text_however_hosts_are_called():
    console = Console(file=io.StringIO(), width=120)

    console.print(view.render(stats(WAITING, hosts=(host("[fe80::1]:8000", rest=1.0),)), {}, ""))

    assert "[fe80::1]:8000" in console.file.getvalue()
