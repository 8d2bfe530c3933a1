from __future__ import annotations

import multiprocessing
import queue
import subprocess
import sys
import threading
from multiprocessing.managers import BaseManager

import pytest
from memory_broker import KEY, QUEUES

from crawler.errors import CallRefused, HubLost, HubUnreachable, KeyRefused, UsageError
from crawler.hub.manager import QueueManager
from crawler.hub.server import HubServer
from crawler.items import New

STOCK = """
import sys
from multiprocessing.managers import BaseManager

class QueueManager(BaseManager):
    pass

QueueManager.register("get_task_queue")
QueueManager.register("get_result_queue")
host, port = sys.argv[1].rsplit(":", 1)
manager = QueueManager(address=(host, int(port)), authkey=sys.stdin.read().encode())
manager.connect()
task, result = manager.get_task_queue(), manager.get_result_queue()
while not task.empty():
    number = task.get(timeout=1)
    result.put(f"{number}的平方是{number * number}")
"""
REFUSED = """
import queue
too_big = "x" * (17 << 20)
for act in (lambda: task.get(timeout=0.01), task.get_nowait, lambda: task.put(manager.__class__), lambda: task.put(too_big)):
    try:
        act()
    except Exception as error:
        print(type(error).__name__)
print(task.qsize(), task.full(), str(task))
task.put({"a": [1, 2.5, None, True], "b": b"x", "c": (1,)})
print(task.get())
"""


class Classic(QueueManager):
    pass


Classic.register("get_task_queue")
Classic.register("get_result_queue")
Classic.register("get_nothing_queue")


@pytest.fixture
def manager(hub):
    manager = Classic(address=(hub.place.host, hub.place.port), authkey=KEY)
    manager.connect()
    return manager


def run_stock(script: str, address: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-W", "error", "-c", script, address], input=KEY.decode(), capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.slow
def test_the_classic_worker_of_the_standard_library_does_its_tasks(hub, client):
    client.put([New("task", bytes([number])) for number in range(10)])  # small numbers are themselves in msgpack

    done = run_stock(STOCK, str(hub.place))

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(body[1:].decode() for body in client.take("result", 20)) == sorted(f"{n}的平方是{n * n}" for n in range(10))


@pytest.mark.slow
def test_the_standard_librarys_client_hears_its_own_exceptions(hub):
    done = run_stock(STOCK + REFUSED, str(hub.place))

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Empty",
        "Empty",
        "ValueError",
        "ValueError",
        f"0 False <queue 'task' of the hub at {hub.place}>",
        "{'a': [1, 2.5, None, True], 'b': b'x', 'c': [1]}",
    ]


def test_the_classic_three_steps_work_over_our_wire(manager, client):
    task, result = manager.get_task_queue(), manager.get_result_queue()

    task.put({"n": 3})
    task.put_nowait("zwei")

    assert (task.qsize(), task.empty(), task.full(), result.empty()) == (2, False, False, True)
    assert [task.get(), task.get(timeout=1)] == [{"n": 3}, "zwei"]
    with pytest.raises(queue.Empty):
        task.get_nowait()
    with pytest.raises(queue.Empty):
        task.get(timeout=0.01)


def test_a_full_queue_says_so_and_takes_more(manager):
    task = manager.get_task_queue()
    for number in range(6):
        task.put(number)

    assert task.full() is True
    assert task.qsize() == 6


def test_a_blocked_get_is_woken_by_a_put(manager):
    task, got = manager.get_task_queue(), []
    waiting = threading.Thread(target=lambda: got.append(task.get()))
    waiting.start()

    task.put("late")

    waiting.join(10)
    assert got == ["late"]


def test_what_is_refused_is_refused_in_words(manager):
    task = manager.get_task_queue()

    with pytest.raises(CallRefused, match="no 'get_nothing_queue' on this hub; it has get_result_queue, get_task_queue"):
        manager.get_nothing_queue()
    with pytest.raises(CallRefused, match="this cannot be sent"):
        task.put(object())
    with pytest.raises(CallRefused, match=r"a timeout of -1 cannot be waited for"):
        task.get(timeout=-1)


def test_a_proxy_goes_to_another_process(manager, hub):
    task = manager.get_task_queue()
    context = multiprocessing.get_context("fork")

    child = context.Process(target=task.put, args=("from the child",))
    child.start()
    child.join(10)

    assert task.get(timeout=5) == "from the child"


def test_a_wrong_key_and_no_hub_are_told_apart(hub):
    with pytest.raises(KeyRefused):
        Classic(address=str(hub.place), authkey=b"wrong" * 8).connect()
    with pytest.raises(HubUnreachable):
        Classic(address="unix:/nowhere/hub.sock", authkey=KEY).connect()


@pytest.mark.slow
def test_a_hub_that_was_killed_and_started_again_can_be_used_again(start_hub):
    process, address = start_hub()
    host, port = address.rsplit(":", 1)
    first = Classic(address=(host, int(port)), authkey=KEY)
    first.connect()
    task = first.get_task_queue()
    task.put(1)

    process.kill()
    process.wait()
    with pytest.raises((HubLost, HubUnreachable)):
        task.put(2)
    start_hub(address)
    again = Classic(address=(host, int(port)), authkey=KEY)
    again.connect()

    new = again.get_task_queue()
    new.put("new")
    assert new.get() == "new"
    task.put("the old proxy finds its way back too")
    assert new.get() == "the old proxy finds its way back too"


@pytest.mark.slow
def test_a_stock_manager_of_this_process_works_after_ours_has_connected(hub, start_hub):
    class Stock(BaseManager):
        pass

    Stock.register("get_task_queue")
    stock = Stock(address=(hub.place.host, hub.place.port), authkey=KEY)
    stock.connect()
    task = stock.get_task_queue()

    task.put([1, "zwei"])

    assert task.get() == [1, "zwei"]


def test_a_manager_with_a_broker_is_a_hub(broker):
    server = QueueManager(address="127.0.0.1:0", authkey=KEY, broker=broker, queues=QUEUES).get_server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    client = Classic(address=server.address, authkey=KEY)
    client.connect()

    assert isinstance(server, HubServer)
    assert client.get_task_queue().empty() is True
    server.stop()
    thread.join(10)


def test_a_manager_without_a_broker_says_what_to_do():
    with pytest.raises(UsageError, match="start a hub with 'crawler hub'"):
        QueueManager(address="127.0.0.1:0", authkey=KEY).get_server()
    with pytest.raises(UsageError, match="start it with 'crawler hub'"):
        QueueManager(address="127.0.0.1:0", authkey=KEY).start()
