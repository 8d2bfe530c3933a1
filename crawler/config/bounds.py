"""The numbers a person may set: one type for each kind, with a minimum, a maximum and the reason for them.

Every number in a settings struct, in the options of a built-in stage and on the command line has one of these types, so that
no value that passes the check can overflow a timer, a database or a loop. The maxima are far above any need: a value beyond one is
a mistake, and the message shows the range. The units, and what 0 means, are for the messages of `crawler.config.units`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

DAY = 86_400  # s
_SECONDS = {"unit": "seconds"}
_BYTES = {"unit": "bytes"}
_OR_NONE = {"zero": "no limit"}

# Times, in seconds.
Delay = Annotated[float, Meta(ge=0, le=7 * DAY, extra=_SECONDS)]  # between requests to a host; slower would be no crawl
# Below 1 s heart-beats (a third of it) come too late; above an hour a dead worker's task waits too long.
Lease = Annotated[float, Meta(ge=1, le=3_600, extra=_SECONDS)]
Timeout = Annotated[float, Meta(ge=0.001, le=3_600, extra=_SECONDS)]  # of a request; libcurl counts ms, 0 for no limit
CrawlTime = Annotated[float, Meta(ge=0, le=366 * DAY, extra=_SECONDS | _OR_NONE)]  # of a whole crawl, 0 for no limit
Wait = Annotated[float, Meta(ge=0, le=7 * DAY, extra=_SECONDS)]  # a command's wait for something

# How many at once.
PerHost = Annotated[int, Meta(ge=1, le=10_000)]  # requests to one host; no server stands more
Processes = Annotated[int, Meta(ge=1, le=256)]  # workers of a stage on one machine; the hub serves some hundred clients
Concurrency = Annotated[int, Meta(ge=1, le=1_000)]  # items in one worker, perhaps a thread each

# Totals. Except for the id, the largest is below 2**53, which every language and database represents exactly.
Limit = Annotated[int, Meta(ge=0, le=10**12, extra=_OR_NONE)]  # URLs, 0 for no limit; more than any crawl has seen
TotalBytes = Annotated[int, Meta(ge=0, le=1 << 50, extra=_BYTES | _OR_NONE)]  # received by a crawl, 0 for no limit; a petabyte
FreeBytes = Annotated[int, Meta(ge=0, le=1 << 50, extra=_BYTES)]  # of a disk
Attempts = Annotated[int, Meta(ge=1, le=1_000)]  # deliveries of a task; each failure is stored with it
Tasks = Annotated[int, Meta(ge=1, le=10**9)]  # waiting on a queue
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # of a task, as the store counts them
Values = Annotated[int, Meta(ge=0, le=10**9)]  # values taken off a queue by hand
Parts = Annotated[int, Meta(ge=1, le=10_000)]  # parts of one URL: segments, repetitions, parameters
Redirects = Annotated[int, Meta(ge=0, le=100)]  # each is stored with the visit; browsers stop at 20
Links = Annotated[int, Meta(ge=0, le=1_000_000)]  # links of one page, all held in memory
Runs = Annotated[int, Meta(ge=1, le=1_000)]  # runs of a measurement

# Sizes.
Characters = Annotated[int, Meta(ge=1, le=1 << 20)]  # in a URL, which is stored with each of its links
HeaderBytes = Annotated[int, Meta(ge=1, le=16 << 20, extra=_BYTES)]  # in a request's headers, held in memory
BodyBytes = Annotated[int, Meta(ge=1, le=1 << 30, extra=_BYTES)]  # in a body; libcurl's counter has 31 bits on some systems
Memory = Annotated[int, Meta(ge=0, le=1 << 44, extra=_BYTES | _OR_NONE)]  # of a process, 0 for no limit; above that of any machine
StoredBytes = Annotated[int, Meta(ge=1, le=1 << 40, extra=_BYTES)]  # on the hub's disk
Rate = Annotated[float, Meta(ge=0, le=1e9, extra={"unit": "bytes per second"})]  # 0 for any; libcurl stores 32 bits

# Ratios.
Expansion = Annotated[float, Meta(ge=1, le=1e6)]  # decoded bytes per sent byte; the worst known bombs reach 1e6
Factor = Annotated[float, Meta(ge=0, le=1_000)]  # multiple of a request's duration
