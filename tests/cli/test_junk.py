"""Bytes that are no item, in every place where whoever may put can put them: each command copes with all of them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest

from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.place import store_path
from crawler.cli import common, main
from crawler.codec.bodies import readable
from crawler.config.load import load
from crawler.items import Dead, Failed, New, Step
from crawler.pipeline.build import build
from crawler.run.report.given_up import brief, plain
from crawler.run.resume.by_hand import define
from crawler.web import urls
from crawler.web.queued import visit
from crawler.wording.texts import about_body, escaped

JUNK = {
    "nothing": b"",
    "no msgpack": b"\xc1junk",
    "a pickle": b"\x80\x04cos\nsystem\n",
    "nested maps": b"\x81" * 20_000,
    "nested lists": b"\x91" * 20_000 + b"\xc0",
    "lists nested as deep as a decoder goes": b"\x91" * 500 + b"\xc0",
    "deep in a url": b"\x81\xa3url" + b"\x91" * 100 + b"\xc0",
    "cut": b"\x93\x01",
    "more behind it": b"\x01\x02",
    "a list of four thousand million": b"\xdd\xff\xff\xff\xff",
    "a map of as many": b"\xdf\xff\xff\xff\xff",
    "no UTF-8": b"\xa2\xff\xfe",
    "half a character": b"\xa3\xed\xa0\x80",
    "NUL": b"\xa3a\x00b",
    "bytes": b"\xc4\x05hello",
    "2**64 - 1": b"\xcf" + b"\xff" * 8,
    "-2**63": b"\xd3\x80" + b"\0" * 7,
    "not a number": b"\xcb\x7f\xf8" + b"\0" * 6,
    "infinity": b"\xca\x7f\x80\0\0",
    "an extension": b"\xd4\x05\x00",
    "an extension for a key": b"\x81\xd4\x05\x00\x01",
    "a time": b"\xd6\xff\0\0\0\1",
    "a time that is none": b"\xc7\x0c\xff" + b"\xff" * 12,
    "a list for a key": b"\x81\x91\x01\x01",
    "a map for a key": b"\x81\x80\x01",
    "nil for a key": b"\x81\xc0\x01",
    "not a number for a key": b"\x81\xcb\x7f\xf8" + b"\0" * 6 + b"\x01",
    "the same key twice": b"\x82\xa1a\x01\xa1a\x02",
    "a number for a URL": b"\x81\xa3url\x01",
    "an extension for a URL": b"\x81\xa3url\xd4\x05\x00",
    "no URL": msgspec.msgpack.encode({"url": "\x1b]0;PWN\x07 no URL"}),
    "JSON nested in text": msgspec.msgpack.encode("[" * 20_000),
    "many digits in text": msgspec.msgpack.encode("9" * 20_000),
    "a page of fields": msgspec.msgpack.encode({f"name {n}": [None, n] for n in range(5_000)}),
}
SHOP = "http://shop.example/"


@pytest.mark.parametrize("body", JUNK.values(), ids=JUNK)
def test_a_decoder_of_commands_raises_nothing(body: bytes) -> None:
    found = readable(body)

    json.loads(msgspec.json.encode(found))
    json.loads(msgspec.json.encode(plain(body)))
    assert len(brief(Dead(1, "q", 1, "", body, None, "", 0.0))) <= 200
    assert len(about_body(body)) <= 1_000
    assert visit(body) is None


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with each kind of junk ready and dead on each queue, between values that are good."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "crawler-data"
    data.mkdir(mode=0o700)
    broker = SqliteBroker(str(store_path(data)), list(build(load(None, [], {})).queues.values()))
    bodies = [msgspec.msgpack.encode("first"), *JUNK.values(), msgspec.msgpack.encode("last")]
    for queue in ("pages", "records"):
        broker.put([New(queue, body) for body in bodies])
        leases = broker.step(Step(f"w@{queue}", 1, queue, want=1_000)).leases
        broker.step(Step(f"w@{queue}", 2, failed=[Failed(lease.token, "junk", final=True) for lease in leases]))
    broker.put([New("urls", body, key=urls.key(f"{SHOP}{n}"), host=f"h{n}.example") for n, body in enumerate(bodies)])
    broker.put([New("records", body) for body in bodies])
    broker.close()
    return data


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    ["status", "status --json", "host list", "dead list", "dead list --queue pages", "dead retry --all", "dead drop --all"],
)
def test_a_command_over_junk(data: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main(command.split(" ")) == common.OK

    told = capsys.readouterr()
    assert "internal error" not in told.err
    if command == "dead list":
        assert f"{2 * (len(JUNK) + 2)} dead tasks" in told.err


@pytest.mark.slow
def test_each_dead_task_is_shown(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    n = 2 * (len(JUNK) + 2)
    assert main(["dead", "list"]) == common.OK
    ids = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert len(ids) == n

    assert main(["dead", "show", *ids]) == common.OK

    text, shown = capsys.readouterr().out, []
    decoder = json.JSONDecoder()
    while text.strip():
        value, end = decoder.raw_decode(text.lstrip())
        shown.append(value)
        text = text.lstrip()[end:]
    assert [each["item"] for each in shown] == [plain(body) for body in 2 * [msgspec.msgpack.encode("first"), *JUNK.values(),
                                                                             msgspec.msgpack.encode("last")]]  # fmt: skip


def test_all_that_is_taken_is_printed_the_junk_too(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["take", "records", "-n", "1000", "--timeout", "0"]) == common.OK

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (lines[0], lines[-1]) == ("first", "last")
    assert len(lines) == len(JUNK) + 2
    assert lines[2] == "5 bytes that are not msgpack"


@pytest.mark.parametrize("n", range(len(JUNK) + 2))
def test_the_story_of_a_url_whose_task_is_junk(data: Path, capsys: pytest.CaptureFixture[str], n: int) -> None:
    assert main(["why", f"{SHOP}{n}"]) == common.OK

    told = capsys.readouterr()
    assert "internal error" not in told.err
    assert "put on the frontier" in told.out
    assert not {char for char in told.out if char != "\n" and escaped(char) != char}


def test_a_crawl_with_junk_for_seeds_can_be_taken_over(data: Path) -> None:
    assert [seed.url for seed in define(data, {}, {}, [f"{SHOP}good"], "").seeds] == [f"{SHOP}good"]


def test_a_put_of_what_cannot_be_an_item_is_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.thread_time()
    for value in ("[" * 20_000, "9" * 20_000, '"\\ud800"', "{" * 20_000, "\x00", "NaN", "1e999"):
        assert main(["put", "records", value]) == common.OK
    assert "internal error" not in capsys.readouterr().err
    assert time.thread_time() - began < 20
