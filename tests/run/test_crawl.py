from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker, store_path
from crawler.errors import StorageError, UsageError
from crawler.hub.client import HubClient
from crawler.hub.server import HubServer
from crawler.items import Done, Failed, New, Step
from crawler.run.crawl import OLD, Beginning, Crawl, begin, socket_address
from crawler.run.processes.supervisor import ChildFailed

KEY = b"0123456789abcdef0123456789abcdef"
QUEUES = (QueueSpec("urls", keyed=True, is_read=True), QueueSpec("records"))
TIME = 20.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteBroker]:
    broker = SqliteBroker(str(store_path(tmp_path)), QUEUES)
    yield broker
    broker.close()


def start(data: Path, is_fresh: bool = False) -> Beginning:
    return begin(data, QUEUES, ["urls"], is_fresh, Politeness(delay=0.0))


def previous(data: Path) -> Path:
    return Path(f"{store_path(data)}{OLD}")


def test_the_first_crawl_finds_nothing_or_an_empty_store(tmp_path):
    assert start(tmp_path) == Beginning.FIRST

    SqliteBroker(str(store_path(tmp_path)), QUEUES).close()

    assert start(tmp_path) == Beginning.FIRST
    assert store_path(tmp_path).exists()


@pytest.mark.parametrize("failed", [None, Failed(0, "later", after=60.0)])
def test_work_that_is_left_is_resumed(tmp_path, store, failed):
    store.put([New("urls", b"a")])
    if failed is not None:
        (lease,) = store.step(Step("w", 1, "urls", 1)).leases
        store.step(Step("w", 2, failed=[Failed(lease.token, "later", after=60.0)]))
    store.close()

    assert start(tmp_path) == Beginning.RESUMED
    assert not previous(tmp_path).exists()


def finish(store: SqliteBroker) -> None:
    """A crawl of two URLs: one is done, one is dead."""
    store.put([New("urls", b"a"), New("urls", b"b")])
    a, b = store.step(Step("w", 1, "urls", 2)).leases
    store.step(Step("w", 2, done=[Done(a.token)], failed=[Failed(b.token, "gone", final=True)]))
    store.close()


def test_after_a_finished_crawl_the_store_is_set_aside(tmp_path, store):
    finish(store)
    Path(f"{previous(tmp_path)}-wal").write_bytes(b"the log of a crawl before that")

    assert start(tmp_path) == Beginning.FRESH

    assert not store_path(tmp_path).exists()
    assert not Path(f"{previous(tmp_path)}-wal").exists()
    kept = SqliteBroker(str(previous(tmp_path)), QUEUES)
    assert [queue.accepted for queue in kept.stats().queues] == [2, 0]
    kept.close()


def test_a_crawl_that_fetched_nothing_does_not_displace_the_store_of_one_that_did(tmp_path, store):
    store.step(Step("w", 1, counters={"fetch/status/200": 3}))
    finish(store)
    assert start(tmp_path) == Beginning.FRESH
    good = previous(tmp_path).read_bytes()

    for _ in range(2):  # two hosts with a typo
        finish(SqliteBroker(str(store_path(tmp_path)), QUEUES))
        assert start(tmp_path) == Beginning.FRESH

    assert previous(tmp_path).read_bytes() == good
    assert not store_path(tmp_path).exists()


def test_a_fresh_one_is_begun_over_unfinished_work_when_that_is_asked_for(tmp_path, store):
    store.put([New("urls", b"a")])
    store.close()

    assert start(tmp_path, is_fresh=True) == Beginning.FRESH
    assert previous(tmp_path).exists()


def test_a_store_that_cannot_be_read_stops_all_but_a_fresh_start(tmp_path):
    store_path(tmp_path).write_bytes(b"no database at all" * 1000)

    with pytest.raises(StorageError):
        start(tmp_path)

    assert start(tmp_path, is_fresh=True) == Beginning.FRESH


@pytest.mark.slow
@pytest.mark.parametrize("is_fresh", [False, True])
def test_a_store_in_use_is_left_alone(tmp_path, store, is_fresh):
    store.put([New("urls", b"a")])

    with pytest.raises(UsageError):
        start(tmp_path, is_fresh)

    assert store_path(tmp_path).exists()


# ---- with processes


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRAWLER_AUTHKEY", KEY.decode())
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
    return tmp_path


