"""How long the fuzz tests look, and the inputs that are kept.

A file in `corpus/TARGET/` is an input that once broke something, or that most programs of this kind have broken on: it is
replayed as a test of its own. HYPOTHESIS_PROFILE=thorough looks a hundred times as long for others.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
IS_THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
BUG = ("TypeError", "AttributeError", "KeyError", "IndexError", "UnicodeError", "UnicodeEncodeError", "UnicodeDecodeError",
       "AssertionError", "RecursionError", "OverflowError", "ZeroDivisionError", "NameError", "MemoryError")  # fmt: skip


def examples(n: int) -> settings:
    """So many in the default suite, always the same ones; a hundred times as many, and others each time, when asked to."""
    return settings(
        max_examples=100 * n if IS_THOROUGH else n, derandomize=not IS_THOROUGH, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def kept(target: str) -> Any:
    """The corpus of one target, as parameters of a test."""
    files = sorted((CORPUS / target).iterdir())
    return pytest.mark.parametrize("data", [pytest.param(file.read_bytes(), id=file.name) for file in files])


# What a reader of numbers, lengths and texts has to expect; nothing here is a time that somebody would wait.
NUMBERS = st.sampled_from([
    None, True, False, 0, -1, 100, 2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63),
    0.0, -0.0, 0.01, -1.5, 1e9, 1e300, 5e-324, float("nan"), float("inf"), float("-inf"),
])  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(["", "task", "urls", "w", "\0", "\ud7ff", "\u202e", "a" * 5_000, "../../x", "'; DROP TABLE task; --"]),
    st.text(max_size=8),
)
VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS, st.binary(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=12,
)


@st.composite
def bent(draw: st.DrawFn, value: Any) -> Any:
    """A well-formed value with some parts of it replaced, left out or there twice."""
    if draw(st.integers(0, 9)) == 0:
        return draw(VALUES)
    if isinstance(value, list):
        parts = [draw(bent(part)) for part in value]
        cut = draw(st.sampled_from([None, None, None, -1]))
        return (parts + parts if draw(st.integers(0, 19)) == 0 else parts)[:cut]
    if isinstance(value, dict):
        return {draw(TEXTS) if draw(st.integers(0, 14)) == 0 else name: draw(bent(part)) for name, part in value.items()}
    return value


@st.composite
def broken(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes of a well-formed message with some of them changed, cut off or added."""
    body = bytearray(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)
    for place, byte in draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)):
        if place < len(body):
            body[place] = byte
    return bytes(body) + draw(st.binary(max_size=6))
