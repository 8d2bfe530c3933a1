"""What each role may do, by its key and by its certificate."""

from __future__ import annotations

import hmac
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from memory_broker import KEY, QUEUES

from crawler.errors import CallRefused, KeyRefused, UsageError
from crawler.hub import handshake
from crawler.hub import key as keys
from crawler.hub.client import HubClient
from crawler.hub.handshake import Unproven
from crawler.hub.manager import QueueManager
from crawler.hub.roles import ADMIN, CLASSIC, NOBODY, PRODUCER, ROLES, WORKER, both, check, of_certificate
from crawler.hub.server import HubServer
from crawler.hub.verbs import BROKER_VERBS
from crawler.hub.wire import Connection, prove
from crawler.items import New, Note, Step

WORKER_KEY, PRODUCER_KEY = b"w" * 64, b"p" * 64
KEYS = {"admin": KEY, "worker": WORKER_KEY, "producer": PRODUCER_KEY}
CALLS: dict[str, Callable[[HubClient], object]] = {
    "put": lambda hub: hub.put([New("task", b"\x01")]),
    "step": lambda hub: hub.step(Step("w", 1, queue="task", want=1)),
    "extend": lambda hub: hub.extend("w", [1], 1.0),
    "expire": lambda hub: hub.expire("w"),
    "held": lambda hub: hub.held("w"),
    "pace": lambda hub: hub.pace([]),
    "note": lambda hub: hub.note([Note("n", b"v")]),
    "notes": lambda hub: hub.notes("n"),
    "take": lambda hub: hub.take("result", 1),
    "dead": lambda hub: hub.dead(),
    "revive": lambda hub: hub.revive([1]),
    "drop": lambda hub: hub.drop([]),
    "stats": lambda hub: hub.stats(),
    "hosts": lambda hub: hub.hosts(),
    "why": lambda hub: hub.why("urls", b"k" * 16),
    "find": lambda hub: hub.find("http://a/"),
    "drained": lambda hub: hub.drained(),
    "forget": lambda hub: hub.forget(["n"]),
}
MAY = {
    "worker": {"step", "extend", "expire", "held", "pace", "note", "notes", "stats", "hosts", "drained"},
    "producer": {"put", "take", "why", "find", "note", "notes", "stats", "hosts", "drained"},
    "admin": set(CALLS),
}


@pytest.fixture
def hub(serve: Callable[..., HubServer]) -> HubServer:
    return serve(role_keys={"worker": WORKER_KEY, "producer": PRODUCER_KEY})


@pytest.fixture
def client(hub: HubServer) -> Iterator[Callable[[str], HubClient]]:
    clients = {role: HubClient(str(hub.place), key, patience=0.0) for role, key in KEYS.items()}
    yield clients.__getitem__
    for one in clients.values():
        one.close()


def test_every_verb_is_in_the_table() -> None:
    assert set(CALLS) == set(BROKER_VERBS)


@pytest.mark.parametrize("verb", CALLS)
@pytest.mark.parametrize("role", KEYS)
def test_a_verb_is_done_for_the_roles_that_have_it_and_refused_to_the_others(
    client: Callable[[str], HubClient], role: str, verb: str
) -> None:
    refused = ""
    try:
        CALLS[verb](client(role))
    except CallRefused as error:
        refused = str(error)

    if verb in MAY[role]:
        assert "may not" not in refused
    else:
        what = "speak as a worker" if verb in ("step", "extend") else f"call '{verb}'"
        assert refused.startswith(f"the role '{role}' may not {what}; use the key (and with TLS the certificate) of admin")


def test_a_producer_takes_results_and_no_work(client: Callable[[str], HubClient]) -> None:
    client("admin").put([New("task", b"\x01"), New("result", b"\x02")])

    assert client("producer").take("result", 1) == [b"\x02"]
    with pytest.raises(CallRefused, match="may not take from 'task', which a stage reads"):
        client("producer").take("task", 1)

    assert client("admin").take("task", 1) == [b"\x01"]


