"""The numbers a person may set: one type for each kind, with a minimum, a maximum and the reason for them.

Every number in a settings struct, in the options of a built-in stage and on the command line has one of these types, so that
no value that passes the check can overflow a timer, a database or a loop. The maxima are far above what anybody needs: who
meets one has made a slip, and reads the range in the message.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

DAY = 86_400               # s

# Times, in seconds.
Delay = Annotated[float, Meta(ge=0, le=7 * DAY)]          # between requests to a host; a host asked once a week is not crawled
Lease = Annotated[float, Meta(ge=1, le=DAY)]              # below 1 s heart-beats (a third of it) come too late; above a day a task
                                                          # whose worker died is stuck for too long
Timeout = Annotated[float, Meta(ge=0.001, le=3_600)]      # of a request; libcurl counts milliseconds and takes 0 for "no limit"
Wait = Annotated[float, Meta(ge=0, le=7 * DAY)]           # of a command that waits for something

# How many at once.
PerHost = Annotated[int, Meta(ge=1, le=10_000)]           # requests to one host; no server bears more
Processes = Annotated[int, Meta(ge=1, le=256)]            # workers of a stage on one machine; the hub serves some hundred clients
Concurrency = Annotated[int, Meta(ge=1, le=1_000)]        # items in one worker, which may be a thread each

# How many in all. But for the id, the largest is below 2**53, which every language and database holds exactly.
Limit = Annotated[int, Meta(ge=0, le=10**12)]             # URLs, 0 for no limit; more than any crawl has seen
Attempts = Annotated[int, Meta(ge=1, le=1_000)]           # deliveries of a task; each failure is noted with it
Tasks = Annotated[int, Meta(ge=1, le=10**9)]              # waiting on a queue
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]             # of a task, as the store counts them
Values = Annotated[int, Meta(ge=0, le=10**9)]             # taken off a queue by hand
Parts = Annotated[int, Meta(ge=1, le=10_000)]             # of one URL: segments, repetitions, parameters
Redirects = Annotated[int, Meta(ge=0, le=100)]            # each is kept with the visit; browsers stop at 20
Links = Annotated[int, Meta(ge=0, le=1_000_000)]          # of one page, all held in memory
Runs = Annotated[int, Meta(ge=1, le=1_000)]               # of a measurement

# Sizes.
Characters = Annotated[int, Meta(ge=1, le=1 << 20)]       # of a URL, which is stored with each of its links
HeaderBytes = Annotated[int, Meta(ge=1, le=16 << 20)]     # held in memory for each request
BodyBytes = Annotated[int, Meta(ge=1, le=1 << 30)]        # the same; libcurl's own counter has 31 bits on some systems
StoredBytes = Annotated[int, Meta(ge=1, le=1 << 40)]      # on the hub's disk
Rate = Annotated[float, Meta(ge=0, le=1e9)]               # bytes a second, 0 for any; libcurl holds it as a 32-bit number

# Ratios.
Expansion = Annotated[float, Meta(ge=1, le=1e6)]          # decoded bytes to sent ones; the worst bombs known reach 1e6
Factor = Annotated[float, Meta(ge=0, le=1_000)]           # times the duration of a request
