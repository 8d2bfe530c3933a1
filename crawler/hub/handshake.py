"""Proof that a peer knows a key, without sending it: the challenges of `multiprocessing.connection`, for more than one key.

    asks                                          is asked
      │  #CHALLENGE#{sha256}nonce   ──────────▶  │
      │  ◀──────────   {sha256}HMAC(key, {sha256}nonce)      a Python before 3.12 answers with HMAC-MD5, bare
      │  #WELCOME# or #FAILURE#     ──────────▶  │           and asks with a bare nonce

The standard library knows one key a server; a hub has one for each role, and learns here which of them a client has.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from typing import Protocol

CHALLENGE, WELCOME, FAILURE = b"#CHALLENGE#", b"#WELCOME#", b"#FAILURE#"
MAX_MESSAGE = 256  # bytes; what the standard library allows before the key is proven
_NONCE = 40  # random bytes of a challenge
_STRONG = b"{sha256}"
_LEAST = 20  # bytes of a challenge, those of Python 3.11: an attacker could choose a shorter one


class Unproven(Exception):
    """Raised if the peer has not proved that it knows the key, or has not accepted ours.

    An error of our own: a client needs nothing else of `multiprocessing`, and importing that takes 4 ms.
    """


class Peer(Protocol):
    """Interface a handshake needs of a connection."""

    def send_bytes(self, body: bytes) -> None: ...

    def recv_bytes(self, maxlength: int | None = None) -> bytes: ...


def challenge(peer: Peer, keys: Sequence[bytes]) -> int:
    """Return the number of the key the peer has proved to know. Raises Unproven, after telling the peer, if there is none."""
    message = _STRONG + secrets.token_bytes(_NONCE)
    peer.send_bytes(CHALLENGE + message)
    answer = peer.recv_bytes(MAX_MESSAGE)
    # All keys are tried, so that the time it takes does not tell which one was close.
    known = [number for number, key in enumerate(keys) if _is_answer(key, message, answer)]
    if not known:
        peer.send_bytes(FAILURE)
        raise Unproven("it does not know the key")
    peer.send_bytes(WELCOME)
    return known[0]


def answer(peer: Peer, key: bytes) -> None:
    """Answer the peer's challenge. Raises Unproven when it sends none or does not take the answer."""
    asked = peer.recv_bytes(MAX_MESSAGE)
    message = asked.removeprefix(CHALLENGE)
    if len(message) == len(asked) or len(message) < _LEAST:
        raise Unproven("it does not speak the handshake")
    is_strong = message.startswith(_STRONG)
    peer.send_bytes(_strong(key, message) if is_strong else _weak(key, message))
    if peer.recv_bytes(MAX_MESSAGE) != WELCOME:
        raise Unproven("it has another key")


def _is_answer(key: bytes, message: bytes, answer: bytes) -> bool:
    right = _strong(key, message) if answer.startswith(_STRONG) else _weak(key, message)
    return hmac.compare_digest(right, answer)


def _weak(key: bytes, message: bytes) -> bytes:
    try:
        return hmac.digest(key, message, "md5")
    except ValueError as error:  # a system in FIPS mode has none
        raise Unproven("it speaks the handshake of Python 3.11, whose MD5 is switched off here") from error


def _strong(key: bytes, message: bytes) -> bytes:
    return _STRONG + hmac.digest(key, message, "sha256")
