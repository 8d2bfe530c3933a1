"""The disk under a real crawl fills up, fails, or is somebody else's: what was acknowledged is there, and the rest goes on."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from crawler.errors import CrawlerError
from crawler.hub.client import HubClient
from crawler.items import New, Verdict
from tests.disks import mounted
from tests.e2e.conftest import FAST, Shell, expected, statuses
from tests.e2e.test_kills import children
from tests.site import Site

pytestmark = pytest.mark.slow


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What it has said up to a line with these words; the test's time limit ends the wait."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended with {process.wait()} and never said {words!r}: {said}")


# ---- full


def test_a_crawl_on_a_disk_that_fills_up_goes_on_by_itself_once_there_is_room(shell: Shell, site: Site) -> None:
    site.pages["/large"] = Random(1).randbytes(3 << 20).hex()  # 3 MiB at least, however it is packed
    site.pages["/"] = str(site.pages["/"]) + '<a href="/large">x</a>'
    with mounted(shell.directory / "disk", 64) as disk:
        site.hold("/p/25.html")
        site.hold("/large")
        apart = ("-s", "stages.parse.chain=false")  # so that the large page is stored by the hub
        crawl = shell.start("run", site.url, *FAST, *apart, "--data", "disk/data", "-o", "disk/pages.jsonl")
        site.wait_for_request("/p/25.html")
        site.wait_for_request("/large")

        disk.fill()
        site.release("/p/25.html")
        read_until(crawl, "hub.sqlite3 is full")  # the hub lives on its ballast …
        refused = shell.run("put", "urls", site.link("/p/26.html"), "--data", "disk/data")
        disk.fill()  # … of which somebody else takes what is left
        site.release("/large")
        read_until(crawl, "nothing more can be stored")
        counted = shell.run("status", "--data", "disk/data")
        assert crawl.poll() is None
        disk.empty()
        _, said = crawl.communicate(timeout=60)

        assert crawl.returncode == 0, said
        assert refused.returncode == 75, refused.stderr
        assert "MiB free, 20 needed); nothing was put: make room there and repeat the command" in refused.stderr
        assert "there is room again on the disk of" in said
        assert "waits for room" not in said  # the hub has said it
        assert counted.returncode == 0, counted.stderr
        assert "no room on the hub's disk" in counted.stdout
        rows = shell.rows("disk/pages.jsonl")
        assert statuses(rows) == expected(site)
        assert len(rows) == len(expected(site))
        assert not (shell.directory / "disk/data/hub.sqlite3-ballast").exists()


def test_a_crawl_whose_output_cannot_even_be_opened_for_lack_of_room_waits_for_it(shell: Shell, site: Site) -> None:
    with mounted(shell.directory / "disk", 4) as disk:
        disk.fill()
        crawl = shell.start("run", site.url, *FAST, "-o", "disk/pages.jsonl")

        read_until(crawl, "store waits for room: ")
        disk.empty()
        _, said = crawl.communicate(timeout=60)

        assert crawl.returncode == 0, said
        assert statuses(shell.rows("disk/pages.jsonl")) == expected(site)


def test_a_crawl_whose_output_is_on_a_full_disk_waits_for_room(shell: Shell, site: Site) -> None:
    with mounted(shell.directory / "disk", 4) as disk:
        site.hold("/p/25.html")
        crawl = shell.start("run", site.url, *FAST, "-o", "disk/pages.jsonl")
        site.wait_for_request("/p/25.html")

        disk.fill()
        site.release("/p/25.html")
        said = read_until(crawl, "store waits for room")
        read_until(crawl, "store waits for room: ")  # the progress line
        status = shell.run("status")
        disk.empty()
        crawl.communicate(timeout=60)

        assert crawl.returncode == 0
        assert "pages.jsonl: No space left on device; nothing is lost, and it goes on by itself once there is" in said
        assert "store waits for room: " in status.stdout
        rows = shell.rows("disk/pages.jsonl")
        assert statuses(rows) == expected(site)
        assert len(rows) == len(expected(site))


def test_a_crawl_is_stopped_in_order_while_its_disk_is_full(shell: Shell, site: Site) -> None:
    site.pages["/last.html"] = "<title>what no other page leads to</title>"
    site.pages["/p/25.html"] = str(site.pages["/p/25.html"]) + '<a href="/last.html">x</a>'
    with mounted(shell.directory / "disk", 64) as disk:
        site.hold("/p/25.html")
        crawl = shell.start("run", site.url, *FAST, "--data", "disk/data", "-o", "pages.jsonl")
        site.wait_for_request("/p/25.html")
        disk.fill()
        site.release("/p/25.html")
        read_until(crawl, "hub.sqlite3 is full")

        crawl.send_signal(signal.SIGTERM)
        _, said = crawl.communicate(timeout=60)
        assert crawl.returncode == 143, said
        disk.empty()
        again = shell.run("run", *FAST, "--data", "disk/data", "-o", "pages.jsonl")

        assert again.returncode == 0, again.stderr
        assert statuses(shell.rows("pages.jsonl")) == expected(site)


# ---- broken


@contextmanager
def failing(pid: int, call: str, after: int = 1) -> Iterator[None]:
    """From its `after`-th next such system call on, each of this process fails with EIO, as a dying disk has it."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("optional: install strace to let system calls fail")
    words = [strace, "-f", "-p", str(pid), "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={after}+"]
    tracer = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            pytest.skip(f"strace cannot attach here: {said.strip()}")
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_a_disk_that_fails_under_a_crawl_ends_it_with_75_and_the_next_one_goes_on(shell: Shell, site: Site, call: str) -> None:
    for path in ("/p/25.html", "/p/26.html"):  # one of them is still to be done when the disk fails
        site.hold(path)
    crawl = shell.start("run", site.url, *FAST, "-o", "pages.jsonl")
    for path in ("/p/25.html", "/p/26.html"):
        site.wait_for_request(path)

    with failing(children(crawl)["hub"], call):
        site.release("/p/25.html")
        _, said = crawl.communicate(timeout=60)
    site.release("/p/26.html")
    again = shell.run("run", site.url, *FAST, "-o", "pages.jsonl")

    assert crawl.returncode == 75, said
    assert "hub.sqlite3 failed:" in said
    assert again.returncode == 0, again.stderr
    assert "resuming" in again.stderr
    rows = shell.rows("pages.jsonl")
    assert statuses(rows) == expected(site)
    assert len(rows) == len(expected(site))


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
@pytest.mark.parametrize("after", [1, 26])
def test_nothing_is_acknowledged_by_a_disk_that_fails(shell: Shell, call: str, after: int) -> None:
    hub = shell.start_hub()
    with failing(hub.pid, call, after), client(shell) as broker:
        acknowledged = put_until_it_fails(broker)
        _, said = hub.communicate(timeout=30)
    assert hub.returncode == 75
    assert sum("hub.sqlite3 failed:" in line for line in said.splitlines()) == 1, said
    assert "Traceback" not in said

    shell.start_hub()
    with client(shell) as broker:
        found = [int(body) for body in everything(broker)]

    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1  # the one it has said nothing of
    assert (len(acknowledged) > 0) == (after > 1)


