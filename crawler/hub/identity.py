"""The secret with which a process claims the names of its workers, so that no other process can speak in their names.

parent ──the secret, in the environment──▶ worker processes: a parent can tell the hub of the death of its own workers
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import blake2b

VARIABLE = "CRAWLER_WORKER_SECRET"  # of the environment: the secret of the parent, as hex digits
SECRET_BYTES = 16  # random bytes; the hub takes from these to `MOST_BYTES`
MOST_BYTES = 64
DIGEST_BYTES = 32

_ours = b""


def secret() -> bytes:
    """Return the secret of this process: its parent's if it was given one, else one of its own, the same at each call."""
    global _ours
    given = os.environ.pop(VARIABLE, "")  # removed, so that programs that a stage starts do not inherit it
    if given:
        with suppress(ValueError):  # not ours: set by another program
            _ours = bytes.fromhex(given)
    if len(_ours) < SECRET_BYTES:
        _ours = os.urandom(SECRET_BYTES)
    return _ours


def environment() -> dict[str, str]:
    """Return the variables with which a child process gets the secret of this one."""
    return {VARIABLE: secret().hex()}


def digest(worker: str, secret: bytes) -> bytes:
    """Return the digest that a hub stores in place of the secret. It differs for each name, and tells nothing about the others."""
    return blake2b(worker.encode("utf-8", "surrogatepass"), key=secret[:MOST_BYTES], digest_size=DIGEST_BYTES).digest()
