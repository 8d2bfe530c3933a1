"""What this machine lacks is told from what a host does wrong. Real limits, in processes of their own, wherever there are such."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
import textwrap

import pytest
import requests
import urllib3

from crawler.errors import MachineShort, StorageError
from crawler.machine.shortage import BY_ERRNO, KINDS, machine_short, short_of, shortage_by_errno, shortage_of

HERE = "127.0.0.1"
TIME = 60.0  # s


def child(code: str, *prefix: str) -> str:
    """Run code in a new interpreter; returns what it prints."""
    ran = subprocess.run(
        [*prefix, sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=TIME, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def has_namespaces() -> bool:
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.run([unshare, "-n", "true"], capture_output=True, check=False).returncode == 0


in_namespace = pytest.mark.skipif(not has_namespaces(), reason="needs a network namespace, which only root may make")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")


def test_each_kind_names_the_limit_and_the_next_step():
    for kind in KINDS:
        said = str(short_of(kind, "no route leads anywhere"))
        assert said.startswith("this machine ")
        assert said.count(";") == 1
        assert "{" not in said


def wrapped_by_requests(inner: Exception) -> Exception:
    return requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", inner))


def caused_by(inner: Exception) -> Exception:
    error = ValueError("something else")
    error.__cause__ = inner
    return error


@pytest.mark.parametrize("wrap", [lambda inner: inner, wrapped_by_requests, caused_by], ids=["bare", "requests", "cause"])
@pytest.mark.parametrize("number", sorted(BY_ERRNO))
def test_an_error_of_the_system_is_found_in_whatever_wraps_it(number, wrap):
    short = shortage_of(wrap(OSError(number, os.strerror(number))), HERE)

    assert short is not None
    assert short.lack == KINDS[BY_ERRNO[number]].lack


@pytest.mark.parametrize("error", [
    MemoryError(), RuntimeError("can't start new thread"), socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"),
])  # fmt: skip
def test_memory_and_threads_are_lacking_without_an_errno(error):
    assert shortage_of(error) is not None


@pytest.mark.parametrize("error", [
    ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ConnectionResetError(errno.ECONNRESET, "reset"), TimeoutError("late"),
    OSError(errno.EHOSTUNREACH, "No route to host"), socket.gaierror(socket.EAI_NONAME, "unknown"), OSError("no number"),
    RuntimeError("some other"), ValueError("wrong"), BrokenPipeError(errno.EPIPE, "pipe"), PermissionError(errno.EACCES, "no"),
], ids=repr)  # fmt: skip
def test_what_a_host_or_a_stage_does_wrong_is_no_shortage(error):
    assert shortage_of(error, HERE) is None  # this machine has a route to itself


@pytest.mark.parametrize("number", [socket.EAI_AGAIN, socket.EAI_FAIL])
def test_a_name_server_that_does_not_answer_is_no_lack_where_there_is_a_route(number, monkeypatch):
    """That this machine has a route, or none, cannot be arranged without a network of its own."""
    error = socket.gaierror(number, "no answer")

    monkeypatch.setattr("crawler.machine.shortage.has_route", lambda: True)
    assert shortage_of(error) is None
    monkeypatch.setattr("crawler.machine.shortage.has_route", lambda: False)
    assert shortage_of(error).lack == "has no network"


def test_an_address_that_no_address_of_ours_leads_to_is_no_lack_of_ports():
    assert shortage_by_errno(errno.EADDRNOTAVAIL) is None
    assert shortage_by_errno(errno.EADDRNOTAVAIL, HERE) is not None


@pytest.mark.parametrize(("error", "is_short"), [
    (OSError(errno.EMFILE, "Too many open files"), True),
    (short_of("threads"), True),
    (StorageError("cannot write"), False),
    (MemoryError(), False),                       # of a stage: the item may be what is too large
    (ValueError("wrong"), False),
])  # fmt: skip
def test_a_stage_fails_of_the_machine_only_by_errors_of_the_system(error, is_short):
    assert isinstance(machine_short(error), MachineShort) == is_short


def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one():
    said = child("""
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 700))
        from crawler.machine.shortage import open_files, provide_open_files
        provide_open_files(is_told=True)
        print(open_files(), *resource.getrlimit(resource.RLIMIT_NOFILE))
    """)
    assert said == "700 700 700"


CLIENTS = """
    import os, resource, socket, sys
    from crawler import Guard
    from crawler_stages.clients.contract import FetchFailed, Lacking, Limits
    from crawler_stages.clients.curl.client import CurlClient
    from crawler_stages.clients.requests.client import RequestsClient
    limits = Limits(timeout=2, connect_timeout=1, min_rate=0, max_bytes=1 << 20, max_ratio=200, max_header_bytes=65536)

    def said(client, url):
        try:
            client.get(url, {})
        except Lacking as lacking:
            return lacking.short.lack
        except FetchFailed as failed:
            return type(failed).__name__
