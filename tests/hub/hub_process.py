"""A hub in a process of its own, to be killed: `python hub_process.py ADDRESS`; the key comes on standard input."""

from __future__ import annotations

import signal
import sys

from memory_broker import QUEUES, MemoryBroker

from crawler.hub.server import HubServer

if __name__ == "__main__":
    broker = MemoryBroker()
    server = HubServer(broker, QUEUES, sys.argv[1], sys.stdin.readline().strip().encode())
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    print(server.place, flush=True)  # noqa: T201 - how the test learns the port
    server.serve_forever()
    broker.close()
