"""Commands that look at a crawl, or change it, while no hub runs."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.place import store_path
from crawler.cli import common, main
from crawler.hub.server import HubServer
from crawler.items import Done, Failed, New, Step
from crawler.web import urls

NOBODY = 65534
SEED = "http://exmaple.invalid/"
SPECS = (QueueSpec("urls", keyed=True, polite=True, is_read=True), QueueSpec("pages", is_read=True), QueueSpec("parsed"))
REASON = "exmaple.invalid: Name or service not known"


def visit(url: str) -> bytes:
    return msgspec.msgpack.encode({"url": url, "is_seed": True})


def fill(data: Path) -> None:
    """The store of a crawl that ended: one URL given up, one done, one leased, and a task on a queue of a stage that is gone."""
    data.mkdir()
    broker = SqliteBroker(str(store_path(data)), SPECS, Politeness(delay=0.0))
    for url in (SEED, "http://done.example/", "http://leased.example/"):
        broker.put([New("urls", visit(url), key=urls.key(url), host=urls.parse(url).host)])
    broker.put([New("parsed", b"\x01")])
    dead, done, _ = broker.step(Step("fetch@here:1:a", 1, "urls", 3)).leases
    broker.step(Step("fetch@here:1:a", 2, failed=[Failed(dead.token, REASON, final=True)], done=[Done(done.token, report="200")]))
    broker.close()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with such a store where the commands look for one, and no key."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "crawler-data")
    return tmp_path


def tally() -> dict[str, tuple[int, int, int, int]]:
    """By queue: ready, leased, dead, done; of the store as another hub would open it."""
    broker = SqliteBroker(str(store_path(Path("crawler-data"))), SPECS, Politeness(delay=0.0))
    try:
        return {queue.name: (queue.ready, queue.leased, queue.dead, queue.done) for queue in broker.stats().queues}
    finally:
        broker.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["dead", "list"], ["1\turls\t1 attempt\t", SEED, REASON]),
        (["dead", "show", "1"], [f'"url": "{SEED}"', REASON]),
        (["why", SEED], ["a seed", "attempt 1 failed", REASON, "given up", "crawler dead show 1"]),
        (["why", "http://leased.example/"], ["was in process when the hub ended", "no hub runs; 'crawler hub' goes on"]),
        (["status"], ["urls", "parsed", "no hub runs; 'crawler hub' goes on, with its stages"]),
        (["host", "list"], ["leased.example"]),
    ],
)  # fmt: skip
def test_what_only_looks_works_without_a_hub_and_changes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: list[str]
) -> None:
    before = tally()

    assert main(arguments) == common.OK

    out, err = capsys.readouterr()
    assert [word for word in says if word not in out] == []
    assert "running for" not in out, "nothing runs"
    assert "no hub runs; this is from crawler-data/hub.sqlite3" in err
    assert tally() == before == {"urls": (0, 1, 1, 1), "pages": (0, 0, 0, 0), "parsed": (1, 0, 0, 0)}
    assert not (here / "crawler-data" / "authkey").exists()


@pytest.mark.parametrize(
    ("arguments", "urls_then", "says"),
    [
        (["dead", "retry", "1"], (1, 1, 0, 1), "1 task is ready again; 'crawler run' goes on with it"),
        (["dead", "retry", "--all"], (1, 1, 0, 1), "1 task is ready again"),
        (["dead", "drop", "1"], (0, 1, 0, 2), "1 task is dropped"),
        (["put", "urls", "http://new.example/"], (1, 1, 1, 1), "put 1 on urls"),
    ],
)
def test_what_changes_tasks_works_without_a_hub(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], urls_then: tuple[int, ...], says: str
) -> None:
    assert main(arguments) == common.OK

    assert says in capsys.readouterr().err
    assert tally()["urls"] == urls_then


def test_a_queue_that_no_stage_names_any_more_can_be_emptied(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["take", "parsed"]) == common.OK

    assert capsys.readouterr().out == "1\n"
    assert tally()["parsed"] == (0, 0, 0, 1)


def test_a_host_can_be_paused_without_a_hub(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["host", "pause", "leased.example"]) == main(["host", "list"]) == common.OK

    out, err = capsys.readouterr()
    assert "paused" in out
    assert "leased.example is paused\n" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pause", "https://leased.example/a?b"], "leased.example is paused\n"),
        (["pause", "LEASED.example"], "leased.example is paused\n"),
        (["resume", "leased.example"], "leased.example is resumed\n"),
        (["delay", "leased.example", "0.5"], "leased.example gets one request every 0.5 s\n"),
        (["delay", "leased.example", "default"], "leased.example has its usual delay again\n"),
        (["pause", "leasd.example"], "it is not on the frontier yet, and this holds from when it is; did you mean leased.example?"),
    ],
)
def test_what_was_done_to_a_host_is_confirmed(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["host", *arguments]) == common.OK

    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("foo bar", "'foo bar' is not a host; write it as example.org, or 127.0.0.1:8080 if it has a port"),
        ("", "'' is not a host"), ("http://", "'http://' is not a host"), ("a:port", "is not a host"),
        ("127.0.0.1", "no host 127.0.0.1 on the frontier; did you mean 127.0.0.1:8765?"),
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(here: Path, capsys: pytest.CaptureFixture[str], host: str, says: str) -> None:
    assert main(["put", "urls", "http://127.0.0.1:8765/"]) == common.OK

    assert main(["host", "pause", host]) == main(["host", "delay", host, "3"]) == common.USAGE

    assert capsys.readouterr().err.count(says) == 2


def test_a_pause_of_a_finished_crawl_is_said_to_be_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crawler-data").mkdir()
    SqliteBroker(str(store_path(Path("crawler-data"))), SPECS, Politeness()).close()

    assert main(["host", "pause", "a.example"]) == common.OK

    assert "; the crawl is finished, and a fresh one forgets this\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("paused.example", "0 of 1: 1 task waits on urls, and none could be taken within 0 s: paused.example is paused; "
                           "'crawler host resume paused.example' goes on"),
        ("", "0 of 1: no more came on result within 0 s"),
    ],
)  # fmt: skip
def test_who_takes_and_gets_nothing_is_told_why(here: Path, capsys: pytest.CaptureFixture[str], host: str, says: str) -> None:
    if host:
        assert main(["put", "urls", f"http://{host}/"]) == main(["host", "pause", host]) == common.OK

    assert main(["take", "urls" if host else "result", "--timeout", "0"]) == common.OK

    assert says in capsys.readouterr().err


def test_who_takes_at_a_terminal_is_told_of_the_wait(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    assert main(["take", "result", "--timeout", "0.05"]) == main(["take", "parsed"]) == common.OK

    out, err = capsys.readouterr()
    assert err.count("waiting up to 0.05 s for result") == 1
    assert "for parsed" not in err, "there was one"
    assert out == "1\n"


@pytest.mark.slow
def test_ids_of_no_dead_task_are_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead", "retry", "1", "7", "8"]) == main(["dead", "drop", "9"]) == common.USAGE

    err = capsys.readouterr().err
    assert "1 task is ready again" in err
    assert "no dead task has the id 7, 8; see 'crawler dead list'" in err
    assert "no dead task has the id 9" in err
    assert "0 tasks" not in err


def test_a_dead_task_says_when_it_was_given_up(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead", "show", "1"]) == common.OK

    at = datetime.fromisoformat(msgspec.json.decode(capsys.readouterr().out)["at"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 600


def test_hints_have_the_options_that_this_command_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "my data")
    (tmp_path / "other.toml").write_text("[frontier]\ndelay = 2\n")

    main(["dead", "list", "--data", "my data", "-c", "other.toml"])

    said = capsys.readouterr().err
    command = 'crawler dead retry --all -c other.toml --data "my data"'
    assert command in said
    assert main(["dead", "retry", "--all", "-c", "other.toml", "--data", "my data"]) == common.OK  # as printed


def test_without_hub_and_store_both_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()

    assert main(["status"]) == main(["status", "--data", "empty"]) == common.NO_HUB

    first, second = capsys.readouterr().err.splitlines()
    assert "no crawl here: there is no data directory crawler-data; name the crawl's with --data DIR" in first
    assert "no crawl here: empty has no store" in second


def test_a_hub_that_is_asked_for_by_name_is_not_replaced_by_the_store(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "PATIENCE", 0.1)
    (here / "crawler-data" / "authkey").write_text("k" * 40)

    assert main(["status", "--hub", f"unix:{here}/none.sock"]) == common.NO_HUB

    assert "no hub answers" in capsys.readouterr().err


def test_the_hub_is_asked_where_one_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = "k" * 40
    (here / "crawler-data" / "authkey").write_text(key)
    broker = SqliteBroker(str(store_path(here / "crawler-data")), SPECS)
    server = HubServer(broker, SPECS, f"unix:{here}/hub.sock", key.encode())
    (here / "crawler-data" / "hub.address").write_text(str(server.place))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert main(["dead", "list"]) == common.OK
    finally:
        server.stop()
        thread.join()
        broker.close()

    out, err = capsys.readouterr()
    assert SEED in out
    assert "no hub runs" not in err


def test_a_store_that_somebody_has_who_does_not_answer(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "crawler-data" / "authkey").write_text("k" * 40)
    (here / "crawler-data" / "hub.address").write_text(f"unix:{here}/none.sock")
    monkeypatch.setattr(common, "PATIENCE", 0.1)
    monkeypatch.setattr("crawler.broker.sqlite.schema.LOCK_WAIT", 0.0)
    broker = SqliteBroker(str(store_path(here / "crawler-data")), SPECS)
    try:
        assert main(["status"]) == common.NO_HUB
    finally:
        broker.close()

    assert "a process uses crawler-data/hub.sqlite3" in capsys.readouterr().err


COMMANDS = (["status"], ["dead", "list"], ["hub"], ["run", "http://127.0.0.1:1/"])


def as_nobody(arguments: Sequence[str]) -> int:
    """Run a command as a user who is not root."""
    if os.geteuid() != 0:
        return main(arguments)
    os.seteuid(NOBODY)
    try:
        return main(arguments)
    finally:
        os.seteuid(0)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_data_directory_of_somebody_else_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: int
) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own is shut to other users
        here = Path(name)
        monkeypatch.chdir(here)
        here.chmod(0o755)
        refuse_all(here, mode)
        lines = capsys.readouterr().err.splitlines()[-len(COMMANDS) :]

    assert [line for line in lines if not line.startswith("crawler: the data directory crawler-data cannot be ")] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_directory_of_somebody_else_is_refused_in_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["status"])
    capsys.readouterr()

    assert as_nobody(["status"]) == common.USAGE

    assert capsys.readouterr().err.startswith("crawler: crawler.toml cannot be used: Permission denied; ")


def refuse_all(here: Path, mode: int) -> None:
    fill(here / "crawler-data")
    (here / "file").touch()
    for command in (*COMMANDS, ["check"]):
        main([*command, "--data", "file"])  # imports what it needs: nobody may not read this Python, perhaps
    os.chmod(here / "crawler-data", mode)

    codes = [as_nobody(command) for command in COMMANDS]

    os.chmod(here / "crawler-data", 0o700)
    assert codes == [common.USAGE] * len(COMMANDS)


@pytest.mark.parametrize("data", ["file", "file/below"])
@pytest.mark.parametrize("command", [["status"], ["hub"], ["run", "http://127.0.0.1:1/"]], ids=lambda each: each[0])
def test_a_file_in_place_of_the_data_directory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str], data: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()

    assert main([*command, "--data", data]) == common.USAGE

    (line,) = capsys.readouterr().err.splitlines()
    assert "is a file; choose another with --data" in line


def test_a_host_may_be_typed_as_a_url_and_its_password_is_not_repeated(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["host", "pause", "http://user:S3cretPw@Example.org:8080/a"]) == 0

    said = capsys.readouterr().err
    assert "example.org:8080 is paused; it is not on the frontier yet" in said
    assert "S3cretPw" not in said


def test_in_a_directory_that_cannot_be_written_to_there_is_no_crawl(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own is shut to other users
        monkeypatch.chdir(name)
        main(["status"])  # imports what it needs
        capsys.readouterr()
        Path(name).chmod(0o555)
        assert as_nobody(["status"]) == common.NO_HUB
        Path(name).chmod(0o755)

    assert capsys.readouterr().err.startswith("crawler: no crawl here: there is no data directory crawler-data")
