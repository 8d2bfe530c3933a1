"""S1 to S6: what somebody without the key, or with it and bad intentions, can do to a hub."""

from __future__ import annotations

import os
import pickle
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import msgspec

from crawler.errors import CallRefused, HubError, KeyRefused
from crawler.hub.address import Address
from crawler.hub.client import HubClient
from crawler.hub.connect import open_connection
from crawler.hub.wire import Connection
from crawler.items import Done, New, Step, Verdict
from tests.faults.processes import PATIENCE, Bench, Gauge, Look, look, until
from tests.faults.table import MIB, Row, times

SERVED = 1.0  # s a call may take under attack, connecting included
GROWTH = 30 * MIB  # bytes
CALM = 0.05  # share of a core that a hub nobody speaks to may use
THREADS = 100  # 64 strangers, the hub's own and some
NOISE = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes.fromhex("160301020001fc0303") + bytes(200), struct.pack(">i", 0),
    struct.pack(">i", -5), struct.pack(">i", 2**31 - 1), struct.pack(">iQ", -1, 2**62), b"\x80\x04" * 30,
)  # fmt: skip
SAID = (b"#CHALLENGE#", b"#FAILURE#", b"#WELCOME#")
"""What somebody without the key may hear: the words of the handshake, which are the standard library's."""


class Attack:
    """A hub, what it was before, and what it became."""

    def __init__(self, bench: Bench, row: Row, gauge: Gauge) -> None:
        self.bench, self.row, self.gauge = bench, row, gauge
        self.before = self.now()

    def now(self) -> Look:
        seen = look(self.bench.pid("hub"))
        assert seen is not None, f"the hub is gone: {self.bench.log('hub')[-600:]}"
        return seen

    def served(self, what: str) -> float:
        """s for a call over a connection of its own."""
        began = time.monotonic()
        client = self.bench.client(patience=PATIENCE)
        client.stats()
        took = time.monotonic() - began
        client.close()
        self.row.recovery = [*self.row.recovery, took]
        self.row.expect_in_time(took < SERVED, f"{what}: a call took {took:.2f} s")
        return took

    def calm(self, seconds: float = 2.0) -> float:
        """The share of a core that it uses while nobody says anything."""
        before, began = self.now().cpu, time.monotonic()
        threading.Event().wait(seconds)
        share = (self.now().cpu - before) / (time.monotonic() - began)
        self.row.expect_in_time(share < CALM, f"the hub uses {share:.0%} of a core while nobody says anything")
        return share

    def end(self) -> None:
        self.row.rss, self.row.threads = max(self.row.rss or 0, self.gauge.rss), max(self.row.threads or 0, self.gauge.threads)
        self.row.cpu = (self.row.cpu or 0.0) + self.gauge.cpu
        growth = self.gauge.rss - self.before.rss
        self.row.expect(growth < GROWTH, f"the hub grew by {growth / MIB:.0f} MiB")
        self.row.expect(self.gauge.threads <= THREADS, f"the hub had {self.gauge.threads} threads")
        self.row.notes.append(f"the hub grew by {growth / MIB:.1f} MiB")


def attacked(row: Row, work: Path, attack: Callable[[Attack], None], prefix: Sequence[str] = ()) -> Row:
    with Bench(work / row.id) as bench:
        bench.start_hub(prefix)
        with Gauge(lambda: bench.pid("hub")) as gauge:
            under = Attack(bench, row, gauge)
            attack(under)
            until(lambda: gauge.rss, "somebody has looked")
        under.end()
        log = bench.log("hub")
        row.expect("Traceback" not in log, f"the hub's log has a traceback: {log[log.find('Traceback') :][:600]}")
    return row


def knock(bench: Bench) -> socket.socket:
    return socket.create_connection(("127.0.0.1", bench.port), 10)


def stay_silent(work: Path, connections: int, beats: int = 5) -> Row:
    """S1"""
    row = Row(
        "S1", "connections that say nothing, then a byte a second",
        f"a call is served in under {SERVED:g} s, threads bounded, RSS growth under {GROWTH // MIB} MiB",
        others="a manager's server: 1,000 connections take 57 s to be made and 1,002 threads; Redis serves a call in 0.28 s "
        "(measured)",
    )  # fmt: skip

    def attack(under: Attack) -> None:
        began = time.monotonic()
        silent = [knock(under.bench) for _ in range(connections)]
        made = time.monotonic() - began
        calls = [under.served(f"{connections} silent connections") for _ in range(5)]
        row.notes.append(f"{connections:,} silent connections made in {made:.2f} s; a call then {times(calls)} s")
        calls = []
        talkers = silent
        for beat in range(beats):
            talkers = [speak(talker, b"\0") or knock(under.bench) for talker in talkers]
            calls.append(under.served(f"{connections} connections at a byte a second"))
            threading.Event().wait(max(0.0, began + made + beat + 1 - time.monotonic()))
        row.notes.append(f"the same with a byte a second, made anew as soon as they are closed: a call {times(calls)} s")
        row.rounds = 2 * connections
        for talker in talkers:
            talker.close()

    return attacked(row, work, attack)


