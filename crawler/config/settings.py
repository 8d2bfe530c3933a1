"""Every setting with its type, default and unit; `load` fills these from file, environment and command line.

A stage's own options are not here: they are the `Options` of its class and live in its `[stages.NAME]` table.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from crawler.config.bounds import (
    Attempts,
    Characters,
    Concurrency,
    CrawlTime,
    Delay,
    FreeBytes,
    Lease,
    Limit,
    Memory,
    Parts,
    PerHost,
    Processes,
    StoredBytes,
    Tasks,
    TotalBytes,
)


class HubSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[hub]`: the hub's address and how it stores its data."""

    address: str = ""  # host:port or unix:PATH; "": the hub of `data`, and 127.0.0.1:8000 for `crawler hub`
    authkey_file: str = ""  # "": <data>/authkey; CRAWLER_AUTHKEY in the environment goes before both
    durability: Literal["normal", "full"] = "normal"  # full: every step is synced to disk before it is answered
    lease: Lease = 30.0  # s; length of a lease; heart-beats extend it
    max_attempts: Attempts = 5  # deliveries before a task is dead
    producer_bytes: TotalBytes = 1 << 30  # bytes waiting on a queue above which only an admin may put more there; 0: no limit
    producer_free: FreeBytes = 256 << 20  # bytes of the disk, a tenth of it at most, that such puts leave free; 0: none
    tls: bool = False  # TLS 1.3, both sides with a certificate; a Unix socket has none and needs none
    certs: str = ""  # directory of the certificates, see `crawler hub --make-certs`; "": <data>/certs
    insecure: bool = False  # allow an address other machines can reach without TLS


class FrontierSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[frontier]`: which URLs are crawled, and how gently."""

    delay: Delay = 1.0  # s between the end of one fetch from a host and the start of the next
    per_host: PerHost = 1  # fetches from one host at a time
    scope: Literal["host", "domain", "path", "any"] = "host"  # links followed: see `crawler.web.scope`
    seed_redirects: Literal["site", "any", "never"] = "site"  # which redirects of seeds widen the scope
    allow: list[str] = field(default_factory=list)  # regular expressions; if any are given a URL must match one
    deny: list[str] = field(default_factory=list)  # regular expressions; a URL that matches one is skipped
    max_depth: Limit = 0  # links followed from a seed; 0: no limit
    max_pages: Limit = 0  # URLs taken into the frontier, in all; 0: no limit
    max_pages_per_host: Limit = 0  # URLs of one host; 0: no limit
    max_waiting: Limit = 1_000_000  # URLs of one host that wait; further ones that pages lead to are not taken; 0: no limit
    max_time: CrawlTime = 0.0  # s of crawling, in all runs together; 0: no limit
    max_total_bytes: TotalBytes = 0  # bytes of bodies received, as sent, in all runs together; 0: no limit
    order: Literal["breadth", "depth"] = "breadth"  # which of the waiting URLs come first: those found first, or the deepest
    max_url_length: Characters = 2083  # characters; longer URLs are treated as a trap
    max_path_depth: Parts = 20  # segments of a path
    max_repeats: Parts = 3  # how often one segment may occur in a path
    max_query_keys: Parts = 20  # parameters of a query
    sort_query: bool = False  # ?b=1&a=2 and ?a=2&b=1 are the same page
    drop_params: list[str] = field(default_factory=list)  # query parameters that make no other page; ["utm_*"] works
    strip_www: bool = False  # www.example.org and example.org are the same host


class HostSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[hosts."example.org"]`: what differs for one host. None, "": as for all hosts."""

    delay: Delay | None = None  # s between the end of one fetch and the start of the next; Crawl-delay may ask for more
    per_host: PerHost | None = None  # fetches at a time
    max_pages: Limit | None = None  # URLs of this host; 0: no limit
    headers: dict[str, str] = field(default_factory=dict)  # sent to this host, beside those of stages.fetch.headers
    auth: str = ""  # sent to this host alone: "user:password", or "Bearer TOKEN"


class QueueSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[queues.NAME]`: only what differs from the defaults; a queue exists because a stage names it."""

    by_hand: bool = False  # people may fill or read it with `crawler put` and `crawler take`, so no stage need do so

    keyed: bool | None = None  # deduplicate by key and remember finished tasks; default: only `urls`
    polite: bool | None = None  # lease per host with the frontier's delay; default: only `urls`
    high_water: Tasks = 10_000  # tasks waiting from which the stages that feed it get no work
    high_water_bytes: StoredBytes = 256 << 20  # bytes waiting from which they get none


class StageSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of every `[stages.NAME]`; its other keys are the options of the stage's class."""

    use: str = ""  # entry point or module:Class; "": the table's own name
    input: str = ""  # queue it takes from
    outputs: str | list[str] = field(default_factory=list)  # queue or queues it may put to; a plain item goes to the first
    processes: Processes | None = None  # workers; None: `crawler run` decides, `crawler stage` starts one
    concurrency: Concurrency | None = None  # items at once in one worker; None: the class's number
    chain: bool | None = None  # `crawler run` has it in the processes of the stage it reads from; None: `run` decides
    enabled: bool = True  # false: the stage is ignored


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of the configuration."""

    data: str = "crawler-data"  # directory of the hub's store, key, socket and reports
    worker_memory: Memory = 4 << 30  # bytes a worker may take, besides its threads' stacks; 0: no limit
    hub: HubSettings = field(default_factory=HubSettings)
    frontier: FrontierSettings = field(default_factory=FrontierSettings)
    hosts: dict[str, HostSettings] = field(default_factory=dict)  # by host: see `crawler.web.hosts`
    queues: dict[str, QueueSettings] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)  # `[stages.NAME]`: see `crawler.pipeline.build`
