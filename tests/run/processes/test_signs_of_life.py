"""A child that gives no sign of life is ended and started again."""

import os
import re
import signal

import pytest

from crawler.run.processes import supervisor as supervising
from crawler.run.processes.supervisor import Supervisor

READY_AND_WAIT = "print('ready', file=sys.stderr, flush=True); [time.sleep(0.1) for _ in range(600)]"


SIGN_OF_LIFE = "from crawler.worker import pulse\nfrom crawler.worker.marks import given\n"
HELD_UP = """
import re
from crawler.worker import pulse
from crawler.worker.marks import given
pulse.start(given())
print('ready', file=sys.stderr, flush=True)
def search():
    return re.search('(a+)+$', 'a' * 60 + '!')      # takes years, and holds up every thread
search()
"""


@pytest.mark.slow
def test_a_child_whose_threads_are_all_held_up_is_ended_and_told_of_with_its_place(stand, caplog):
    stand.supervisor = Supervisor(stand._died, stand.lines.put, frozen=2.0)
    stand.script(HELD_UP)
    child = stand.start(is_endless=True)
    assert stand.line().endswith("ready")

    stand.watch_until(lambda: stand.deaths)

    assert re.search(r"gave no sign of life for \d s at \S*__main__.py:\d+ in search and was ended", child.ending)


@pytest.mark.slow
def test_a_child_that_is_stopped_is_ended_as_well(stand, monkeypatch):
    monkeypatch.setattr(supervising, "ABORTING", 0.2)
    stand.supervisor = Supervisor(stand._died, stand.lines.put, frozen=2.0)
    stand.script(f"{SIGN_OF_LIFE}pulse.start(given())\n{READY_AND_WAIT}")
    child = stand.start(is_endless=True)
    stand.line()
    os.kill(child.pid, signal.SIGSTOP)

    stand.watch_until(lambda: stand.deaths)

    assert re.fullmatch(r"gave no sign of life for \d s and was ended", child.ending)


@pytest.mark.slow
def test_a_child_that_gives_signs_of_life_is_left_alone_and_one_that_never_did_as_well(stand):
    stand.supervisor = Supervisor(stand._died, stand.lines.put, frozen=1.5)
    stand.script(
        f"{SIGN_OF_LIFE}if 'alive' in sys.argv:\n    pulse.start(given())\n"
        "print('ready', file=sys.stderr, flush=True)\ntime.sleep(2.5)\n"
    )
    for name in ("alive", "mute"):
        stand.start(name)
    stand.line(), stand.line()

    stand.watch_until(lambda: not any(child.process for child in stand.supervisor._children))

    assert [child.ending for child in stand.supervisor._children] == ["ended with exit code 0"] * 2
