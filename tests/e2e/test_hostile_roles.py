"""A hub that was told everything that each role can say still serves commands, a stage and its own restart."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import msgspec
import pytest

from crawler.broker.contract import TAKER
from crawler.hub.address import Address
from crawler.hub.connect import open_connection
from tests import hostile
from tests.e2e.conftest import Shell

pytestmark = pytest.mark.slow

TRIES = 40  # to take the results, among what producers have put there
AS = {"worker": {}, "producer": {"worker": f"{TAKER}w", "queue": "result"}}


def address(shell: Shell) -> str:
    return (shell.directory / "crawler-data" / "hub.address").read_text().strip()


def attack(address: str, key: Path, plain: dict[str, str]) -> None:
    connection = open_connection(Address.parse(address), key.read_bytes().strip())
    for number, (verb, arguments) in enumerate(hostile.all_calls(**plain), 1):
        connection.deadline = None
        connection.send_bytes(hostile.encoded(number, verb, arguments))
        assert msgspec.msgpack.decode(connection.recv_bytes())[0] == number
    connection.close()


def squares(shell: Shell, *numbers: int) -> set[str]:
    """Have numbers squared by a stage, by commands alone."""
    hub = ("--hub", address(shell))
    status, put = shell.run("status", *hub), shell.run("put", "task", *hub, *map(str, numbers))
    assert (status.returncode, put.returncode) == (0, 0), (status.stderr, put.stderr)
    stage = shell.start("stage", "square", *hub)
    taken: set[str] = set()
    wanted = {f"{n}的平方是{n * n}" for n in numbers}
    for _ in range(TRIES):
        lines = shell.run("take", "result", "-n", "1000", "--timeout", "1", *hub).stdout.splitlines()
        taken |= {str(json.loads(line)) for line in lines}
        if wanted <= taken:
            break
    stage.send_signal(signal.SIGTERM)
    stage.communicate(timeout=30)
    assert stage.returncode == 0
    return wanted & taken


def test_commands_a_stage_and_a_restart_work_after_everything_that_lesser_roles_can_say(shell: Shell) -> None:
    data = shell.directory / "crawler-data"
    assert shell.run("hub", "--make-keys").returncode == 0
    hub = shell.start_hub()
    for role, plain in AS.items():
        attack(address(shell), data / f"authkey.{role}", plain)

    assert len(squares(shell, 3, 4)) == 2
    hub.send_signal(signal.SIGTERM)
    assert hub.wait(30) == 0
    shell.start_hub()

    assert len(squares(shell, 5, 6)) == 2
    assert json.loads(shell.run("status", "--json", "--hub", address(shell)).stdout)["queues"]