def test_a_password_that_is_noted_is_read_by_those_who_fetch_alone(client: Callable[[str], HubClient]) -> None:
    client("producer").note([Note("auth/https://example.org", b"me:word"), Note("root/example.org", b"seed")])

    read = {role: {note.name for note in client(role).notes("")} for role in KEYS}

    assert "auth/https://example.org" not in read["producer"]
    assert "root/example.org" in read["producer"]
    assert read["worker"] == read["admin"] >= {"auth/https://example.org", "root/example.org"}


def test_the_classic_methods_are_the_verbs_they_stand_for(hub: HubServer) -> None:
    class Classic(QueueManager):
        pass

    Classic.register("get_task_queue")
    Classic.register("get_result_queue")
    queues = {}
    for role in ("producer", "worker"):
        manager = Classic(address=str(hub.place), authkey=KEYS[role])
        manager.connect()
        queues[role] = (manager.get_task_queue(), manager.get_result_queue())
        if role == "producer":
            queues[role][0].put(1)
            queues[role][1].put(2)
            assert queues[role][1].get(timeout=1) == 2
            with pytest.raises(CallRefused, match="may not take from 'task'"):
                queues[role][0].get_nowait()

    assert queues["worker"][0].qsize() == 1
    with pytest.raises(CallRefused, match="the role 'worker' may not call 'take'"):
        queues["worker"][0].get(timeout=1)
    with pytest.raises(CallRefused, match="the role 'worker' may not call 'put'"):
        queues["worker"][0].put(3)


def test_every_classic_method_has_a_verb() -> None:
    from crawler.hub.classic import ClassicQueue

    assert set(CLASSIC) == set(ClassicQueue.EXPOSED)
    assert set(CLASSIC.values()) <= set(BROKER_VERBS)


def test_another_key_is_none_of_them(hub: HubServer) -> None:
    with pytest.raises(KeyRefused), HubClient(str(hub.place), b"x" * 64, patience=0.0) as stranger:
        stranger.stats()


def test_two_roles_with_one_key_are_refused(serve: Callable[..., HubServer]) -> None:
    with pytest.raises(UsageError, match=r"the keys of worker and producer are the same, .* 'crawler hub --make-keys'"):
        serve(role_keys={"worker": WORKER_KEY, "producer": WORKER_KEY})


def test_a_lesser_key_is_held_to_the_same_length(broker: object) -> None:
    with pytest.raises(UsageError, match="an authkey of 5 bytes is too short"):
        HubServer(broker, QUEUES, "0.0.0.0:0", KEY, insecure=True, role_keys={"worker": b"short"})  # type: ignore[arg-type]  # a fixture


@pytest.mark.parametrize(("first", "second", "together"), [
    (ADMIN, WORKER, WORKER), (WORKER, ADMIN, WORKER), (ADMIN, ADMIN, ADMIN), (PRODUCER, NOBODY, NOBODY),
])  # fmt: skip
def test_the_lesser_of_two_roles_counts(first: object, second: object, together: object) -> None:
    assert both(first, second) is together  # type: ignore[arg-type]  # roles, as parametrized


def test_two_roles_that_are_not_one_in_the_other_leave_what_they_share() -> None:
    shared = both(WORKER, PRODUCER)

    assert shared.name == "worker and producer"
    with pytest.raises(CallRefused) as caught:
        check(shared, "put")
    words = "the role 'worker and producer' may not call 'put'; use a key and a certificate of one role, admin or producer"
    assert str(caught.value) == words
    assert shared.verbs == WORKER.verbs & PRODUCER.verbs
    assert "extend" not in shared.verbs, "so its steps only take"
    assert "put" not in shared.verbs


@pytest.mark.parametrize(("subject", "role"), [
    ([("organizationalUnitName", "worker"), ("commonName", "x")], "worker"),
    ([("organizationalUnitName", "admin")], "admin"),
    ([("commonName", "admin")], "none"),
    ([("organizationalUnitName", "hub")], "none"),
    ([("organizationalUnitName", "Admin")], "none"),
    ([("organizationalUnitName", "worker"), ("organizationalUnitName", "admin")], "none"),
    ([], "none"),
])  # fmt: skip
def test_the_role_of_a_certificate_is_its_one_unit(subject: list[tuple[str, str]], role: str) -> None:
    assert of_certificate({"subject": tuple((part,) for part in subject)}).name == role


# the files


