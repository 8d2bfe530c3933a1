"""Text that sites, producers and workers choose, shown by each command: on a terminal and in a pipe no byte of it acts."""

from __future__ import annotations

import argparse
import ast
import io
import json
import logging
import os
import pty
import re
import sqlite3
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crawler.broker.sqlite.broker import SqliteBroker, store_path
from crawler.cli import common, main, view
from crawler.cli.printing import coloured, escaped
from crawler.config.load import load
from crawler.items import Done, Failed, HostStats, New, Note, QueueStats, Stats, Step, WorkerStats
from crawler.pipeline.build import build
from crawler.run.next_commands import PLAIN
from crawler.web import urls
from crawler.web.page import Visit
from crawler.wording.texts import visible_json
from tests.site import Response, Site

# Title of the window with its end, colour, erasing, the same as C1, direction, line ends, others that show nothing, a false line.
HOSTILE = ("\x1b]0;PWN\x07\x1b[31mred\x1b[2J\x9b31m\x9d0;C1\x9c\u202eRTL\u2066\u200f\u2028ls\u2029ps\x85\ufeff\x7f\x08"
           "\nfalse: line\r\tend[red]x[/red]")  # fmt: skip
COLOUR = re.compile("\x1b\\[[0-9;:]*m")
SHOP = "http://shop.example/"


