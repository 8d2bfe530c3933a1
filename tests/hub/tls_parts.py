"""What the tests of TLS share: directories of certificates, clients with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
from memory_broker import KEY

from crawler.hub.client import HubClient
from crawler.hub.server import HubServer
from crawler.hub.tls import Tls
from crawler.hub.wire import Connection


def taken(folder: Path, *pairs: tuple[Path, str, str]) -> Path:
    """A directory with the pair `name` of each (directory, name, as)."""
    folder.mkdir(exist_ok=True)
    for source, name, new in pairs:
        for suffix in ("pem", "key"):
            if (source / f"{name}.{suffix}").exists():
                shutil.copy(source / f"{name}.{suffix}", folder / f"{new}.{suffix}")
    return folder


def client_of(hub: HubServer, tls: Tls | None) -> HubClient:
    return HubClient(str(hub.place), KEY, patience=0.0, tls=tls)


def ask(connection: Connection, *call: object) -> object:
    connection.send_bytes(msgspec.msgpack.encode(call))
    return msgspec.msgpack.decode(connection.recv_bytes())
