from __future__ import annotations

import io
import logging
import sys

import pytest
from rich.console import Console
from rich.text import Text

from crawler.cli import paint, view
from crawler.config.load import load
from crawler.items import HostStats, QueueStats, Stats
from crawler.run.explain.idle import idle_reason
from crawler.run.next_commands import PLAIN


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

    with caplog.at_level(logging.INFO, "crawler.cli"), lines:
        lines.show(stats(queue("urls", accepted=9, done=1)))
        assert not caplog.messages
        now[0] += view.FIRST
        lines.show(stats(queue("urls", accepted=9, done=1)))
        now[0] += view.LOG_EVERY - 2.0
        lines.show(stats(queue("urls", accepted=9, done=17)))
        now[0] += 2.0
        lines.show(stats(queue("urls", accepted=9, done=21, ready=8), queue("result"), hosts=(host(leased=1),)))

    assert caplog.messages[1].startswith("urls: 21 done (2.0/s), 8 waiting; the host rests")


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
    assert "links not followed: 7 too deep" in shown
    for part in ("12,000", "12.5", "host (2 with work)", "paused", "in 2.5 s", "200: 340", "pages waits"):
        assert part in shown
    assert "result" not in shown  # nothing was ever on it


def test_what_is_shown_is_plain_text_however_hosts_are_called():
    console = Console(file=io.StringIO(), width=120)

    console.print(view.render(stats(WAITING, hosts=(host("[fe80::1]:8000", rest=1.0),)), {}, ""))

    assert "[fe80::1]:8000" in console.file.getvalue()


def screen(width: int) -> list[str]:
    hosts = tuple(
        HostStats(f"host-{n}.example", ready=500 - n, leased=1, delay=1.0, rest=0.5, paused=False, failures=n, failure="refused")
        for n in range(20)
    )  # fmt: skip
    seen = stats(
        queue("urls", accepted=12_345, ready=12_000, done=345, dead=2), queue("pages", accepted=1, full="records"),
        hosts=hosts, **{"fetch/status/200": 340, "store/rows in pages.jsonl": 338},
    )  # fmt: skip
    console = Console(file=io.StringIO(), width=width, height=50)
    console.print(view.render(seen, {"urls": 0.9}, "one request every 1 s to each of 20 hosts", view.SAFE))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_nothing_is_cut_at_any_width(width):
    lines = screen(width)

    assert max(len(line.rstrip()) for line in lines) <= width
    text = " ".join(" ".join(lines).split())
    for words in ("12,000", "345", "0.9", "per s", "host-0.example", "in 0.5 s", "338 rows in pages.jsonl", view.SAFE):
        assert words in text
    assert "running for 2 s" in text
    assert "one request every 1 s: about 8 min for these" in text


def test_a_wide_terminal_shows_more_hosts_and_their_failures():
    hosts = [sum("host-" in line and "known" not in line for line in screen(width)) for width in (80, 120, 200)]

    assert hosts == [5, 10, 20]
    assert any("3 in a row: refused" in line for line in screen(200))


def test_what_a_narrower_terminal_has_broken_is_erased_as_a_whole():
    file = io.StringIO()
    console = Console(file=file, width=80, height=20, force_terminal=True, color_system=None)
    painter = paint.Painter(console)

    with painter:
        painter.draw(Text("x" * 70))
        console.width = 30
        file.seek(0), file.truncate()
        painter.draw(Text("y"))
        drawn = file.getvalue()
        painter.say(Text("hello"))

    assert drawn == f"\r{paint.ERASE}" + f"{paint.UP}{paint.ERASE}" * 2 + "y"  # 70 columns are three lines of 30
    assert file.getvalue().endswith(f"\r{paint.ERASE}hello\ny\r{paint.ERASE}")


def test_what_this_process_logs_stands_above_the_view_and_not_in_it(capsys, monkeypatch):
    handler = logging.StreamHandler(sys.stderr)
    monkeypatch.setattr(logging.root, "handlers", [handler])

    with view.Live(lambda _: "") as live:
        live.show(stats(WAITING))
        capsys.readouterr()
        logging.getLogger("crawler.run.processes.supervisor").warning("fetch was killed by SIGKILL; starting it again")
        said = capsys.readouterr().err
    logging.getLogger("crawler.run.processes.supervisor").warning("later")

    assert said.startswith(f"\r{paint.ERASE}{paint.UP}")
    assert f"{paint.ERASE}fetch was killed by SIGKILL; starting it again\n" in said
    assert capsys.readouterr().err.endswith("later\n")


@pytest.mark.parametrize(("width", "at_least"), [(80, 60), (120, 100), (200, 110)])
def test_sentences_use_the_width_of_the_terminal(width: int, at_least: int) -> None:
    console = Console(file=io.StringIO(), width=width, height=50)
    console.print(view.render(stats(WAITING), {}, "word " * 60))

    assert at_least <= max(len(line.rstrip()) for line in console.file.getvalue().splitlines()) <= width


def test_a_low_terminal_shows_fewer_hosts_and_still_why_the_crawl_is_idle() -> None:
    def shown(height: int) -> list[str]:
        console = Console(file=io.StringIO(), width=100, height=height, force_terminal=True, color_system=None)
        hosts = tuple(host(f"host-{n}.example", rest=0.5) for n in range(20))
        counters = {"fetch/status/200": 340, "fetch/skipped/robots": 3, "parse/skipped/too deep": 7}
        console.print(view.render(stats(WAITING, hosts=hosts, **counters), {}, "a reason"))
        return console.file.getvalue().splitlines()

    for height in (40, 14, 12, 8, 6):
        lines = shown(height)
        assert len(lines) < height
        assert "a reason" in "\n".join(lines)
    assert [sum(line.startswith("host-") for line in shown(height)) for height in (40, 14, 12, 8)] == [10, 5, 3, 0]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("term", "settings", "is_live"),
    [
        ("xterm", [], True), ("dumb", [], False), ("", [], False), ("unknown", [], False),
        ("xterm", ["stages.store.output='-'"], False),
    ],
)  # fmt: skip
def test_a_terminal_that_cannot_be_drawn_on_or_that_rows_go_to_gets_lines(
    monkeypatch: pytest.MonkeyPatch, term: str, settings: list[str], is_live: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stderr", Screen())
    monkeypatch.setattr(sys, "__stdout__", Screen())

    made = view.make_view(load(None, settings, {}), PLAIN, quiet=False)

    assert isinstance(made, view.Live if is_live else view.Lines)


def test_a_log_line_is_short_and_names_nothing_twice() -> None:
    seen = stats(queue("urls", accepted=541, ready=529, done=12), queue("records", accepted=12, done=12),
                 hosts=(HostStats("127.0.0.1:8765", ready=529, leased=0, delay=1.0, rest=0.5, paused=False),))  # fmt: skip

    told = view.line(seen, {}, idle_reason(seen))

    assert told == (
        "urls: 12 done (0.0/s), 529 waiting; records: 12 done (0.0/s); one request every 1 s to 127.0.0.1:8765 "
        "(frontier.delay; lower it for a site of your own); about 9 min for the URLs known"
    )