def put_until_it_fails(broker: HubClient) -> list[int]:
    """Numbers that the hub has said are on disk."""
    acknowledged: list[int] = []
    while True:
        try:
            verdicts = broker.put([New("task", b"%d" % len(acknowledged))])
        except CrawlerError:
            return acknowledged
        assert verdicts == [Verdict.ACCEPTED]
        acknowledged.append(len(acknowledged))


def everything(broker: HubClient) -> list[bytes]:
    found: list[bytes] = []
    while got := broker.take("task", 100):
        found += got
    return found


def client(shell: Shell) -> HubClient:
    data = shell.directory / "crawler-data"
    key = (data / "authkey").read_text().strip().encode()
    return HubClient((data / "hub.address").read_text().strip(), key, patience=0.0)


# ---- somebody else's


def test_a_second_hub_on_a_store_says_so_and_leaves_the_first_alone(shell: Shell) -> None:
    shell.start_hub()

    second = shell.run("hub", "--address", "127.0.0.1:0")

    assert second.returncode == 2
    assert "another hub is using" in second.stderr
    assert shell.run("put", "task", "1").returncode == 0


def test_the_socket_of_a_hub_that_was_killed_is_no_obstacle(shell: Shell) -> None:
    address = f"unix:{shell.directory / 'h.sock'}"
    first = shell.start_hub("--address", address)
    shell.run("put", "task", "1")
    first.kill()
    first.communicate()
    assert (shell.directory / "h.sock").exists()

    shell.start_hub("--address", address)

    assert shell.run("take", "task").stdout == "1\n"