def speak(sock: socket.socket, words: bytes) -> socket.socket | None:
    """None: the other side has closed."""
    try:
        sock.sendall(words)
    except OSError:
        sock.close()
        return None
    return sock


def talk_garbage(work: Path, frames: int) -> Row:
    """S2"""
    row = Row(
        "S2", "garbage on the port", "nothing is answered but the handshake's own words, no growth, no spin",
        others="a manager's server answers 500-840 bytes, among them a traceback with its paths (measured); Redis closes",
    )  # fmt: skip
    dice = Random(2)

    def attack(under: Attack) -> None:
        heard = 0
        for number in range(frames):
            words = NOISE[number % len(NOISE)] if number % 2 else struct.pack(">i", n := dice.randrange(1, 300)) + dice.randbytes(n)
            heard = max(heard, hear(under.bench, words, row))
        row.rounds = frames
        under.served("after the garbage")
        row.notes.append(f"{heard} bytes were the most that was answered; afterwards {under.calm():.1%} of a core")

    return attacked(row, work, attack)


def hear(bench: Bench, words: bytes, row: Row) -> int:
    """Say this and hang up half-way; how many bytes were said in return."""
    answer = b""
    with knock(bench) as sock:
        try:
            sock.sendall(words)
            sock.shutdown(socket.SHUT_WR)
            while chunk := sock.recv(65_536):
                answer += chunk
        except ConnectionError:
            return len(answer)  # reset, since it did not read all of it: an answer as well
    frames = []
    while answer:
        size = int.from_bytes(answer[:4], "big")
        frames.append(answer[4 : 4 + size])
        answer = answer[4 + size :]
    row.expect(all(frame.startswith(SAID) for frame in frames), f"{words[:20]!r} was answered with {frames!r}")
    return sum(4 + len(frame) for frame in frames)


def guess_keys(work: Path, guesses: int) -> Row:
    """S3"""
    row = Row(
        "S3", "wrong keys", "each is refused, and one line a minute says so",
        others="a manager's server refuses as well, and sends a traceback to whom it refuses (measured)",
    )  # fmt: skip

    def attack(under: Attack) -> None:
        refused = 0
        for number in range(guesses):
            try:
                open_connection(Address.parse(under.bench.address), b"guess %d" % number).close()
            except KeyRefused:
                refused += 1
        row.rounds = guesses
        lines = under.bench.log("hub").count("refused")
        row.expect(refused == guesses, f"only {refused} of {guesses} wrong keys were refused as such")
        row.expect(1 <= lines <= 3, f"the log has {lines} lines about it")
        under.served("after the wrong keys")
        row.notes.append(f"{lines} line(s) in the log")

    return attacked(row, work, attack)


