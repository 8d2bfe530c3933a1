"""Find out whether a host typed without a scheme supports HTTPS or HTTP: by a TLS handshake or, if that fails, a connection.

    example.org ──443: TLS──▶ https       ──80: TCP──▶ http       neither ──▶ https: its fetch then reports the reason
    example.org:8080 ──TLS──▶ https       ──TCP only──▶ http

No request is sent and no certificate is checked; the fetch does both. Hosts, threads and seconds are all bounded.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from enum import StrEnum
from queue import Empty, SimpleQueue
from typing import Final

from msgspec import Struct

from crawler.web import urls

HANDSHAKE: Final = 3.0  # s for a connection, and again for a handshake
MOST: Final = 300  # hosts that are asked; for further ones https is assumed
THREADS: Final = 32
# OpenSSL's reasons for a failed handshake with a server that supports TLS, but not in our way.
_TLS: Final = re.compile(r"ALERT|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS|KEY_TOO|TOO_WEAK|LEGACY|SIGNATURE|CIPHER|CERTIFICATE")
PATIENCE: Final = 15.0  # s for all hosts; a resolver alone may exceed the limits above


class Found(StrEnum):
    """The result of asking a host."""

    HTTPS = "https"
    HTTP = "http"  # it answers without TLS
    NOTHING = "nothing"  # it does not answer, or its name is unknown
    NOT_ASKED = "not asked"


class Taken(Struct, frozen=True):
    """A seed as it was typed, and the URL chosen for it."""

    typed: str
    url: str
    found: Found

    def __str__(self) -> str:
        """Return a sentence for the person who typed the seed."""
        host = urls.shown(self.typed.strip(), is_quoted=False)
        match self.found:
            case Found.HTTPS:
                return f"{host} answers over https: taken as {self.url}"
            case Found.HTTP:
                return f"{host} answers over http only: taken as {self.url}"
            case Found.NOTHING:
                way = "check its spelling, or write http:// before it"
                return f"{host} answers neither over https nor over http: taken as {self.url}; {way}"
            case _:
                return f"{host} has no scheme: taken as {self.url}"


def choose(texts: Iterable[str], *, can_ask: bool = True) -> list[Taken]:
    """Choose a URL for each seed that has no scheme. Takes at most `PATIENCE` s.

    can_ask: False if hosts cannot be reached from here, as behind a proxy; then https is assumed.
    """
    bare = [text for text in dict.fromkeys(texts) if urls.lacks_scheme(text)]
    places = {text: _place(text.strip()) for text in bare}
    asked = list(dict.fromkeys(places.values()))[:MOST] if can_ask else []
    found = _ask(asked)
    taken = []
    for text in bare:
        kind = found.get(places[text], Found.NOT_ASKED)
        url = urls.seed(f"http://{text.strip()}") if kind == Found.HTTP else urls.seed(text)
        taken.append(Taken(text, url, kind))
    return taken


def _place(typed: str) -> tuple[str, int | None]:
    """Return host and port; the default port of a scheme counts too if it was typed."""
    secure, plain = urls.parse(f"https://{typed}"), urls.parse(f"http://{typed}")
    return secure.hostname.strip("[]"), secure.port or plain.port


def _ask(places: list[tuple[str, int | None]]) -> dict[tuple[str, int | None], Found]:
    """Ask the hosts in threads, and stop waiting for them after `PATIENCE` s."""
    waiting: SimpleQueue[tuple[str, int | None]] = SimpleQueue()
    answers: SimpleQueue[tuple[tuple[str, int | None], Found]] = SimpleQueue()
    for place in places:
        waiting.put(place)

    def work() -> None:
        while True:
            try:
                place = waiting.get_nowait()
            except Empty:
                return
            answers.put((place, probe(*place)))

    threads = [threading.Thread(target=work, name="scheme", daemon=True) for _ in range(min(THREADS, len(places)))]
    for thread in threads:
        thread.start()
    found: dict[tuple[str, int | None], Found] = {}
    give_up = time.monotonic() + PATIENCE
    while len(found) < len(places) and (left := give_up - time.monotonic()) > 0:
        try:
            place, kind = answers.get(timeout=left)
        except Empty:
            break
        found[place] = kind
    for thread in threads:
        thread.join(0.1 if len(found) == len(places) else 0)  # then this process can fork safely
    return found


def probe(host: str, port: int | None) -> Found:
    """Ask one host. port: None means the default port of the scheme."""
    tls = _speaks_tls(host, 443 if port is None else port)
    if tls:
        return Found.HTTPS
    if tls is not None and port is not None:
        return Found.HTTP
    return Found.HTTP if port is None and _listens(host, 80) else Found.NOTHING


def _speaks_tls(host: str, port: int) -> bool | None:
    """Tell whether the server supports TLS; None if no server answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the fetch checks the certificate
    try:
        with socket.create_connection((host, port), HANDSHAKE) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=host):
                    return True
            except ssl.SSLError as error:
                return _TLS.search(error.reason or "") is not None
            except OSError:
                return False
    except (OSError, UnicodeError, OverflowError):  # UnicodeError: IDNA cannot represent the name
        return None


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), HANDSHAKE).close()
    except (OSError, UnicodeError, OverflowError):
        return False
    return True
