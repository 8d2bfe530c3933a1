"""Ctrl-C, SIGTERM and SIGHUP during every wait: the command ends soon, with its exit code and without a traceback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import CRAWLER, Shell

pytestmark = pytest.mark.slow

PATIENCE = 20.0  # s; what waits for a server itself would wait for 60 and more


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def waits(process: subprocess.Popen[str], address: str) -> None:
    """Return once the process waits for the server at this address: it is connected to it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if _is_connected(int(address.rpartition(":")[2])):
            return
        time.sleep(0.02)
    raise AssertionError(f"it does not wait: {process.poll()}")


def _is_connected(port: int) -> bool:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


@pytest.fixture(autouse=True, scope="module")
def signals() -> Iterator[None]:
    """Signals as they are by default: who has started the tests may have them ignored, as nohup does, and a shell with its "&"."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL), signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGHUP, before[0])
    signal.signal(signal.SIGINT, before[1])


CLIENTS = ("curl", "requests")
WAITS = [
    *[f"fetch http://{{silent}}/ -s stages.fetch.client={client}" for client in CLIENTS],
    "run http://{silent}/",
    "run {silent}", "run --debug http://{silent}/", "parse http://{silent}/", "status --hub {silent}",
    "take result --timeout 60 --hub {silent}", "stage parse --hub {silent}", "put result 1 --hub {silent}",
]  # fmt: skip


@pytest.mark.parametrize("typed", WAITS)
def test_ctrl_c_ends_each_wait(shell: Shell, silent: str, typed: str) -> None:
    shell.environment["CRAWLER_AUTHKEY"] = "k" * 40
    process = shell.start(*typed.format(silent=silent).split())
    waits(process, silent)

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130, said
    assert "Traceback" not in said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("more", [(), ("--debug",)])
def test_a_run_that_loses_its_terminal_stops_in_order_and_goes_on_later(
    shell: Shell, silent: str, number: int, code: int, more: tuple[str, ...]
) -> None:
    process = shell.start("run", f"http://{silent}/", *more)
    waits(process, silent)

    process.send_signal(number)
    if number == signal.SIGHUP:
        process.send_signal(number)  # as a shell does besides the system
    _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == code, said
    assert "left to do: 1 on urls; 'crawler run' goes on" in said
    assert (shell.directory / "crawler-data" / "report.json").exists()


def test_nohup_is_respected(shell: Shell, silent: str) -> None:
    process = subprocess.Popen(
        ["nohup", *CRAWLER, "run", f"http://{silent}/"], cwd=shell.directory, env=shell.environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    waits(process, silent)

    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)

    assert process.returncode == 143


def test_a_named_pipe_without_a_reader_is_waited_for_and_can_be_interrupted(shell: Shell) -> None:
    os.mkfifo(shell.directory / "rows.jsonl")
    (shell.directory / "crawler-data").mkdir()
    process = shell.start("run", "http://127.0.0.1:1/", "-o", "rows.jsonl")
    assert process.stderr is not None
    assert any("rows.jsonl: no program reads this pipe yet" in line for line in process.stderr)

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130
    assert "did not end in time" not in said