@pytest.fixture
def crawl(data: Path) -> Iterator[Callable[..., Crawl]]:
    made: list[Crawl] = []

    def make(*arguments: str) -> Crawl:
        address = socket_address(data)
        more = ("--while-stdin", "--log-level", "CRITICAL", "--data", str(data))
        made.append(Crawl(HubClient(address, KEY, patience=0.5), address, [*(arguments or ("hub", "--address", address)), *more]))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_what_was_leased_when_the_last_run_died_is_free(tmp_path, store):
    store.put([New("urls", b"a")])
    assert store.step(Step("of the last run", 1, "urls", 1, ttl=600.0)).leases
    store.close()

    assert start(tmp_path) == Beginning.RESUMED

    again = SqliteBroker(str(store_path(tmp_path)), QUEUES)
    (lease,) = again.step(Step("w", 1, "urls", 1)).leases
    again.close()
    assert lease.attempt == 2


def watch_until(crawl: Crawl, holds: Callable[[], object]) -> None:
    for _ in range(int(TIME / 0.02)):
        if crawl.watch() is not None and holds():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not come to pass")


def end(pid: int, number: int) -> None:
    """Signal a child and wait until it is dead, leaving it to its parent to notice."""
    os.kill(pid, number)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.slow
def test_a_hub_that_is_killed_or_told_to_stop_is_there_again_with_all_it_had(crawl):
    here = crawl()
    here.start_hub()
    here.hub.put([New("records", b"\x01")])

    for number in (signal.SIGKILL, signal.SIGTERM):
        pid = here._hub.pid
        end(pid, number)
        watch_until(here, lambda pid=pid: here._hub.pid != pid)

    records = next(queue for queue in here.watch().queues if queue.name == "records")
    assert records.ready == 1
    here.stop()
    assert here.restarts == {"hub": 2}


@pytest.mark.slow
def test_a_question_is_answered_by_a_hub_that_has_to_be_started_again_for_it(crawl):
    here = crawl()
    here.start_hub()
    end(here._hub.pid, signal.SIGKILL)

    assert here.insist(lambda: here.hub.drained([])) is True
    assert here.hub.stats().is_drained


@pytest.mark.slow
def test_a_worker_that_died_holds_nothing_any_more(crawl, data):
    here = crawl()
    here.start_hub()
    here.start_stage("square", 1, ["--hub", socket_address(data), "--while-stdin", "--log-level", "CRITICAL"])
    pid = here._stages["square"][0].pid
    here.hub.put([New("records", b"\x01")])
    worker = f"square@{socket.gethostname()}:{pid}:abc"
    assert here.hub.step(Step(worker, 1, "records", 1, ttl=600.0)).leases

    end(pid, signal.SIGKILL)
    here.watch()

    (again,) = here.hub.step(Step("other", 1, "records", 1, wait=1.0)).leases
    assert again.attempt == 2


@pytest.mark.slow
def test_a_worker_that_waits_at_the_hub_is_answered_when_it_is_to_end(crawl, data):
    here = crawl()
    here.start_hub()
    here.start_stage("square", 1, ["--hub", socket_address(data), "--while-stdin", "--log-level", "CRITICAL"])
    mark = f"@{socket.gethostname()}:{here._stages['square'][0].pid}:"
    watch_until(here, lambda: any(mark in worker.name for worker in here.hub.stats().workers))
    with HubClient(socket_address(data), KEY, patience=0.5) as waits:
        thread = threading.Thread(target=waits.step, args=(Step(f"square{mark}abc", 1, "records", 1, wait=20.0),))
        thread.start()
        watch_until(here, lambda: any(worker.name.endswith(":abc") for worker in here.hub.stats().workers))

        here.stop_stages(are_idle=True)

        thread.join(TIME / 2)
        assert not thread.is_alive()


@pytest.mark.slow
def test_a_hub_that_gives_up_says_so_and_is_not_waited_for(crawl):
    here = crawl("hub", "--address", "nowhere")

    with pytest.raises(ChildFailed) as failure:
        here.start_hub()

    assert failure.value.code == 2


def test_a_hub_that_somebody_else_runs_there_is_not_touched(crawl, data, store):
    server = HubServer(store, QUEUES, socket_address(data), KEY)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    store.put([New("urls", b"a")])
    (lease,) = store.step(Step("theirs", 1, "urls", 1)).leases

    with pytest.raises(UsageError, match="a hub is running at unix:"):
        crawl().start_hub()

    assert store.extend("theirs", [lease.token], 30.0) == [True]
    server.stop()
    serving.join(TIME)


@pytest.mark.slow
def test_what_workers_have_used_of_the_processors_is_known_while_all_of_them_run(crawl, data):
    here = crawl()
    here.start_hub()
    assert here.cpu("square") == 0

    for processes in (1, 2):
        here.start_stage("square", processes, ["--hub", socket_address(data), "--while-stdin", "--log-level", "CRITICAL"])
    watch_until(here, lambda: here.cpu("square") > 0.1)

    assert [worker.name for worker in here._stages["square"]] == ["square", "square 2", "square 3"]
    end(here._stages["square"][1].pid, signal.SIGKILL)
    assert here.cpu("square") is None
