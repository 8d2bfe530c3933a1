"""The pipeline in several processes over TLS, and what a command says of a hub that it does not get through to."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crawler.hub.certificates import make
from tests.e2e.conftest import FAST, Shell, expected, statuses
from tests.site import Site

pytestmark = pytest.mark.slow

NO_HUB = 5


def copied(source: Path, target: Path, *names: str) -> str:
    """What one machine is given: ca.pem and its own pair."""
    target.mkdir()
    shutil.copy(source / "ca.pem", target)
    for name in names:
        for suffix in ("pem", "key"):
            shutil.copy(source / f"{name}.{suffix}", target)
    return str(target)


@pytest.fixture
def certs(shell: Shell) -> Path:
    made = shell.run("hub", "--make-certs", "certs")
    assert made.returncode == 0, made.stderr
    return shell.directory / "certs"


def said(shell: Shell, *arguments: str) -> str:
    """The one line of a command that ended for want of a hub."""
    ended = shell.run(*arguments)
    assert (ended.returncode, ended.stdout) == (NO_HUB, ""), ended
    lines = [line for line in ended.stderr.splitlines() if line.startswith("crawler: ")]
    assert lines == ended.stderr.splitlines()[-1:], ended.stderr
    assert "Traceback" not in ended.stderr
    return lines[0]


def test_a_crawl_over_tls_with_the_key_and_the_certificate_of_each_role_stores_the_same_set(shell: Shell, site: Site) -> None:
    here = shell.directory
    assert shell.run("hub", "--make-certs", "certs").returncode == 0
    assert shell.run("hub", "--make-keys").returncode == 0
    shell.start_hub("--address", "127.0.0.1:0", "--certs", "certs", *FAST)
    hub = ("--hub", (here / "crawler-data" / "hub.address").read_text().strip(), "--data", "elsewhere")
    keys = {role: f"hub.authkey_file={here / 'crawler-data'}/authkey.{role}" for role in ("worker", "producer")}
    worker = (*hub, "--certs", copied(here / "certs", here / "a", "worker"), "-s", keys["worker"])
    producer = (*hub, "--certs", copied(here / "certs", here / "b", "producer"), "-s", keys["producer"])

    put = shell.run("put", "urls", site.url, *producer)
    stages = [
        shell.start("stage", "fetch", "--until-drained", *worker, *FAST),
        shell.start("stage", "parse", "--until-drained", "--processes", "2", *worker),
        shell.start("stage", "store", "--until-drained", *worker, "-o", "pages.jsonl"),
    ]
    codes = [(stage.communicate(timeout=60), stage.returncode) for stage in stages]

    assert put.returncode == 0, put.stderr
    assert [code for _, code in codes] == [0, 0, 0], codes
    assert statuses(shell.rows("pages.jsonl")) == expected(site)
    stolen = shell.run("dead", "drop", "--all", *worker)
    assert stolen.returncode == 2
    assert "the role 'worker' may not call" in stolen.stderr


def test_square_goes_round_and_a_run_on_its_own_socket_needs_no_certificate(shell: Shell, site: Site, certs: Path) -> None:
    (shell.directory / "crawler.toml").write_text('[hub]\ntls = true\ncerts = "certs"\n', encoding="utf-8")
    shell.start_hub()
    shell.run("put", "task", "3", "4")

    stage = shell.run("stage", "square", "--until-drained")

    assert stage.returncode == 0, stage.stderr
    taken = shell.run("take", "result", "-n", "2")
    assert {json.loads(line) for line in taken.stdout.splitlines()} == {"3的平方是9", "4的平方是16"}
    crawled = shell.run("run", site.url, "-o", "pages.jsonl", "--data", "other", *FAST)
    assert crawled.returncode == 0, crawled.stderr


def test_run_on_an_address_of_its_own_speaks_tls_there(shell: Shell, site: Site, certs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"

    crawled = shell.run(
        "run", site.url, "-o", "pages.jsonl", *FAST, "-s", f"hub.address={address}", "-s", "hub.tls=true", "-s", "hub.certs=certs"
    )

    assert crawled.returncode == 0, crawled.stderr
    assert statuses(shell.rows("pages.jsonl")) == expected(site)


def test_who_does_not_get_through_hears_why_in_one_line(shell: Shell, certs: Path) -> None:
    here = shell.directory
    shell.start_hub("--address", "127.0.0.1:0", "--certs", "certs")
    make(here / "others")
    late = Path(copied(certs, here / "late"))
    shutil.copy(certs / "ca.key", late)
    make(late, today=datetime(2001, 1, 1, tzinfo=UTC))
    strange = Path(copied(certs, here / "strange"))
    for suffix in ("pem", "key"):
        shutil.copy(here / "others" / f"admin.{suffix}", strange)

    assert "its certificate is not from the CA in others/ca.pem" in said(shell, "status", "--certs", "others")
    assert "it refuses our certificate late/worker.pem: it has expired" in said(shell, "stage", "square", "--certs", "late")
    assert "strange/admin.pem: it is not from the hub's CA" in said(shell, "status", "--certs", "strange")
    assert "it speaks TLS, and this command does not; add --certs DIR" in said(shell, "status")


def test_tls_to_a_hub_without_it_and_to_one_that_has_expired(shell: Shell, certs: Path) -> None:
    hub = shell.start_hub()

    assert "it does not speak TLS 1.3" in said(shell, "status", "--certs", "certs")

    hub.terminate()
    hub.wait(30)
    for suffix in ("pem", "key"):
        os.unlink(certs / f"hub.{suffix}")
    make(certs, today=datetime(2001, 1, 1, tzinfo=UTC))
    refused = shell.run("hub", "--address", "127.0.0.1:0", "--certs", "certs")
    assert refused.returncode == 2
    assert "no client would accept certs/hub.pem: certificate has expired; remove it and its key, and" in refused.stderr


def test_an_address_for_all_needs_tls_and_what_is_made_is_said(shell: Shell) -> None:
    refused = shell.run("hub", "--address", "0.0.0.0:0")
    made = shell.run("hub", "--make-certs", "certs", "--names", "hub.example, 10.0.0.7")
    again = shell.run("hub", "--make-certs", "certs")
    names = shell.run("hub", "--names", "x")

    assert refused.returncode == 2
    assert "speak TLS with --certs DIR" in refused.stderr
    assert "made in certs: ca, hub, admin, producer, worker" in made.stdout
    assert "hub.pem is for hub.example, 10.0.0.7, localhost" in made.stdout
    assert "already in certs: ca, hub, admin, producer, worker" in again.stdout
    assert "made in" not in again.stdout
    assert names.returncode == 2
    shell.start_hub("--address", "0.0.0.0:0", "--certs", "certs")
    assert shell.run("status", "--certs", "certs").returncode == 0


def test_keys_are_made_for_each_role_and_a_stolen_workers_drops_nothing(shell: Shell) -> None:
    made = shell.run("hub", "--make-keys")
    data = shell.directory / "crawler-data"
    shell.start_hub()
    thief = ("-s", f"hub.authkey_file={data}/authkey.worker")

    refused = [shell.run(*command, *thief) for command in (("dead", "list"), ("put", "task", "1"), ("take", "task"))]

    assert made.stdout.splitlines()[:3] == [f"crawler-data/authkey{end}" for end in ("", ".worker", ".producer")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in data.glob("authkey*")} == {0o600}
    assert [ended.returncode for ended in refused] == [2, 2, 2]
    assert all("the role 'worker' may not call" in ended.stderr for ended in refused)
    assert shell.run("status", *thief).returncode == 0


def test_a_stage_with_a_workers_key_tells_the_hub_what_its_dead_worker_was_at(shell: Shell) -> None:
    """Else the hub only sees that a connection broke: each task that the worker held would count as one that it died of."""
    (shell.directory / "fatal.py").write_text(
        "import os, signal\nfrom crawler import Stage\n\n\nclass Fatal(Stage):\n    prefetch = 8\n\n"
        "    def process(self, n: int) -> int:\n        if n == 13:\n            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return n\n"
    )
    (shell.directory / "crawler.toml").write_text(
        "[hub]\naddress = '127.0.0.1:0'\n[stages.fatal]\nuse = 'fatal:Fatal'\ninput = 'numbers'\noutputs = ['result']\n"
        "[queues.numbers]\nby_hand = true\n"
    )
    data = shell.directory / "crawler-data"
    assert shell.run("hub", "--make-keys").returncode == 0
    shell.start_hub()
    hub = ("--hub", (data / "hub.address").read_text().strip())
    assert shell.run("put", "numbers", *hub, *map(str, range(30))).returncode == 0

    ended = shell.run(
        "stage", "fatal", "--processes", "2", "--until-drained", *hub, "-s", f"hub.authkey_file={data}/authkey.worker"
    )  # fmt: skip

    dead = shell.run("dead", "list", *hub)
    assert ended.returncode == 3, ended.stderr
    assert "its worker was killed by SIGKILL" in dead.stdout
    assert dead.stdout.count("\n") <= 3, dead.stdout
    results = shell.run("take", "result", "-n", "40", "--timeout", "0", *hub).stdout.split()
    assert sorted(map(int, results)) == [n for n in range(30) if n != 13]
