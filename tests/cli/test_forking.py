"""Copies of a process, made by a process of its own: the one that runs the tests has threads, and is no one to copy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="copies are made on Linux alone")

TIME = 20.0  # s after which a test that waits has failed
START = """
import atexit, json, logging, os, random, signal, sys, threading, time
from crawler.cli.forking import Forks, descriptors
from crawler.run.processes.supervisor import Supervisor

def look():
    return {
        "pid": os.getpid(), "session": os.getsid(0), "open": sorted(descriptors()), "argv": sys.argv, "dice": random.random(),
        "term": str(signal.getsignal(signal.SIGTERM)), "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "wakeup": signal.set_wakeup_fd(-1),
        "handlers": len(logging.getLogger().handlers), "MARK": os.environ.get("MARK"), "threads": threading.active_count(),
    }
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(text: str, **more: Any) -> subprocess.CompletedProcess[str]:
        streams = {"capture_output": True} if "stdout" not in more else {}
        return subprocess.run([sys.executable, "-c", START + text], text=True, timeout=TIME, cwd=tmp_path, **streams, **more)

    return run


def test_a_copy_is_as_if_newly_started(script):
    done = script("""
signal.signal(signal.SIGTERM, lambda *_: None)
wakeup = os.pipe2(os.O_NONBLOCK)
signal.set_wakeup_fd(wakeup[1])
atexit.register(print, "the parent's last word")
logging.basicConfig()
forks = Forks(lambda arguments: print(json.dumps(look())) or 0)
print("once")
for name in "ab":
    fork = forks(["hub", name], {"MARK": name}, False)
    assert fork.wait(10) == 0
""")

    once, first, second, last = done.stdout.splitlines()
    a, b = json.loads(first), json.loads(second)
    assert (once, last) == ("once", "the parent's last word")  # nothing that was buffered or to be done at the end is done twice
    for copy, name in ((a, "a"), (b, "b")):
        assert copy["session"] == copy["pid"]
        assert copy["open"] == [0, 1, 2]
        assert copy["argv"] == ["crawler", "hub", name]
        assert copy["MARK"] == name
        assert (copy["term"], copy["interrupt"], copy["blocked"], copy["wakeup"]) == ("0", True, 0, -1)
        assert (copy["handlers"], copy["threads"]) == (0, 1)
    assert a["dice"] != b["dice"]


@pytest.mark.parametrize(
    "what",
    [
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "mine = open('mine', 'w')",  # what an imported module has opened is not for two to share
    ],
)
def test_what_cannot_be_shared_is_not_copied(script, what):
    done = script(f"forks = Forks(lambda _: 0); {what}; print(forks(['hub'], {{}}, False)); sys.stdout.flush(); os._exit(0)")

    assert done.stdout == "None\n", done.stderr


def test_without_a_standard_stream_nothing_is_copied(script, tmp_path):
    with (tmp_path / "said").open("w") as said:
        done = script("os.close(0); print(Forks(lambda _: 0)(['hub'], {}, False), file=sys.stderr)", stdout=said, stderr=said)

    assert (done.returncode, (tmp_path / "said").read_text()) == (0, "None\n")


def test_a_thread_that_was_joined_is_no_hindrance(script):
    done = script("""
forks = Forks(lambda arguments: 0)
for _ in range(20):
    thread = threading.Thread(target=sum, args=([],)); thread.start(); thread.join()
    assert forks(["hub"], {}, False).wait(10) == 0
""")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("main", "code", "words"),
    [
        ("return 3", 3, ""),
        ("sys.exit(2)", 2, ""),
        ("sys.exit()", 0, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("atexit.register(sys.stderr.write, 'good-bye')", 0, "good-bye"),
        ("threading.Thread(target=lambda: (time.sleep(0.05), sys.stderr.write('waited for'))).start()", 0, "waited for"),
        ("os.kill(os.getpid(), 9)", -9, ""),
    ],
)
def test_a_copy_ends_as_an_interpreter_does(script, main, code, words):
    done = script(f"""
def main(arguments):
    {main}
    return 0

fork = Forks(main)(["hub"], {{}}, True)
print(fork.wait(10), fork.poll(), words := fork.stderr.read().decode())
""")

    assert done.stdout.startswith(f"{code} {code} "), done.stdout + done.stderr
    assert words in done.stdout


