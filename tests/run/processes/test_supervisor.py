from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import crawler
from crawler.run.processes import supervisor as supervising
from crawler.run.processes.process import spawn
from crawler.run.processes.supervisor import AGAIN, HOPELESS, TRIES, UNUSABLE, ChildFailed, private_code
from tests.run.processes.conftest import TIME, Stand, ended

READY_AND_WAIT = "print('ready', file=sys.stderr, flush=True); [time.sleep(0.1) for _ in range(600)]"


def test_what_is_killed_is_told_of_and_runs_again_at_once(stand):
    stand.script(READY_AND_WAIT)
    child = stand.start()
    stand.line()
    first = child.pid
    os.kill(first, signal.SIGKILL)
    ended(child)

    stand.supervisor.watch()

    assert stand.deaths == [("it", first, 1)]  # before it was started again
    assert child.pid != first
    assert stand.line() == "it: ready"
    assert stand.supervisor.restarts() == {"it": 1}


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "os.kill(os.getpid(), signal.SIGTERM)", "os._exit(0)"])
def test_each_death_is_told_of_also_of_a_process_that_dies_before_anybody_looks(stand, monkeypatch, end):
    stand.script(end)
    child = stand.start(is_endless=True)
    start = child.start
    monkeypatch.setattr(child, "start", lambda: (start(), ended(child)))  # as on a machine too busy to look sooner
    ended(child)

    for _ in range(4):
        stand.supervisor.watch()

    assert [starts for _, _, starts in stand.deaths] == [1, 2, 3, 4]


def test_a_process_that_fails_before_anybody_looks_is_given_up_like_any_other(stand, monkeypatch):
    stand.script("os._exit(3)")
    child = stand.start(is_endless=True)
    start = child.start
    monkeypatch.setattr(child, "start", lambda: (start(), ended(child)))
    ended(child)

    with pytest.raises(ChildFailed):
        stand.watch_until(lambda: child.starts > TRIES)

    assert child.starts == TRIES


