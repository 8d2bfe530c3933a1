"""TLS under the hub's wire: who gets through, who does not, and what each side says of it."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from memory_broker import KEY, QUEUES, MemoryBroker
from tls_parts import ask, client_of, taken

from crawler.errors import CallRefused, HubLost, TlsRefused
from crawler.hub import connect, door, wire
from crawler.hub.certificates import make
from crawler.hub.client import HubClient
from crawler.hub.manager import QueueManager
from crawler.hub.server import HubServer
from crawler.hub.tls import Tls, for_client, for_hub, speaks_tls
from crawler.hub.wire import Connection, prove
from crawler.items import Done, New, Step, Verdict

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
ROLES = ("worker", "producer", "admin")


@pytest.fixture
def hub(serve: Callable[..., HubServer], certs: Path) -> HubServer:
    return serve(tls=for_hub(certs))


def expired(folder: Path, certs: Path, name: str) -> Path:
    """The same CA, and a certificate from it that was good long ago."""
    taken(folder, *((certs, one, one) for one in ("ca", "hub", *ROLES) if one != name))
    make(folder, today=LONG_AGO)
    return folder


def tls_socket(hub: HubServer, tls: Tls) -> ssl.SSLSocket:
    return tls.wrap_client(socket.create_connection((hub.place.host, hub.place.port), timeout=5), "127.0.0.1")


# who gets through


def test_tasks_go_round_over_tls(hub: HubServer, certs: Path) -> None:
    with client_of(hub, for_client(certs, "admin")) as client:
        bodies = [b"%d" % n + b"x" * (200 << 10) for n in range(20)]
        assert client.put([New("task", body) for body in bodies]) == [Verdict.ACCEPTED] * 20

        leases = client.step(Step("w", 1, queue="task", want=20)).leases
        stepped = client.step(Step("w", 2, done=[Done(lease.token, [New("result", lease.item)]) for lease in leases]))

        assert list(stepped.verdicts) == [Verdict.DONE] * 20
        assert client.take("result", 20) == bodies


def test_it_is_tls_1_3_with_no_tickets_and_nothing_older(hub: HubServer, certs: Path) -> None:
    tls = for_client(certs, "admin")
    with tls_socket(hub, tls) as sock:
        connection = Connection(sock)
        connection.start_tls()
        prove(connection, KEY, first=False)
        assert ask(connection, 1, "drained", []) == [1, "ok", True]
        assert sock.version() == "TLSv1.3"
        assert sock.session is None or not sock.session.has_ticket

    tls.context.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.context.maximum_version = ssl.TLSVersion.TLSv1_2
    with tls_socket(hub, tls) as sock, pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        sock.do_handshake()


@pytest.mark.parametrize("role", ROLES)
def test_the_certificate_has_a_role_as_the_key_has(hub: HubServer, certs: Path, role: str) -> None:
    """The key is the admin's here, so what is refused is refused for the certificate."""
    with client_of(hub, for_client(certs, role)) as client:
        client.stats()
        for verb, has in (("dead", ("admin",)), ("put", ("admin", "producer")), ("extend", ("admin", "worker"))):
            arguments = {"dead": (), "put": ([New("task", b"\x01")],), "extend": ("w", [1], 1.0)}[verb]
            if role in has:
                getattr(client, verb)(*arguments)
            else:
                what = "speak as a worker" if verb == "extend" else f"call '{verb}'"
                with pytest.raises(CallRefused, match=f"the role '{role}' may not {what}"):
                    getattr(client, verb)(*arguments)


def test_a_key_of_a_lesser_role_counts_under_an_admins_certificate(serve: Callable[..., HubServer], certs: Path) -> None:
    hub = serve(tls=for_hub(certs), role_keys={"worker": b"w" * 32})

    with (
        HubClient(str(hub.place), b"w" * 32, patience=0.0, tls=for_client(certs, "admin")) as client,
        pytest.raises(CallRefused, match="the role 'worker' may not call 'put'"),
    ):
        client.put([New("task", b"\x01")])