class Output:
    """Standard output and error of a command, as bytes that were really written: to a terminal or to a pipe."""

    def __init__(self, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        self._ours, theirs = pty.openpty() if is_terminal else os.pipe()
        if is_terminal:
            tty.setraw(theirs)  # so that it changes no byte of what is written
        self.out, self.err = (os.fdopen(os.dup(theirs), "w", encoding="utf-8", newline="\n") for _ in range(2))
        self.bytes = b""
        os.close(theirs)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                block = os.read(self._ours, 65536)
            except OSError:  # how a pseudo-terminal ends
                block = b""
            if not block:
                return
            self.bytes += block

    def close(self) -> str:
        for stream in (self.out, self.err):
            if not stream.closed:
                stream.close()
        self._reader.join()
        os.close(self._ours)
        return self.bytes.decode()


@pytest.fixture(params=["terminal", "pipe"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Run a function, and return all it has written."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    open_outputs: list[Output] = []
    root = logging.root.handlers[:]

    def run(function: Callable[[], object]) -> str:
        output = Output(request.param == "terminal")
        open_outputs.append(output)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", output.out)
            patch.setattr(sys, "stderr", output.err)
            logging.root.handlers = []  # so that the command begins to log as it does in a process of its own
            try:
                function()
            except SystemExit:
                pass
            finally:
                logging.root.handlers = root
        return open_outputs.pop().close()

    yield run
    for output in open_outputs:
        output.close()


def assert_harmless(text: str, *, has_lines: bool = False) -> None:
    """No character of it acts on a terminal but line ends, tabs and colours of ours, and none of its lines is a false one.

    has_lines: what is shown has lines of its own.
    """
    plain = COLOUR.sub("", text)
    acting = {char for char in plain if char not in "\n\t" and escaped(char) != char}
    assert not acting, text
    assert "\x1b[31m" not in text, "a colour that was not ours"
    assert has_lines or not [line for line in plain.split("\n") if line.startswith("false")], text


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which every name, note, reason and item is hostile."""
    directory = tmp_path_factory.mktemp("hostile") / "data"
    directory.mkdir(mode=0o700)
    config = load(None, [f"data={directory}"], {})
    broker = SqliteBroker(str(store_path(directory)), list(build(config).queues.values()))
    visit = msgspec.msgpack.encode(Visit(f"{SHOP}a", referrer=f"http://x.example/{HOSTILE}"))
    broker.put([
        New("urls", visit, key=urls.key(f"{SHOP}a"), host="shop.example"),
        New("urls", msgspec.msgpack.encode(Visit(f"{SHOP}b")), key=urls.key(f"{SHOP}b"), host="paused.example"),
        New("urls", msgspec.msgpack.encode(Visit(f"{SHOP}c")), key=urls.key(f"{SHOP}c"), host="done.example"),
        New("records", msgspec.msgpack.encode({"url": HOSTILE, HOSTILE: HOSTILE})),
        New("pages", msgspec.msgpack.encode({"url": HOSTILE})),
    ])  # fmt: skip
    [page] = broker.step(Step("w@1", 1, "pages", want=1)).leases
    broker.step(Step("w@1", 2, failed=[Failed(page.token, HOSTILE, final=True, trace=HOSTILE)]))
    leases = broker.step(Step("w@1", 3, "urls", want=3)).leases
    by_url = {msgspec.msgpack.decode(lease.item)["url"]: lease for lease in leases}
    broker.step(Step("w@1", 4, failed=[Failed(by_url[f"{SHOP}a"].token, HOSTILE, after=9e6)],
                     done=[Done(by_url[f"{SHOP}c"].token, report=HOSTILE)], trouble=HOSTILE))  # fmt: skip
    robots = f"User-agent: *\nDisallow: /*{HOSTILE.replace(chr(10), '').replace(chr(13), '')}\nDisallow: /a\x1b]0;PWN\x07\u202e*\n"
    broker.note([Note(f"robots/{SHOP.rstrip('/')}", msgspec.msgpack.encode({"body": robots.encode(), "status": 200}))])
    broker.close()
    db = sqlite3.connect(store_path(directory))
    # A hub may refuse such names; a store of another version, or of somebody else, may have them all the same.
    db.execute("UPDATE lane SET name = ? WHERE name = 'paused.example'", (HOSTILE,))
    db.execute("UPDATE caller SET name = ? WHERE name = 'w@1'", (f"w@{HOSTILE}",))
    counters = {f"fetch/status/{HOSTILE}": 3, f"parse/skipped/{HOSTILE}": 2, f"fetch/own/{HOSTILE}": 1, f"store/{HOSTILE}": 1}
    db.execute("UPDATE head SET counters = ?", (json.dumps(counters),))
    db.commit()
    db.close()
    return directory


COMMANDS = ["status", "host list", "host list no.such.example", f"why {SHOP}a", f"why {SHOP}b", f"why {SHOP}c", "dead list",
            "dead list --queue pages", "dead show 5", "dead show 99", "status --json"]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_shows_what_is_in_the_hub_as_harmless_text(
    written: Callable[..., str], data: Path, command: str, request: Any
) -> None:
    text = written(lambda: main([*command.split(" "), "--data", str(data)]))

    assert text
    if not ("pipe" in request.node.name and "{" in text):  # it is data
        assert_harmless(text)


@pytest.mark.parametrize(
    "typed",
    [
        ["put", "urls", HOSTILE], ["put", HOSTILE, "1"], ["take", HOSTILE], ["host", "pause", HOSTILE], ["why", f"{SHOP}{HOSTILE}"],
        ["check", "-s", f"frontier.{HOSTILE}=1"], ["check", "-s", f"stages.fetch.user_agent={HOSTILE}"], [HOSTILE],
        ["run", f"--{HOSTILE}"], ["stage", HOSTILE], ["parse", HOSTILE], ["try", "parse", HOSTILE], ["settings", HOSTILE],
        ["new", "stage", HOSTILE], ["help", HOSTILE], ["-v", HOSTILE], ["dead", "show", HOSTILE],
    ],
    ids=lambda typed: " ".join(typed).partition("\x1b")[0],
)  # fmt: skip
def test_what_was_pasted_is_shown_as_harmless_text(
    written: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = written(lambda: main(typed))

    assert text
    assert_harmless(text, has_lines=True)  # a list of mistakes has lines of ours


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    header = "\x9b31m\x9d0;C1\x9c\u202e"
    page = f"<title>{HOSTILE}</title><meta name=description content='{HOSTILE}'><a href='/{HOSTILE}'>{HOSTILE}</a><p>{HOSTILE}"
    body = page.replace("\x08", "").encode()
    robots = f"User-agent: *\nDisallow: /secret*\x1b]0;PWN\x07\x1b[31m\u202eRTL\nDisallow: /x{HOSTILE}".encode()
    pages = {
        "/robots.txt": Response(body=robots),
        "/": Response(headers={"X-Odd": header.encode().decode("latin-1")}, body=body),
        "/to": Response(302, {"Location": f"/secret{header}".encode().decode("latin-1")}),
    }
    with Site(pages) as site:
        yield site


@pytest.mark.parametrize(
    "command",
    ["fetch /", "fetch /secret%1B%5D0;PWN%07%1B%5B31m%E2%80%AERTL", "fetch /to", "parse /", "fetch --body /", "parse --json /"],
)
def test_a_page_is_shown_as_harmless_text(
    written: Callable[..., str], site: Site, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    *typed, path = command.split(" ")
    text = written(lambda: main([*typed, f"{site.url.rstrip('/')}{path}"]))

    assert text
    is_data = "pipe" in request.node.name and not text.startswith("crawler:")
    if not is_data:
        assert_harmless(text, has_lines="--body" in command)


def test_data_in_a_pipe_and_on_a_terminal_is_the_same(written: Callable[..., str], data: Path) -> None:
    text = written(lambda: main(["dead", "show", "5", "--data", str(data)]))

    shown = json.loads(text[text.index("{") :])
    assert shown["item"] == {"url": HOSTILE}


def test_what_is_taken_is_exact(written: Callable[..., str], tmp_path: Path) -> None:
    broker = SqliteBroker(str(store_path(tmp_path)), list(build(load(None, [], {})).queues.values()))
    broker.put([New("records", msgspec.msgpack.encode({"text": HOSTILE}))])
    broker.close()
    tmp_path.chmod(0o700)

    text = written(lambda: main(["take", "records", "--data", str(tmp_path)]))

    assert json.loads(text[text.index("{") :]) == {"text": HOSTILE}


STATS = Stats(
    1.0, 100.0, [QueueStats(HOSTILE, 5, 1, 1, 1, 1, 1, 9, keyed=False, polite=True, is_read=True, full=HOSTILE)],
    [WorkerStats(f"w@{HOSTILE}", 1, 1.0, HOSTILE, HOSTILE)],
    [HostStats(HOSTILE, 1, 1, 1.0, 0.0, paused=False, delay_by=HOSTILE, failures=3, failure=HOSTILE)], 1,
    {f"fetch/status/{HOSTILE}": 1, f"parse/skipped/{HOSTILE}": 2, f"store/rows/{HOSTILE}": 1}, is_drained=False,
)  # fmt: skip


def show_live() -> None:
    """Draw the live view, with a line of a child, a line of ours and a log record above it."""
    common.start_logging(argparse.Namespace(log_level="INFO", heard=False, verbose=0))
    with view.Live(lambda _: HOSTILE) as live:
        live.show(STATS)
        assert live.on_line is not None
        live.on_line(f"parse: {HOSTILE}".replace("\x1b[31m", ""))  # a colour that a stage prints is shown
        live.say(HOSTILE)
        logging.getLogger("crawler.test").warning("%s", HOSTILE)
        live.show(STATS)


def show_lines() -> None:
    with view.Lines(lambda _: HOSTILE, quiet=False) as lines:
        lines.say(HOSTILE)
        assert lines.on_line is not None
        lines.on_line(HOSTILE.replace("\x1b[31m", ""))
        lines._next = time.monotonic() - 1
        lines.show(STATS)


def show_status() -> None:
    from crawler.cli import status

    status.show(STATS, HOSTILE, PLAIN)


@pytest.mark.parametrize("show", [show_live, show_lines, show_status])
def test_the_state_of_a_crawl_is_shown_as_harmless_text(written: Callable[..., str], show: Callable[[], None]) -> None:
    text = written(show)

    moved = re.sub("\x1b\\[(?:2K|1A)|\r", "", text) if show is show_live else text  # what the live view draws with
    assert text
    assert_harmless(moved)


def test_a_log_record_is_one_line_and_a_traceback_stays_lines() -> None:
    from crawler.wording.lines import EscapedLines

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EscapedLines("%(area)s: %(message)s"))
    for name in ("crawler_stages.fetch.stage", "shop.parse.page"):
        try:
            int(HOSTILE.replace("x", "x\x1b\u202e"))
        except ValueError:
            record = logging.LogRecord(name, logging.WARNING, __file__, 1, "%s failed", (HOSTILE,), sys.exc_info())
            handler.handle(record)

    text = stream.getvalue()
    assert not {char for char in text if char != "\n" and escaped(char) != char}
    assert text.startswith(f"crawler_stages.fetch: {escaped(HOSTILE)} failed\nTraceback")
    assert "shop.parse.page: \\x1b]0;PWN" in text
    assert "\n    false: line" in text, "a record of an author keeps its lines, behind a margin"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("naïve Ωmega 日本　全角 e\u0301", "naïve Ωmega 日本　全角 e\u0301"),
        ("می\u200cخواهم 👩\u200d💻 a\xa0b", "می\u200cخواهم 👩\u200d💻 a\xa0b"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x00\x07\x1b\x7f\x80\x9f", "\\x00\\x07\\x1b\\x7f\\x80\\x9f"),
        ("\u061c\u200e\u200f\u202a\u202e\u2066\u2069", "\\u061c\\u200e\\u200f\\u202a\\u202e\\u2066\\u2069"),
        ("\u2028\u2029\ufeff\u00ad\ufff9", "\\u2028\\u2029\\ufeff\\xad\\ufff9"),
        ("\U000e0041\ud800", "\\U000e0041\\ud800"),
        ("\\x1b is written out", "\\x1b is written out"),
    ],
)
def test_what_is_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown
    assert escaped(shown) == shown, "twice changes nothing"
    assert json.loads(visible_json(json.dumps(text, ensure_ascii=False))) == text
    assert not {char for char in visible_json(json.dumps(text, ensure_ascii=False)) if escaped(char) != char}


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("a\x1b[32mgreen\x1b[0m\tb", "a\x1b[32mgreen\x1b[0m\tb"),
        ("\x1b[1;38:5:9mon", "\x1b[1;38:5:9mon\x1b[0m"),
        ("\x1b[2Ja\x1b[31mb\x1b]0;t\x07\x1b[m", "\\x1b[2Ja\x1b[31mb\\x1b]0;t\\x07\x1b[m"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_a_passed_on_line_keeps_its_colours(line: str, shown: str) -> None:
    assert coloured(line) == shown


def test_the_commands_write_in_one_place_alone() -> None:
    wrong = []
    for path in sorted((Path(__file__).parents[2] / "crawler" / "cli").glob("*.py")):
        if path.name in ("printing.py", "console.py", "paint.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                is_print = called in ("print", "rich.print") or re.fullmatch(r"sys\.(__)?std(out|err)\S*\.write(lines)?", called)
                if is_print or (called.endswith("Console") and called not in ("Console", "SafeConsole", "code.InteractiveConsole")):
                    wrong.append(f"{path.name}:{node.lineno} {called}")
    assert not wrong, "use crawler.cli.printing"