def test_all_are_ended_at_once_when_they_are_killed(stand):
    stand.script("signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY_AND_WAIT)
    children = [stand.start("a"), stand.start("b")]
    stand.line(), stand.line()

    stand.supervisor.kill()

    assert [child.process.poll() for child in children] == [-signal.SIGKILL] * 2


def test_what_ends_well_has_ended(stand):
    stand.script("")
    child = stand.start()

    stand.watch_until(lambda: child.has_ended)

    assert child.starts == 1


def test_what_is_to_run_without_end_and_was_told_to_stop_runs_again(stand):
    stand.script("print('ready', file=sys.stderr, flush=True); sys.stdin.read() if sys.argv[1] == 'once' else sys.exit(0)")
    child = stand.start(is_endless=True)

    stand.watch_until(lambda: child.starts == 2)


@pytest.mark.parametrize("code", [2, 5, 75])
def test_what_a_new_start_would_only_repeat_is_given_up_with_its_last_words(stand, code):
    stand.script(f"print('what is wrong', file=sys.stderr); sys.exit({private_code(code)})")
    child = stand.start()
    ended(child)

    with pytest.raises(ChildFailed, match=f"gave up with exit code {code}") as failure:
        stand.supervisor.watch()

    assert failure.value.code == code
    assert stand.lines.get_nowait() == "it: what is wrong"  # it is there already: the next thing is that we end
    assert child.has_ended


@pytest.mark.parametrize("end", ["sys.exit(1)", *(f"os._exit({code})" for code in (2, 3, 4, 5, 75, 130, 143, 255))])
def test_what_fails_by_itself_again_and_again_is_given_up_as_a_fault_and_not_with_its_own_code(stand, end):
    stand.script(end)
    child = stand.start("enrich", is_endless=True)

    with pytest.raises(ChildFailed) as failure:
        stand.watch_until(lambda: False)

    assert child.starts == TRIES
    assert failure.value.code == 1
    code = end.partition("(")[2].rstrip(")")
    assert f"the process of enrich ended {TRIES} times in a row with exit code {code}," in str(failure.value)


def test_a_stage_that_cannot_be_opened_is_tried_once_more_and_says_why_once(stand, caplog):
    stand.script(f"print('crawler: why', sys.argv[1:], file=sys.stderr); sys.exit({UNUSABLE})")
    child = stand.start("enrich", is_endless=True)

    with caplog.at_level(logging.WARNING), pytest.raises(ChildFailed) as failure:
        stand.watch_until(lambda: False)

    assert (failure.value.code, failure.value.is_hopeless, child.starts) == (1, True, 2)
    assert stand.line() == "crawler: why ['enrich']"
    assert stand.line() == f"crawler: why ['enrich', '{AGAIN}']", "the command says nothing with that option"
    assert caplog.messages == []


def test_an_error_that_several_workers_end_with_is_told_once(stand):
    stand.script("print('crawler: why', file=sys.stderr); print(sys.argv[1], file=sys.stderr)")
    children = [stand.start("a"), stand.start("b")]

    stand.watch_until(lambda: all(child.has_ended for child in children))

    assert sorted(stand.line() for _ in range(3)) == ["a: a", "b: b", "crawler: why"]


def test_a_code_that_the_supervisor_knows_is_not_one_that_others_use():
    from signal import valid_signals

    conventional = {*range(3), *range(64, 79), *range(126, 128), *(128 + number for number in valid_signals()), 255}

    assert conventional.isdisjoint({*HOPELESS, UNUSABLE})
    assert [HOPELESS[private_code(code)] for code in (2, 5, 75)] == [2, 5, 75]
    assert [private_code(code) for code in (0, 1, 3, 130)] == [0, 1, 3, 130]


@pytest.mark.slow
def test_what_crashes_is_started_again_without_end(stand, caplog):
    stand.script("os.kill(os.getpid(), signal.SIGABRT)")
    child = stand.start()

    with caplog.at_level(logging.WARNING):
        stand.watch_until(lambda: child.starts > supervising.TRIES + 1)

    assert "it was killed by SIGABRT; starting it again" in caplog.messages


def test_a_signal_without_a_name_is_no_trouble(stand, caplog):
    stand.script(READY_AND_WAIT)
    child = stand.start()
    stand.line()
    os.kill(child.pid, signal.SIGRTMIN + 3)
    ended(child)

    stand.supervisor.watch()

    assert "was killed by signal" in caplog.text


def test_a_stop_ends_all_and_starts_none_again(stand):
    stand.script("signal.signal(15, lambda *_: sys.exit(0)); " + READY_AND_WAIT)
    children = [stand.start("a"), stand.start("b", is_endless=True)]
    stand.line(), stand.line()

    stand.supervisor.stop()

    assert all(child.has_ended for child in children)
    assert stand.deaths == []
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)  # dead and reaped


def test_what_does_not_heed_the_stop_is_killed(stand):
    stand.script("signal.signal(15, signal.SIG_IGN); print('ready', file=sys.stderr, flush=True); time.sleep(60)")
    child = stand.start()
    stand.line()

    stand.supervisor.stop(within=0.1)

    assert child.has_ended


@pytest.mark.slow
def test_while_some_end_the_others_are_kept_alive(stand, tmp_path):
    stand.script(
        "mark = 'hub.started'\n"
        "def end(*_):\n"                                  # like a stage that hands in: it needs the hub, which has just died
        "    os.kill(int(open('hub.pid').read()), 9)\n"
        "    while os.path.getsize(mark) < 2: time.sleep(0.01)\n"
        "    sys.exit(0)\n"
        "if sys.argv[1] == 'hub':\n"
        "    open('hub.pid', 'w').write(str(os.getpid())); open(mark, 'a').write('x')\n"
        "else:\n"
        "    signal.signal(15, end)\n"
        + READY_AND_WAIT
    )  # fmt: skip
    hub = stand.start("hub", is_endless=True)
    stand.line()
    stage = stand.start("stage", is_endless=True)
    stand.line()

    stand.supervisor.stop([stage])

    assert stage.has_ended
    assert not hub.has_ended
    assert hub.starts == 2


