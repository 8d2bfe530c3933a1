"""Which crawl uses a store, and what another one is told."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.errors import UsageError
from crawler.run.resume.owner import Owner, owner, wait_or_refuse

STORE = Path("hub.sqlite3")
HOLDS = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
open("/proc/self/comm", "w").write(sys.argv[2])
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_crawl_that_ends_is_waited_for_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    found = iter([Owner(7, True), Owner(7, True), None])

    with caplog.at_level(logging.WARNING):
        wait_or_refuse(STORE, "crawler status", lambda _: next(found))

    assert caplog.messages == ["the crawl that was running here is ending (pid 7); waiting for it"]


def test_a_crawl_that_runs_is_in_the_way() -> None:
    with pytest.raises(UsageError, match=r"^a crawl is running here \(pid 7; 'crawler status' shows it\); --data DIR is for a"):
        wait_or_refuse(STORE, "crawler status", lambda _: Owner(7, False))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell a process's name")
@pytest.mark.parametrize(("name", "is_ending"), [("crawler:hub", False), ("crawler:ending", True), ("python3", None)])
def test_it_is_known_by_the_lock_and_the_name_of_its_hub(tmp_path: Path, name: str, is_ending: bool | None) -> None:
    store = tmp_path / "store"
    store.touch()
    command = [sys.executable, "-c", HOLDS, str(store), name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = owner(store)
        process.communicate()

    who = {False: Owner(os.getpid(), False), True: Owner(process.pid, True), None: None}
    assert found == who[is_ending]
    assert owner(store) is None