class Bomb:
    """What runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self._command,)


def betray(work: Path, rounds: int) -> Row:
    """S4"""
    row = Row(
        "S4", "a hostile worker that has the key", "no code is run, nothing of others is touched, others are served",
        others="a manager's server runs the code and obeys `shutdown` (measured)",
    )  # fmt: skip

    def attack(under: Attack) -> None:
        owner = under.bench.client("honest")
        owner.put([New("task", b"1")])
        (lease,) = owner.step(Step("honest", 1, "task", 1)).leases
        for number in range(rounds):
            row.rounds += misbehave(under, f"thief {number}", lease.token)
        (verdict,) = owner.step(Step("honest", 2, done=[Done(lease.token, [New("result", b"2")])])).verdicts
        row.expect(verdict == Verdict.DONE, f"the honest worker's task is {verdict}")
        row.expect(owner.take("result", 9) == [b"2"], "the honest worker's result is not there alone")
        row.expect(not (under.bench.directory / "owned").exists(), "code of a client was run")
        under.served("after the betrayal")
        row.notes.append(f"afterwards {under.calm():.1%} of a core")

    return attacked(row, work, attack)


def misbehave(under: Attack, name: str, token: int) -> int:
    """Everything once; how many things that is."""
    bomb = Bomb(f"touch {under.bench.directory / 'owned'}")
    deep: object = 0
    for _ in range(900):
        deep = [deep]
    messages = [
        pickle.dumps((None, "shutdown", (), {})), pickle.dumps(("task", "put", (bomb,), {})), pickle.dumps(bomb),
        pickle.dumps((None, "debug_info", (), {})),
        msgspec.msgpack.encode((1, "close", [])), msgspec.msgpack.encode((1, "__class__", [])),
        msgspec.msgpack.encode((1, "step", [{"worker": "x", "call": 1, "want": 2**62, "queue": "task", "wait": 1e9}])),
        msgspec.msgpack.encode((1, "put", [[["task", b"x", b"short key", "", 2**80 // 2**20, -1.0]]])),
        msgspec.msgpack.encode((1, "expire", ["x" * 10_000])), msgspec.msgpack.encode((1, "put", deep)),
        b"\xc1" * 100, b"", b"\x93" * 5000, b"\x80\x04\x95" + b"\xff" * 8 + b"(" * 1000,
    ]  # fmt: skip
    for message in messages:
        with_key(under, message)
    for head in (struct.pack(">i", 2**30), struct.pack(">iQ", -1, 2**40), struct.pack(">i", -7), struct.pack(">i", (32 << 20) + 1)):
        with_key(under, head, is_framed=False)
    thief = under.bench.client(name, patience=0)
    for call, (done, released) in enumerate([([Done(token)], []), ([], [token]), ([Done(2**60)], [])], 1):
        try:
            verdicts = thief.step(Step(name, call, done=done, released=released)).verdicts
        except (CallRefused, HubError):
            continue
        under.row.expect(set(verdicts) == {Verdict.STALE}, f"a token of another's was answered with {verdicts}")
    for seconds in (60.0, 1e6):
        try:
            kept = thief.extend(name, [token], seconds)
        except (CallRefused, HubError):
            continue
        under.row.expect(kept == [False], "another's lease was extended")
    thief.close()
    return len(messages) + 8


def with_key(under: Attack, words: bytes, *, is_framed: bool = True) -> None:
    """Say this as somebody who knows the key, and read what comes until it ends or a moment has passed."""
    connection: Connection = open_connection(Address.parse(under.bench.address), under.bench.key)
    connection.deadline = time.monotonic() + 0.2
    try:
        if is_framed:
            connection.send_bytes(words)
        else:
            connection._socket.sendall(words)
        connection.recv_bytes()
    except (OSError, EOFError):
        return  # it was hung up on, or not answered: both are right
    finally:
        connection.close()


def exhaust_files(work: Path, connections: int, limit: int = 64) -> Row:
    """S5"""
    row = Row(
        "S5", f"more connections than the {limit} descriptors a hub may have", f"under {CALM:.0%} of a core, and it serves again",
        others="a manager's server uses 98 % of a core for ever (measured)",
    )  # fmt: skip

    def attack(under: Attack) -> None:
        crowd = [knock(under.bench) for _ in range(connections)]
        share = under.calm()
        row.notes.append(f"{connections} connections, none of which says a word: {share:.1%} of a core")
        for one in crowd:
            one.close()
        began = time.monotonic()
        until(lambda: can_ask(under.bench, under.bench.address), "the hub serves again")
        row.recovery = [time.monotonic() - began]
        row.rounds = connections

    return attacked(row, work, attack, ["prlimit", f"--nofile={limit}", "--"])


def open_twice(work: Path) -> Row:
    """S6"""
    row = Row(
        "S6",
        "two hubs on one store, and a socket file that a killed one left",
        "the second ends and says who is in the way; a new one starts",
    )
    with Bench(work / "S6") as bench:
        bench.start_hub()
        second = bench.start("second", "hub", "--address", "127.0.0.1:0")
        code = second.wait(PATIENCE)
        row.expect(code == 2, f"the second hub ended with {code}")
        row.expect("Traceback" not in bench.log("second"), bench.log("second"))
        row.notes.append(f"the second says: {bench.log('second').strip().splitlines()[-1].replace(str(bench.data), 'DATA')}")
        bench.kill("hub")
        for _ in range(2):
            bench.start("socket", "hub", "--address", f"unix:{bench.directory / 'hub.sock'}")
            until(lambda: can_ask(bench, f"unix:{bench.directory / 'hub.sock'}"), "a hub answers at the socket")
            bench.kill("socket")
        row.rounds = 3
    return row


def can_ask(bench: Bench, address: str) -> bool:
    client: HubClient = bench.client(patience=0, hub=address)
    try:
        client.stats()
    except HubError:
        return False
    finally:
        client.close()
    return True