def test_keys_are_made_once_and_each_is_another(tmp_path: Path) -> None:
    paths = keys.make_keys(tmp_path)
    before = [path.read_bytes() for path in paths]

    assert keys.make_keys(tmp_path) == paths

    assert [path.name for path in paths] == ["authkey", "authkey.worker", "authkey.producer"]
    assert [path.read_bytes() for path in paths] == before
    assert len(set(before)) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert keys.role_keys(tmp_path) == {"worker": before[1].strip(), "producer": before[2].strip()}
    assert set(keys.LESSER) | {"admin"} == set(ROLES)


def test_a_machine_with_a_lesser_key_alone_uses_that_and_with_several_the_admins(tmp_path: Path) -> None:
    paths = keys.make_keys(tmp_path)

    assert keys.authkey(tmp_path, environ={}) == paths[0].read_bytes().strip()
    paths[0].unlink()

    assert keys.authkey(tmp_path, environ={}) == paths[1].read_bytes().strip()


# the handshake


@pytest.fixture
def pair() -> Iterator[tuple[Connection, Connection]]:
    one, other = (Connection(sock) for sock in socket.socketpair())
    yield one, other
    one.close()
    other.close()


def in_thread(act: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    said: list[object] = []

    def run() -> None:
        try:
            said.append(act())
        except Unproven as error:
            said.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, said


def test_a_server_learns_which_of_its_keys_it_was(pair: tuple[Connection, Connection]) -> None:
    thread, said = in_thread(lambda: prove(pair[0], KEY, WORKER_KEY, PRODUCER_KEY, first=True))

    prove(pair[1], WORKER_KEY, first=False)

    thread.join(5)
    assert said == [1]


@pytest.mark.parametrize("strong", [True, False])
def test_the_answers_of_python_3_12_and_of_3_11_are_both_right(pair: tuple[Connection, Connection], strong: bool) -> None:
    thread, said = in_thread(lambda: handshake.challenge(pair[0], [KEY]))
    asked = pair[1].recv_bytes().removeprefix(b"#CHALLENGE#")
    assert asked.startswith(b"{sha256}")

    pair[1].send_bytes(b"{sha256}" + hmac.digest(KEY, asked, "sha256") if strong else hmac.digest(KEY, asked, "md5"))

    assert pair[1].recv_bytes() == b"#WELCOME#"
    thread.join(5)
    assert said == [0]


@pytest.mark.parametrize(("question", "right"), [
    (b"{sha256}" + b"n" * 40, b"{sha256}" + hmac.digest(KEY, b"{sha256}" + b"n" * 40, "sha256")),
    (b"n" * 20, hmac.digest(KEY, b"n" * 20, "md5")),
])  # fmt: skip
def test_the_questions_of_python_3_12_and_of_3_11_are_both_answered(
    pair: tuple[Connection, Connection], question: bytes, right: bytes
) -> None:
    thread, said = in_thread(lambda: handshake.answer(pair[0], KEY))

    pair[1].send_bytes(b"#CHALLENGE#" + question)

    assert pair[1].recv_bytes() == right
    pair[1].send_bytes(b"#WELCOME#")
    thread.join(5)
    assert said == [None]


@pytest.mark.parametrize("question", [b"", b"#CHALLENGE#", b"#CHALLENGE#short", b"#WELCOME#" + b"n" * 40, b"x" * 60])
def test_what_is_no_question_gets_no_answer(pair: tuple[Connection, Connection], question: bytes) -> None:
    thread, said = in_thread(lambda: handshake.answer(pair[0], KEY))

    pair[1].send_bytes(question)

    thread.join(5)
    assert said == ["it does not speak the handshake"]


@pytest.mark.parametrize("wrong", [b"", b"{sha256}", b"{md5}" + b"x" * 16, b"x" * 16, b"{sha256}" + b"x" * 32])
def test_a_wrong_answer_hears_that_it_failed(pair: tuple[Connection, Connection], wrong: bytes) -> None:
    thread, said = in_thread(lambda: handshake.challenge(pair[0], [KEY]))
    pair[1].recv_bytes()

    pair[1].send_bytes(wrong)

    assert pair[1].recv_bytes() == b"#FAILURE#"
    thread.join(5)
    assert said == ["it does not know the key"]
