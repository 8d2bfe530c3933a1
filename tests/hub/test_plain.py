from __future__ import annotations

import contextlib
import datetime
import os
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import WireError
from crawler.hub import plain_pickle

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(scalars, inner), max_leaves=20
)


class Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.slow
@given(values, st.sampled_from([3, 4, 5]))
def test_plain_data_is_read_as_the_standard_library_reads_it(value, protocol):
    assert plain_pickle.loads(pickle.dumps(value, protocol)) == value


def test_sets_and_shared_parts_are_plain_too():
    row = [1, "a"]
    value = [row, row, {1, 2}, frozenset({"x"}), (row, "a")]

    assert plain_pickle.loads(pickle.dumps(value)) == value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", [Evil("true"), datetime.date(2026, 1, 1), os.system, ValueError("x"), bytearray(b"x"), 1j])
def test_whatever_needs_a_name_looked_up_is_refused(value, protocol):
    with pytest.raises(WireError):
        plain_pickle.loads(pickle.dumps([1, value], protocol))


def test_a_refused_pickle_has_run_nothing(tmp_path):
    with pytest.raises(WireError, match=r"GLOBAL in it is not plain data"):
        plain_pickle.loads(pickle.dumps(Evil(f"touch {tmp_path}/run")))

    assert not list(tmp_path.iterdir())


def _nested(depth: int) -> bytes:
    return b"\x80\x04)" + b"\x85" * depth + b"."


def _shared(depth: int) -> list[object]:
    """A list with 2**depth parts, of which few have to be sent."""
    parts: list[object] = []
    for _ in range(depth):
        parts = [parts, parts]
    return parts


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\x04",
        b"\x80\x04.",
        b"\x80\x04e.",
        b"\x80\x04(.",
        b"\x80\x04\x85.",
        b"\x80\x04]]",
        b"\x80\x04NN.",
        b"\x80\x04h\x05.",
        b"\x80\x04K\x01K\x02a.",
        b"\x80\x04}K\x01s.",
        b"\x80\x04}(K\x01u.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x80\x04X\xff\xff\xff\xffx.",
    ],
)
def test_a_malformed_pickle_is_refused(data):
    with pytest.raises(WireError, match=r"^a message is not a well-formed pickle$"):
        plain_pickle.loads(data)


@pytest.mark.parametrize("data", [b"\x80\x04I12\n.", b"cos\nsystem\n.", b"\x80\x04\x82\x01.", b"\x80\x04Pid\n."])
def test_an_instruction_that_plain_data_does_not_need_is_refused_by_name(data):
    with pytest.raises(WireError, match=r"^a pickle with [A-Z0-9]+ in it is not plain data"):
        plain_pickle.loads(data)


@pytest.mark.parametrize(("data", "guard"), [
    (pickle.dumps(_shared(60)), "unfolds to more than 1000000 values"),
    (pickle.dumps([_shared(19), _shared(19)]), "unfolds to more than 1000000 values"),
    (pickle.dumps(["x" * (1 << 20)] * 33), "or 33554432 bytes"),
    (pickle.dumps([b"x" * (1 << 20)] * 33), "or 33554432 bytes"),
    (_nested(100), "nests more than 100 deep"),
    pytest.param(_nested(100_000), "nests more than 100 deep", marks=pytest.mark.slow),
    (b"\x80\x04]\x94h\x00a.", "nests more than 100 deep"),
    (b"\x80\x04}" + _nested(5)[2:-1] + b"Ns.", "a key of a dict or a member of a set must be None"),
    (pickle.dumps({(1, 2)}), "a key of a dict or a member of a set must be None"),
], ids=[
    "shared into 2**60 parts", "a million and some parts", "33 MiB of text", "33 MiB of bytes", "deeper by one", "deep",
    "a list in itself", "deep key", "a tuple for a key",
])  # fmt: skip
def test_a_pickle_that_explodes_is_refused_by_the_guard_that_is_there_for_it(data, guard):
    """All of them are well-formed, and most are short."""
    with pytest.raises(WireError, match=guard):
        plain_pickle.loads(data)


def test_what_is_just_below_a_limit_is_read(monkeypatch):
    assert plain_pickle.loads(_nested(99)) is not None
    monkeypatch.setattr(plain_pickle, "MAX_PARTS", 10)
    monkeypatch.setattr(plain_pickle, "MAX_SIZE", 10)

    assert plain_pickle.loads(pickle.dumps([None] * 9)) == [None] * 9
    assert plain_pickle.loads(pickle.dumps({"12345": b"67890"})) == {"12345": b"67890"}
    assert plain_pickle.loads(b"\x80\x04N" + b"\x94" * 38 + b".") is None
    with pytest.raises(WireError, match="unfolds to more than 10 values"):
        plain_pickle.loads(pickle.dumps([None] * 10))
    with pytest.raises(WireError, match="or 10 bytes"):
        plain_pickle.loads(pickle.dumps({"12345": b"678901"}))
    with pytest.raises(WireError, match="a pickle of more than 40 instructions"):
        plain_pickle.loads(b"\x80\x04N" + b"\x94" * 39 + b".")


def test_a_far_memo_entry_takes_no_memory():
    assert plain_pickle.loads(b"\x80\x04Nr\xff\xff\xff\xff.") is None


@given(st.binary(max_size=60))
def test_noise_is_read_or_refused_and_nothing_else(data):
    with contextlib.suppress(WireError):
        plain_pickle.loads(b"\x80\x04" + data)


def test_an_answer_is_read_by_the_standard_library():
    frame = plain_pickle.dumps(("#RETURN", {"a": [1, 2]}))

    read = subprocess.run(
        [sys.executable, "-c", "import pickle, sys; print(pickle.load(sys.stdin.buffer))"],
        input=frame[4:],
        capture_output=True,
        check=True,
    )

    assert read.stdout == b"('#RETURN', {'a': [1, 2]})\n"
