"""Limits of every field of a call to a hub, and of the number of its parts: one table, used by the types of calls.

Lengths and numbers of parts are checked while a call is decoded, before any of it is kept. The hub then does all of it at once, so
they also bound how long one caller delays the others. Numbers are checked by `broker.arguments`. The last table bounds data that
grows with the calls of a whole crawl.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar

from msgspec import Meta

_Part = TypeVar("_Part")

# Texts, in characters. Our own workers cut theirs far below.
Name = Annotated[str, Meta(max_length=200)]  # of a worker, a caller, a queue
HOST_CHARS = 8_200
Host = Annotated[str, Meta(max_length=HOST_CHARS)]  # as long as a URL, in which it stands
Url = Annotated[str, Meta(max_length=10_000)]
Counter = Annotated[str, Meta(max_length=6_000)]  # some have the path of an output in them
NoteName = Annotated[str, Meta(max_length=10_000)]  # some have a path or a URL in them
Line = Annotated[str, Meta(max_length=20_000)]  # a reason, a report, what a worker waits for
Trace = Annotated[str, Meta(max_length=100_000)]
KEY_BYTES = 16
Key = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
Secret = Annotated[bytes, Meta(max_length=64)]

# Parts of a call: as many as the hub handles in some ten milliseconds. Tasks are bounded by the bytes of a frame as well.
Tasks = Annotated[Sequence[_Part], Meta(max_length=130_000)]  # children of a task: 32 MiB of them at 256 bytes each
PUTS = 2_000  # put in one call
PUT_AT_ONCE = 500  # by `HubClient`, which makes several calls of more: 10 ms each
Puts = Annotated[Sequence[_Part], Meta(max_length=PUTS)]
Ends = Annotated[Sequence[_Part], Meta(max_length=50_000)]  # tasks that a worker holds, ended or extended at once
Hosts = Annotated[Sequence[_Part], Meta(max_length=1_000)]  # asked for by name
Paces = Annotated[Sequence[_Part], Meta(max_length=10_000)]
Notes = Annotated[Sequence[_Part], Meta(max_length=1_000)]
Names = Annotated[Sequence[_Part], Meta(max_length=1_000)]  # of queues, notes, counters
Ids = Annotated[Sequence[_Part], Meta(max_length=100_000)]  # of dead tasks
COUNTERS_AT_ONCE = 2_000  # in one step
Counters = Annotated[dict[Counter, int], Meta(max_length=COUNTERS_AT_ONCE)]
OF_EACH = 1 << 20  # bytes
CountsOfEach = Annotated[bytes, Meta(max_length=OF_EACH)]

# Of single values.
LEASES = 10_000  # tasks leased in one answer
Ttl = Annotated[float, Meta(le=3_600)]  # s of a lease; a worker that lives extends its leases
LONGEST_REST = 7 * 86_400.0  # s between requests to a host, or until the next one, whatever the host asks for
REASON = 1_000  # characters of a failure that are shown for a host or a queue

# In all.
COUNTERS = 2_000  # counters; further ones are counted together
COUNTER_BYTES = 256 << 10  # of their names: all of them are written with each step that counts something
OTHERS = "other counters"
CALLERS = 100_000  # workers, and as many producers, whose last calls are known
IDLE = 60.0  # s after which a worker without tasks may be forgotten if there are so many: it calls at least each 20 s
NOTES = 2_000_000  # notes
NOTES_BYTES = 1 << 30  # of their names and values
WORKERS_PART = 0.75  # of these for what workers share: there is room for seeds then, whatever they write
NOTES_PARTS = {"admin": 1.0, "producer": 0.9}  # by role; the part of all others is that of workers
PAGE = 5_000  # notes in one answer
PAGE_BYTES = 8 << 20
WORKERS = 1_000  # workers in one answer
