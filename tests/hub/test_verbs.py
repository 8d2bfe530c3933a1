from __future__ import annotations

import contextlib
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import CallRefused, StorageError, WireError
from crawler.hub import classic, verbs
from crawler.items import Done, New, Step

KEY = b"k" * 16
GOOD = [
    msgspec.msgpack.encode([1, "step", [Step("w", 1, "task", done=[Done(1, [New("result", b"x", KEY)])], counters={"a": 1})]]),
    msgspec.msgpack.encode([1, "put", [[New("task", b"x", host="h", delay=1.5)], "me", 7]]),
    msgspec.msgpack.encode(["task", "put", [{"a": [1, None, 2.5, b"x"]}], {"block": True}]),
    pickle.dumps(("task", "put", ({"a": [1, None, 2.5, b"x"]},), {"block": True})),
]


def test_every_verb_of_a_broker_is_known_and_close_is_not():
    assert set(verbs.VERBS) == {
        "put",
        "step",
        "extend",
        "expire",
        "held",
        "pace",
        "note",
        "notes",
        "take",
        "dead",
        "revive",
        "drop",
        "stats",
        "hosts",
        "why",
        "find",
        "drained",
        "forget",
        "hello",
        "claim",
        "bye",
    }


def test_arguments_left_out_have_the_brokers_defaults():
    call = verbs.read_call(bytearray(msgspec.msgpack.encode([1, "dead", []])))

    assert verbs.read_arguments(call) == [None, 100, 0]


def test_an_error_is_raised_again_by_name_and_an_unknown_name_chooses_nothing():
    def reply(kind: str) -> verbs.Reply:
        return verbs.read_reply(verbs.frame([1, kind, "the disk is full"])[4:])

    with pytest.raises(StorageError, match="the disk is full"):
        verbs.read_result("drained", reply("StorageError"))
    for name in ("CallRefused", "SystemExit", "os.system"):
        with pytest.raises(CallRefused, match="the disk is full"):
            verbs.read_result("drained", reply(name))


def test_an_answer_of_the_wrong_type_is_no_answer():
    with pytest.raises(WireError, match="the answer to drained cannot be read"):
        verbs.read_result("drained", verbs.read_reply(verbs.frame([1, "ok", "yes"])[4:]))


@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4), st.integers(0, 200))
def test_a_broken_message_is_refused_and_nothing_else(good, changes, length):
    body = bytearray(good[:length])
    for place, byte in changes:
        if place < len(body):
            body[place] = byte

    with contextlib.suppress(WireError, CallRefused):
        verbs.read_arguments(verbs.read_call(body))
    with contextlib.suppress(WireError, CallRefused):
        classic.read_request(body)
    with contextlib.suppress(WireError, CallRefused):
        verbs.read_result("stats", verbs.read_reply(body))
