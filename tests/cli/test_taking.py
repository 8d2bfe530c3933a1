"""crawler take: what was printed is off the queue, what was not is on it, however the command ends."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.place import store_path
from crawler.cli import common, main, taking
from crawler.config.load import load
from crawler.hub.key import make_keys
from crawler.hub.server import HubServer
from crawler.items import New
from crawler.pipeline.build import build

SQUARES = ["-s", "stages.square.use='square'", "-s", "stages.square.input='task'", "-s", "stages.square.outputs='result'",
           "-s", "queues.task.by_hand=true", "-s", "queues.result.by_hand=true"]  # fmt: skip
QUEUES = list(build(load(None, SQUARES[1::2], {})).queues.values())


def filled(data: Path, *bodies: bytes, queue: str = "result") -> None:
    data.mkdir(mode=0o700, exist_ok=True)
    broker = SqliteBroker(str(store_path(data)), QUEUES)
    broker.put([New(queue, body) for body in bodies])
    broker.close()


def left(data: Path, queue: str = "result") -> list[object]:
    """Return what is on the queue, unprinted."""
    broker = SqliteBroker(str(store_path(data)), QUEUES)
    try:
        return [msgspec.msgpack.decode(body) for body in broker.take(queue, 10_000)]
    finally:
        broker.close()


def take(data: Path, *more: str) -> int:
    return main(["take", "result", "--data", str(data), "--timeout", "0", *SQUARES, *more])


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


class Broken(io.StringIO):
    """Standard output that takes so many lines."""

    def __init__(self, lines: int, error: BaseException) -> None:
        super().__init__()
        self._left = lines
        self._error = error

    def write(self, text: str) -> int:
        if self._left == 0:
            raise self._error
        self._left -= 1
        return super().write(text)


@pytest.mark.parametrize("lines", [0, 1, 3])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_a_value_that_could_not_be_printed_is_on_its_queue(
    data: Path, monkeypatch: pytest.MonkeyPatch, lines: int, error: BaseException
) -> None:
    filled(data, *map(msgspec.msgpack.encode, range(6)))
    output = Broken(lines, error)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        patch.setattr("crawler.cli.streams.silence", lambda: None)
        take(data, "-n", "5")

    assert [json.loads(line) for line in output.getvalue().splitlines()] == list(range(lines))
    assert left(data) == list(range(lines, 6))


def test_more_than_one_batch_is_taken_in_order(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "BATCH", 3)
    filled(data, *map(msgspec.msgpack.encode, range(10)))

    assert take(data, "-n", "8") == common.OK

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == list(range(8))
    assert left(data) == [8, 9]


def test_what_takes_long_to_print_is_leased_anew(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(data, *map(msgspec.msgpack.encode, range(4)))
    broker = SqliteBroker(str(store_path(data)), QUEUES)
    with closing(broker), taking.Taking(broker, "result", "take:1", late=0.0) as one:
        assert [one.values(10, 0.0) for _ in range(3)] == [1, 1, 1]

    assert capsys.readouterr().out.split() == ["0", "1", "2"]
    assert left(data) == [3]


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_ended_in_the_middle_loses_nothing(data: Path, sent: signal.Signals) -> None:
    filled(data, *map(msgspec.msgpack.encode, [f"{n} {'x' * 5_000}" for n in range(200)]))
    command = [sys.executable, "-m", "crawler", "take", "result", "--data", str(data), *SQUARES, "-n", "200"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        read = [process.stdout.readline() for _ in range(20)]  # and then it waits for the pipe to be read
        process.send_signal(sent)
        read += process.stdout.read().splitlines(keepends=True)

    printed = {json.loads(line) for line in read if line.endswith(b'"\n')}
    there = set(left(data)) if sent == signal.SIGINT else set(after_a_while(data))
    assert len(printed | there) == 200
    assert sent == signal.SIGKILL or sent == signal.SIGTERM or len(printed) + len(there) <= 201


def after_a_while(data: Path) -> list[object]:
    """Return what is on the queue once leases have ended."""
    broker = SqliteBroker(str(store_path(data)), QUEUES)
    try:
        broker.expire(None)
        return [msgspec.msgpack.decode(body) for body in broker.take("result", 10_000)]
    finally:
        broker.close()


# ---- with the key of a producer, over a hub


@pytest.fixture
def hub(data: Path) -> Iterator[HubServer]:
    """A hub with keys of roles."""
    from crawler.broker.contract import Quota
    from crawler.hub.key import authkey, role_keys

    data.mkdir(mode=0o700)
    make_keys(data)
    broker = SqliteBroker(str(store_path(data)), QUEUES)
    server = HubServer(
        broker, QUEUES, "127.0.0.1:0", authkey(data, environ={}), role_keys=role_keys(data), quota=Quota(queue_bytes=20_000)
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.stop()
    thread.join()
    broker.close()


@pytest.fixture
def producer(hub: HubServer, data: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CRAWLER_AUTHKEY", (data / "authkey.producer").read_text().strip())
    return str(hub.place)


def test_a_producer_takes_results(producer: str, hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    hub.broker.put([New("result", msgspec.msgpack.encode(n)) for n in range(3)])

    assert main(["take", "result", "-n", "2", "--hub", producer, *SQUARES]) == common.OK

    assert capsys.readouterr().out.split() == ["0", "1"]
    assert hub.broker.take("result", 5) == [msgspec.msgpack.encode(2)]


def test_a_producer_takes_no_work(producer: str, hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    hub.broker.put([New("task", b"\x01")])

    assert main(["take", "task", "--hub", producer, "--timeout", "0", *SQUARES]) == common.USAGE

    assert "the role 'producer' may not take from 'task', which a stage reads" in capsys.readouterr().err
    assert hub.broker.take("task", 5) == [b"\x01"]


@pytest.mark.slow
def test_a_producer_that_has_filled_its_part_is_told_so(producer: str, hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    big = json.dumps("x" * 8_000)
    assert main(["put", "result", big, "--hub", producer, *SQUARES]) == common.OK

    assert main(["put", "result", big, big, "--hub", producer, *SQUARES]) == common.STORAGE

    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("crawler: queue 'result' is full: 8,203 bytes wait there")
    assert told.endswith("; nothing was put")
    assert len(hub.broker.take("result", 9)) == 1


def test_an_admin_has_no_quota(hub: HubServer, data: Path) -> None:
    big = json.dumps("x" * 30_000)

    assert main(["put", "result", big, "--data", str(data), "--hub", str(hub.place), *SQUARES]) == common.OK