"""


@pytest.mark.slow
@pytest.mark.parametrize("client", ["CurlClient", "RequestsClient"])
@pytest.mark.parametrize("left", [0, 1, 3])
def test_a_client_without_open_files_says_so_of_connections_and_names(client, left):
    found = child(
        CLIENTS
        + f"""
    server = socket.create_server(("127.0.0.1", 0))
    client = {client}(limits, Guard(lambda host: True))
    said(client, "http://127.0.0.1:1/")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    taken = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        pass
    for number in taken[:{left}]:
        os.close(number)
    print(said(client, f"http://127.0.0.1:{{server.getsockname()[1]}}/"), said(client, "http://name.invalid/"), sep=",")
    """
    )
    of_address, of_name = found.split(",")
    # With one left, pycurl cannot copy the socket that it is given; a name takes a few.
    assert of_address == ("TimedOut" if left == 3 or (left and client == "RequestsClient") else "is short of open files")
    if left == 0:
        assert of_name == "is short of open files"


@as_root
@pytest.mark.parametrize("client", ["CurlClient", "RequestsClient"])
def test_a_client_for_which_no_thread_can_be_started_says_so(client):
    found = child(
        CLIENTS
        + f"""
    client = {client}(limits, Guard(lambda host: True))
    said(client, "http://127.0.0.1:1/")
    os.setuid(54321)                     # a user of which there are no other processes
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    print(said(client, "http://localhost.localdomain:1/"))
    """
    )
    assert found == "is short of threads"


@in_namespace
@pytest.mark.parametrize("client", ["CurlClient", "RequestsClient"])
def test_a_machine_without_a_network_is_told_from_hosts_that_are_down(client):
    found = child(CLIENTS + f"""
    client = {client}(limits, Guard(lambda host: True))
    urls = ("http://93.184.216.34/", "http://[2606:2800:220:1::1]/", "http://www.example.org/")
    print(*(said(client, url) for url in urls), sep=",")
    os.system("ip link set lo up; ip addr add 10.1.2.3/24 dev lo; ip route add default dev lo")
    print(*(said(client, url) for url in ("http://10.1.2.3:1/", "http://[2606:2800:220:1::1]/")), sep=",")
    """, "unshare", "-n")  # fmt: skip
    cut_off, connected = found.split("\n")
    assert cut_off == "has no network,has no network,has no network"
    assert connected == "ConnectFailed,ConnectFailed"  # refused; and without IPv6, where there is IPv4


@in_namespace
@pytest.mark.parametrize("client", ["CurlClient", "RequestsClient"])
def test_a_machine_without_free_ports_says_so(client):
    found = child(CLIENTS + f"""
    os.system("ip link set lo up; mount -t proc proc /proc; echo 50000 50003 > /proc/sys/net/ipv4/ip_local_port_range")
    server = socket.create_server(("127.0.0.1", 8000))
    taken = [socket.create_connection(("127.0.0.1", 8000)) for _ in range(2)]
    client = {client}(limits, Guard(lambda host: True))
    try:
        while True:
            taken.append(socket.create_connection(("127.0.0.1", 8000)))
    except OSError:
        pass
    print(said(client, "http://127.0.0.1:8000/"))
    """, "unshare", "-n", "-m")  # fmt: skip
    assert found == "is short of ports"
