"""Messages of the processes of a pipeline to the person who started them by hand."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.cli.status import Printed
from crawler.items import New
from tests.e2e.conftest import CRAWLER, FAST, Shell
from tests.site import Site
from tests.terminal import Terminal

pytestmark = pytest.mark.slow


def address(shell: Shell) -> str:
    return (shell.directory / "crawler-data" / "hub.address").read_text().strip()


def line_with(process: subprocess.Popen[str], *words: str) -> str:
    """The next line on its standard error that has these words."""
    assert process.stderr is not None
    for line in process.stderr:
        if all(word in line for word in words):
            return line
    raise AssertionError(f"it ended with {process.wait()} and never said {words}")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stage_says_that_it_is_connected_that_the_hub_is_gone_and_that_it_is_back(shell: Shell, processes: int) -> None:
    hub = shell.start_hub()
    place = address(shell)
    stage = shell.start("stage", "parse", "--processes", str(processes))
    workers = "1 worker" if processes == 1 else "2 workers"
    line_with(stage, "INFO", f"parse: {workers} at {place}, reading pages")

    hub.kill()
    line_with(stage, "WARNING", f"the hub at {place} is gone; trying again for 60 s")
    shell.start_hub("--address", place)
    line_with(stage, "INFO", f"the hub at {place} is back")

    stage.terminate()
    rest = stage.communicate(timeout=30)[1].splitlines()
    assert [line for line in rest if "WARNING" in line] == []
    assert "parse: ended after" in rest[-1]
    assert "0 done, 0 failed" in rest[-1]


def test_a_hub_says_what_to_type_next_and_that_works(shell: Shell) -> None:
    shell.environment.pop("CRAWLER_AUTHKEY", None)
    hub = shell.start("hub", "--address", "127.0.0.1:0", "--data", "my data", "-s", "frontier.delay=0")
    assert hub.stderr is not None
    said = []
    for line in hub.stderr:
        said.append(line.strip())
        if "listens at" in line:
            break

    commands = [shlex.split(line)[1:] for line in said if line.startswith("crawler ")]
    put = next(command for command in commands if command[0] == "put")
    done = shell.run(*put)

    assert "store  my data/hub.sqlite3" in said
    assert "key    my data/authkey" in said
    assert [command[1] for command in commands if command[0] == "stage"] == ["fetch", "parse", "store"]
    assert done.stderr == "put 1 on urls\n", done
    for command in commands:
        if command[0] == "stage":
            stage = shell.start(*command)
            line_with(stage, f"{command[1]}: 1 worker at ")
            stage.terminate()
            stage.communicate(timeout=30)


def test_a_setting_of_the_hub_given_to_a_stage_is_told_with_ways_that_work(shell: Shell) -> None:
    shell.start_hub("--address", "127.0.0.1:0", "-s", "frontier.delay=600")
    place = address(shell)
    with Site({"/": "<a href=/a>a</a>", "/a": "a"}) as site:
        host = f"127.0.0.1:{site.port}"
        options = ("--hub", place, "--until-drained", "-s", "frontier.delay=0", "-s", "stages.fetch.robots=false")
        shell.run("put", "urls", site.url)
        stage = shell.start("stage", "fetch+parse", *options)
        told = line_with(stage, "WARNING", "frontier.delay = 0")
        idle = line_with(stage, "nothing to do", "(frontier.delay; ")
        now = re.search(r"'crawler (host delay \S+ 0[^']*)' lowers it at once", idle)
        assert now is not None, idle
        done = shell.run(*shlex.split(now[1]))
        site.wait_for_request("/a")
        ended = stage.communicate(timeout=30)[1]

    assert "has no effect on a stage: the hub decides it and has 600;" in told
    assert f"'crawler hub --delay 0 --address {place}' starts it so" in told
    assert f"'crawler hub --delay 0 --address {place}' for all hosts" in idle
    assert f"host delay {host} 0" in idle
    assert done.returncode == 0, done
    assert "before this stage can end, one request every 600 s" in idle
    assert "(Ctrl-C ends it now; what is left stays on its queue)" in idle
    assert (stage.returncode, "2 done, 0 failed" in ended) == (0, True), ended


def test_a_stage_ends_when_nothing_can_reach_it_though_the_crawl_goes_on(shell: Shell) -> None:
    shell.start_hub()
    shell.run("put", "urls", "http://127.0.0.1:1/")
    shell.run("put", "task", "3", "4")

    stage = shell.run("stage", "square", "--until-drained")

    assert stage.returncode == 0
    assert "square: ended after" in stage.stderr
    assert "2 done, 0 failed" in stage.stderr
    assert shell.run("take", "result", "-n", "2").stdout.count("平方是") == 2


def test_a_status_that_is_watched_elsewhere_than_on_a_terminal_is_a_line_each_time(shell: Shell) -> None:
    shell.start_hub()
    shell.run("put", "urls", "http://127.0.0.1:1/")

    watched = shell.start("status", "--watch")

    assert watched.stdout is not None
    assert "urls: 0 done (0.0/s), 1 waiting" in watched.stdout.readline()  # at once, while it goes on
    watched.terminate()


@pytest.mark.slow
def test_a_watched_status_outlives_a_hub_that_is_started_again(shell: Shell) -> None:
    hub = shell.start_hub()
    shell.run("put", "urls", "http://127.0.0.1:1/")
    address = (shell.directory / "crawler-data/hub.address").read_text().strip()
    watched = shell.start("status", "--watch", "--hub", address)
    assert watched.stdout is not None
    assert "1 waiting" in watched.stdout.readline()

    hub.kill()
    hub.wait()
    assert "the hub does not answer; the numbers are the last it gave" in watched.stdout.readline()
    shell.start_hub("--address", address)
    assert "the hub does not answer" not in watched.stdout.readline()
    assert watched.poll() is None
    watched.terminate()


def test_a_status_that_is_watched_says_once_that_the_crawl_is_finished_and_ends(shell: Shell, site: Site) -> None:
    shell.run("run", site.link("/"), *FAST, "--max-pages", "1", "-o", "a.jsonl")

    watched = shell.run("status", "--watch")
    terminal = Terminal([*CRAWLER, "status", "--watch"], shell.directory, shell.environment)
    code = terminal.wait()
    terminal.close()

    assert (watched.returncode, code) == (0, 0)
    (line,) = watched.stdout.splitlines()
    assert line.endswith("urls: 1 done (0.0/s), 0 waiting; records: 1 done (0.0/s); drained: nothing is left to do")
    assert terminal.shown.rstrip().endswith("drained: nothing is left to do")


def test_a_watched_status_prints_a_line_only_when_something_has_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    specs = (QueueSpec("urls", keyed=True, polite=True, is_read=True),)
    broker = SqliteBroker(":memory:", specs, Politeness(delay=0.0))
    view = Printed(lambda _: "")

    for n in (0, 0, 1, 0, 1):
        broker.put([New("urls", b"x", key=b"%016d" % each, host="a.test") for each in range(n)])
        view.show(broker.stats())
    broker.close()

    lines = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["no task was ever put here", "urls: 0 done (0.0/s), 1 waiting"]