def test_what_a_copy_says_is_heard_from_the_first_look_on_and_what_comes_after_it_is_no_copy(script):
    done = script("""
lines = []
def main(arguments):
    sys.stderr.write("a copy\\n")
    sys.stderr.flush()
    time.sleep(60)

supervisor = Supervisor(on_line=lines.append, fork=Forks(main))
children = [supervisor.start(name, ["no-such-command", "--while-stdin"], is_endless=True) for name in "ab"]
assert threading.active_count() == 1
while len(lines) < 2:
    supervisor.watch()
    supervisor.wait(0.01)
os.kill(children[0].pid, 9)
try:
    while True:
        supervisor.wait(10)
        supervisor.watch()
except Exception as error:
    print(error)
supervisor.stop()
print(sum(line.endswith(": a copy") for line in lines), any("no-such-command" in line for line in lines))
""")

    assert done.stdout == "a gave up with exit code 2\n2 True\n", done.stderr


@pytest.mark.parametrize("is_heard", [False, True])
def test_a_prepared_copy_does_its_work_and_then_what_it_is_told(script, is_heard):
    done = script(f"""
def main(arguments):
    print(json.dumps(look() | {{"work": work, "is_heard": os.fstat(2).st_ino != terminal}}), file=sys.stderr)
    return 7

terminal = os.fstat(2).st_ino
work = []
forks = Forks(main)
forks.prepare("hub", lambda: work.append(os.getpid()))
other = forks(["stage", "a"], {{}}, True)
copy = forks(["hub", "b", "\\udcff"], {{"MARK": "m"}}, {is_heard})
print(other.wait(10), copy.wait(10), copy.pid)
if {is_heard}:
    print(copy.stderr.read().decode(), file=sys.stderr)
print(forks(["hub", "c"], {{}}, False).wait(10), work)
""")

    first, second = done.stdout.splitlines()
    copy, again = (json.loads(line) for line in done.stderr.splitlines() if line)
    assert (first, second) == (f"7 7 {copy['pid']}", "7 []")  # the second time it is a plain copy
    assert (copy["argv"], copy["MARK"]) == (["crawler", "hub", "b", "\udcff"], "m")
    assert (copy["session"], copy["work"], again["work"]) == (copy["pid"], [copy["pid"]], [])
    assert (copy["open"], copy["term"], copy["blocked"], copy["is_heard"]) == ([0, 1, 2], "0", 0, is_heard)


def test_a_prepared_copy_that_nobody_needs_ends(script):
    done = script(
        """
forks = Forks(lambda _: print("never"))
forks.prepare("hub", lambda: None)
before = len(descriptors())
[ready] = forks._ready.values()
forks.close()
print(ready.poll(), before - len(descriptors()), gc.isenabled())
""".replace("forks = ", "import gc; forks = ", 1)
    )

    assert done.stdout == "0 4 True\n", done.stderr


@pytest.mark.parametrize("how", ["os._exit(3)", "1 / 0"])
def test_what_goes_wrong_with_a_prepared_copy_is_no_hindrance(script, how):
    done = script(f"""
def work():
    {how}

forks = Forks(lambda _: 7)
forks.prepare("hub", work)
[ready] = forks._ready.values()
ready.wait(1 if "exit" in {how!r} else 0)
print(forks(["hub"], {{}}, True).wait(10))
""")

    assert done.stdout == "7\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("is_heard", [False, True])
def test_copies_hear_of_the_death_of_a_parent_that_was_killed(tmp_path, is_heard):
    """None of them holds what another one waits for the end of."""
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    parent = subprocess.Popen(
        [sys.executable, "-c", START + f"""
def main(arguments):
    life = open("alive", "w")
    life.write("x")
    life.flush()
    return len(sys.stdin.read())

forks = Forks(main)
forks.prepare("hub", lambda: None)
copies = [forks(["hub"], {{}}, {is_heard}) for _ in range(3)]
time.sleep(60)
"""], cwd=tmp_path,
    )  # fmt: skip

    with open(pipe) as life:
        assert [life.read(1) for _ in range(3)] == ["x"] * 3
        parent.kill()
        parent.wait()
        assert life.read() == ""  # ends when all three have ended