def test_a_certificate_without_a_role_may_do_nothing_and_the_log_says_so(
    hub: HubServer, certs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from crawler.hub.authority import Authority

    authority = Authority.load(((certs / "ca.pem").read_bytes(), (certs / "ca.key").read_bytes()))
    folder = taken(tmp_path / "guest", (certs, "ca", "ca"))
    pems, _ = authority.issue("guest", [], datetime.now(UTC))
    (folder / "admin.pem").write_bytes(pems[0])
    (folder / "admin.key").write_bytes(pems[1])

    with (
        client_of(hub, for_client(folder, "admin")) as client,
        pytest.raises(CallRefused, match="the role 'none' may not call 'stats'"),
    ):
        client.stats()

    assert "names no role; it may do nothing" in caplog.text


def test_the_classic_manager_speaks_tls_with_a_directory_of_certificates(hub: HubServer, certs: Path) -> None:
    class Classic(QueueManager):
        pass

    Classic.register("get_task_queue")
    manager = Classic(address=(hub.place.host, hub.place.port), authkey=KEY, certs=certs)
    manager.connect()
    task = manager.get_task_queue()
    task.put("zwei")
    assert task.get(timeout=1) == "zwei"

    lesser = Classic(address=(hub.place.host, hub.place.port), authkey=KEY, certs=certs, role="worker")
    lesser.connect()
    with pytest.raises(CallRefused, match="the role 'worker' may not call 'put'"):
        lesser.get_task_queue().put("drei")


def test_a_manager_with_a_broker_serves_tls(broker: MemoryBroker, certs: Path) -> None:
    server = QueueManager(address=("127.0.0.1", 0), authkey=KEY, broker=broker, queues=QUEUES, certs=certs).get_server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with client_of(server, for_client(certs, "admin")) as client:
            assert client.drained() is True
    finally:
        server.stop()
        thread.join(10)


def test_a_unix_socket_has_no_tls_whatever_is_set(serve: Callable[..., HubServer], certs: Path, tmp_path: Path) -> None:
    hub = serve(f"unix:{tmp_path / 's'}", tls=for_hub(certs))

    with client_of(hub, None) as plain, client_of(hub, for_client(certs, "worker")) as configured:
        assert plain.drained() is configured.drained() is True
        assert configured.dead()  # no certificate was shown, so the key alone says who it is


# who does not


@pytest.mark.parametrize("case", ["ca", "expired", "role", "client expired", "client ca", "client is hub"])
def test_who_is_not_accepted_is_told_in_one_line(
    serve: Callable[..., HubServer], certs: Path, others: Path, tmp_path: Path, case: str
) -> None:
    good = certs
    theirs, ours, said = {
        "ca": (good, others, r"its certificate is not from the CA in .*/ca\.pem \(.*\); use the ca\.pem that was made with"),
        "expired": (expired(tmp_path / "a", good, "hub"), good, r"its certificate is not valid today \(certificate has expired\)"),
        "role": (taken(tmp_path / "b", (good, "ca", "ca"), (good, "worker", "hub")), good, "shows a certificate that is no hub's"),
        "client expired": (good, expired(tmp_path / "c", good, "admin"), r"refuses our certificate .*admin\.pem: it has expired"),
        "client ca": (good, taken(tmp_path / "d", (good, "ca", "ca"), (others, "admin", "admin")), "it is not from the hub's CA"),
        "client is hub": (good, taken(tmp_path / "e", (good, "ca", "ca"), (good, "hub", "admin")), "it is not made for clients"),
    }[case]
    hub = serve(tls=for_hub(theirs))

    with client_of(hub, for_client(ours, "admin")) as client, pytest.raises(TlsRefused, match=said) as refusal:
        client.stats()

    assert str(refusal.value).startswith(f"TLS with the hub at {hub.place} failed: ")
    assert "\n" not in str(refusal.value)


def test_the_hubs_certificate_must_be_for_the_name_it_is_called_by(
    serve: Callable[..., HubServer], certs: Path, tmp_path: Path
) -> None:
    from crawler.hub.authority import Authority

    authority = Authority.load(((certs / "ca.pem").read_bytes(), (certs / "ca.key").read_bytes()))
    folder = taken(tmp_path / "elsewhere", (certs, "ca", "ca"))
    pems, _ = authority.issue("hub", ["hub.example"], datetime.now(UTC))
    (folder / "hub.pem").write_bytes(pems[0])
    (folder / "hub.key").write_bytes(pems[1])
    hub = serve(tls=for_hub(folder))

    for name in ("127.0.0.1", "localhost"):
        client = HubClient(f"{name}:{hub.place.port}", KEY, patience=0.0, tls=for_client(certs, "admin"))
        with client, pytest.raises(TlsRefused, match=f"its certificate is not for {name}; .*--names {name}"):
            client.stats()


def test_a_client_that_shows_no_certificate_is_refused_and_logged(
    hub: HubServer, certs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certs / "ca.pem")
    tls = Tls(context, certs / "none.pem", certs / "ca.pem")

    with client_of(hub, tls) as client, pytest.raises(TlsRefused, match="the hub has seen none"):
        client.stats()

    words = "TLS failed (peer did not return a certificate); a client needs TLS 1.3 and a certificate of our CA"
    while words not in caplog.text:  # said in a thread of the hub's, about now; the test's time limit ends this
        time.sleep(0.01)


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x10" + b"x" * 16])
def test_a_client_without_tls_is_named_as_one(hub: HubServer, caplog: pytest.LogCaptureFixture, first: bytes) -> None:
    host, _, port = str(hub.place).rpartition(":")
    with socket.create_connection((host, int(port)), 10.0) as sock:
        sock.sendall(first)
        with suppress(ConnectionResetError):
            sock.recv(64)

    words = "TLS failed (it did not begin with TLS); a client needs TLS 1.3"
    while words not in caplog.text:  # said in a thread of the hub's, about now; the test's time limit ends this
        time.sleep(0.01)


def test_a_wrong_key_is_refused_inside_tls_too(hub: HubServer, certs: Path) -> None:
    from crawler.errors import KeyRefused

    with HubClient(str(hub.place), b"x" * 32, patience=0.0, tls=for_client(certs, "admin")) as client, pytest.raises(KeyRefused):
        client.stats()


def test_tls_to_a_plain_hub_is_explained(serve: Callable[..., HubServer], certs: Path) -> None:
    hub = serve()

    with (
        client_of(hub, for_client(certs, "admin")) as client,
        pytest.raises(TlsRefused, match=r"it does not speak TLS 1\.3 .*; start it with hub\.tls = true, or set hub\.tls = false"),
    ):
        client.stats()


@pytest.mark.slow
def test_a_plain_client_of_a_tls_hub_finds_out_why_nobody_speaks(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "HANDSHAKE_TIME", 0.1)
    monkeypatch.setattr(connect, "SILENCE", 0.1)

    with client_of(hub, None) as client, pytest.raises(TlsRefused, match=r"it speaks TLS, .* add --certs DIR"):
        client.stats()


@pytest.mark.slow
def test_a_hub_that_is_silent_is_no_tls_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "HANDSHAKE_TIME", 0.1)
    monkeypatch.setattr(connect, "SILENCE", 0.1)
    monkeypatch.setattr("crawler.hub.tls.PROBE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert speaks_tls(silent.getsockname()) is False
        client = HubClient(silent.getsockname(), KEY, patience=0.0)

        with pytest.raises(HubLost):
            client.stats()


def test_a_hub_that_goes_away_in_the_handshake_is_lost_and_not_refused(certs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as dying:
        thread = threading.Thread(target=lambda: dying.accept()[0].close())
        thread.start()
        client = HubClient(dying.getsockname(), KEY, patience=0.0, tls=for_client(certs, "admin"))

        with pytest.raises(HubLost):
            client.stats()
        thread.join(5)


def test_garbage_before_tls_costs_a_connection_and_one_line(hub: HubServer, certs: Path, caplog: pytest.LogCaptureFixture) -> None:
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + b"\xff" * 600, b"\0" * 300, b"\x16\x03\x03\xff\xff"):
        with socket.create_connection((hub.place.host, hub.place.port), timeout=5) as sock:
            sock.sendall(noise)
            heard = b""
            try:
                sock.shutdown(socket.SHUT_WR)
                while chunk := sock.recv(4096):
                    heard += chunk
            except OSError:  # reset: closed with our noise unread
                pass
            assert len(heard) < 20  # an alert, and nothing of the hub's

    with client_of(hub, for_client(certs, "admin")) as client:
        assert client.drained() is True
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_who_is_silent_before_tls_is_shown_out(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HANDSHAKE_TIME", 0.1)

    with socket.create_connection((hub.place.host, hub.place.port), timeout=5) as sock:
        assert sock.recv(100) == b""


@pytest.mark.slow
def test_who_reads_nothing_is_given_up(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline of a frame holds over TLS, where one frame is many writes."""
    monkeypatch.setattr(wire, "FRAME_TIME", 0.2)
    server, client = for_hub(certs), for_client(certs, "admin")
    with ExitStack() as stack:
        one, other = socket.socketpair()
        near = stack.enter_context(server.wrap_server(one))
        far = stack.enter_context(client.wrap_client(other, "localhost"))
        handshake = threading.Thread(target=far.do_handshake)
        handshake.start()
        near.do_handshake()
        handshake.join(5)

        with pytest.raises(TimeoutError):
            Connection(near).send_bytes(b"x" * (8 << 20))