@pytest.mark.slow
def test_what_ends_is_not_waited_for_when_what_it_needs_has_given_up(stand):
    stand.script(
        "if sys.argv[1] == 'hub':\n"
        "    signal.signal(15, lambda *_: sys.exit(203))\n"
        "else:\n"
        "    signal.signal(15, signal.SIG_IGN)\n" + READY_AND_WAIT
    )
    hub = stand.start("hub", is_endless=True)
    stand.line()
    stage = stand.start("stage", is_endless=True)
    stand.line()
    os.kill(hub.pid, signal.SIGTERM)
    ended(hub)

    with pytest.raises(ChildFailed, match="hub gave up with exit code 75"):
        stand.supervisor.stop([stage], within=10 * TIME)

    assert stage.has_ended


@pytest.mark.parametrize("ours", [[], [""]])  # "": as with python -m crawler, before that moves it to the end
def test_no_file_of_the_working_directory_takes_a_modules_place(stand, tmp_path, monkeypatch, ours):
    monkeypatch.setattr(sys, "path", ours + [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "json.py").write_text("raise SystemExit('mine')")
    monkeypatch.chdir(elsewhere)
    stand.script("import json; print(json.__name__, file=sys.stderr)")

    stand.start()

    assert stand.line() == "it: json"


@pytest.mark.parametrize("python_path", [None, "/else/where"])
def test_a_new_interpreter_looks_for_modules_where_its_parent_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python_path: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path, "/of/the/parent:alone"])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if python_path is not None:
        monkeypatch.setenv("PYTHONPATH", python_path)
    (tmp_path / "says.py").write_text(
        "import json, os, sys\nfrom crawler import Stage\n"
        "json.dump([sys.path, os.environ.get('PYTHONPATH')], open('said', 'w'))\n"
        "class Says(Stage):\n    def process(self, item): ...\n"
    )

    sets = ("stages.says.use=says:Says", "stages.says.input=x", "queues.x.by_hand=true")
    child = spawn(["check", *(word for setting in sets for word in ("-s", setting))], {}, is_heard=False)

    assert child.wait(10 * TIME) == 0
    child.close()
    assert json.loads((tmp_path / "said").read_text()) == [[*sys.path[1:], str(tmp_path)], python_path]


@pytest.mark.slow
def test_children_hear_of_the_death_of_a_parent_that_was_killed(stand, tmp_path):
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    stand.script("life = open('alive', 'w'); life.write('x'); life.flush(); sys.stdin.read()")
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c",
         "import sys, time; from crawler.run.processes.supervisor import Supervisor; "
         f"Supervisor().start('it', ['it'], {{'PYTHONPATH': {str(tmp_path)!r}}}); time.sleep(60)"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(crawler.__file__).parents[1])},
    )  # fmt: skip

    with open(pipe) as life:  # opens when the child has opened its end
        assert life.read(1) == "x"
        parent.kill()
        parent.wait()
        assert life.read() == ""  # ends when the child has ended


@pytest.mark.parametrize("packed", ['[{"data": "d"}]', '["' + "x" * 300_000 + '"]'])
def test_a_child_is_given_its_settings_at_each_start_however_long_they_are(stand: Stand, packed: str) -> None:
    stand.script(
        "from crawler.run.processes.process import settings_of_parent\n"
        "packed = settings_of_parent()\n"
        "print(sys.argv[1:], packed[:20], len(packed), sys.stdin.read(0), file=sys.stderr, flush=True)\ntime.sleep(60)"
    )
    arguments = ["hub", "--settings", packed, "-c", "c.toml"]
    child = stand.supervisor.start("hub", arguments, {"PYTHONPATH": str(stand._directory)})

    for start in (1, 2):
        assert child.starts == start
        assert f"['hub', '-c', 'c.toml'] {packed[:20]} {len(packed)}" in stand.line()
        os.kill(child.pid, signal.SIGKILL)
        ended(child)
        stand.supervisor.watch()
