"""Crawl in stages: fetch, parse and store as separate processes around one durable hub.

The names here are public, and enough to write a stage; the README lists what else is public in `crawler.web` and the built-in
stages. Each is imported when it is first used, so that `crawler --help` does not wait for code it will not call.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.config.bounds import BodyBytes as BodyBytes
    from crawler.config.bounds import Delay as Delay
    from crawler.config.bounds import Expansion as Expansion
    from crawler.config.bounds import Factor as Factor
    from crawler.config.bounds import HeaderBytes as HeaderBytes
    from crawler.config.bounds import Links as Links
    from crawler.config.bounds import Rate as Rate
    from crawler.config.bounds import Redirects as Redirects
    from crawler.config.bounds import Timeout as Timeout
    from crawler.errors import AddressRefused as AddressRefused
    from crawler.errors import BadUrl as BadUrl
    from crawler.errors import CallRefused as CallRefused
    from crawler.errors import Collected as Collected
    from crawler.errors import ConfigError as ConfigError
    from crawler.errors import CrawlerError as CrawlerError
    from crawler.errors import HubError as HubError
    from crawler.errors import HubLost as HubLost
    from crawler.errors import HubUnreachable as HubUnreachable
    from crawler.errors import KeyRefused as KeyRefused
    from crawler.errors import MachineShort as MachineShort
    from crawler.errors import Mistakes as Mistakes
    from crawler.errors import OutputClosed as OutputClosed
    from crawler.errors import PageTooCostly as PageTooCostly
    from crawler.errors import StorageError as StorageError
    from crawler.errors import StorageFull as StorageFull
    from crawler.errors import UsageError as UsageError
    from crawler.errors import WireError as WireError
    from crawler.hook import Hook as Hook
    from crawler.hook import Result as Result
    from crawler.hook import Task as Task
    from crawler.hub.client import HubClient as HubClient
    from crawler.hub.manager import QueueManager as QueueManager
    from crawler.items import New as New
    from crawler.items import Pace as Pace
    from crawler.machine.shortage import no_network as no_network
    from crawler.machine.shortage import open_files as open_files
    from crawler.machine.shortage import short_of as short_of
    from crawler.machine.shortage import shortage_by_errno as shortage_by_errno
    from crawler.machine.shortage import shortage_of as shortage_of
    from crawler.notes import RobotsNote as RobotsNote
    from crawler.notes import read_robots as read_robots
    from crawler.stage import Context as Context
    from crawler.stage import Drop as Drop
    from crawler.stage import GiveUp as GiveUp
    from crawler.stage import Interrupted as Interrupted
    from crawler.stage import LocalShared as LocalShared
    from crawler.stage import Over as Over
    from crawler.stage import Pending as Pending
    from crawler.stage import Report as Report
    from crawler.stage import Retry as Retry
    from crawler.stage import Shared as Shared
    from crawler.stage import Slow as Slow
    from crawler.stage import Stage as Stage
    from crawler.stage import To as To
    from crawler.web.addresses import Guard as Guard
    from crawler.web.article import need_article as need_article
    from crawler.web.directives import Directives as Directives
    from crawler.web.directives import directives as directives
    from crawler.web.domains import is_public_suffix as is_public_suffix
    from crawler.web.domains import registered_domain as registered_domain
    from crawler.web.domains import site as site
    from crawler.web.encoding import is_html as is_html
    from crawler.web.fields import FIELD_NOTE as FIELD_NOTE
    from crawler.web.fields import Fields as Fields
    from crawler.web.fields import FieldSpec as FieldSpec
    from crawler.web.frontier import AUTH as AUTH
    from crawler.web.headers import authorization as authorization
    from crawler.web.headers import basic_auth as basic_auth
    from crawler.web.headers import header_fault as header_fault
    from crawler.web.hosts import Hosts as Hosts
    from crawler.web.html import LINK_TAGS as LINK_TAGS
    from crawler.web.html import Html as Html
    from crawler.web.html import LinkTag as LinkTag
    from crawler.web.mime import combined as combined
    from crawler.web.mime import media_type as media_type
    from crawler.web.page import REDIRECTS as REDIRECTS
    from crawler.web.page import Page as Page
    from crawler.web.page import Record as Record
    from crawler.web.page import Trail as Trail
    from crawler.web.page import Visit as Visit
    from crawler.web.page import Visits as Visits
    from crawler.web.robots import Robots as Robots
    from crawler.web.robots import product_token as product_token
    from crawler.web.scope import was_seeded as was_seeded
    from crawler.web.sitemap import Sitemap as Sitemap
    from crawler.web.urls import Url as Url
    from crawler.wording.counting import counted as counted
    from crawler.wording.extras import how_to_install as how_to_install
    from crawler.wording.texts import visible_json as visible_json
    from crawler.worker.routing import Unsendable as Unsendable
    from crawler.worker.routing import misgiven as misgiven
    from crawler.worker.rows import as_row as as_row

__version__ = "0.1.0"

_HOMES = {
    "crawler.config.bounds": ("BodyBytes", "Delay", "Expansion", "Factor", "HeaderBytes", "Links", "Rate", "Redirects", "Timeout"),
    "crawler.wording.counting": ("counted",),
    "crawler.errors": (
        "AddressRefused", "BadUrl", "CallRefused", "Collected", "ConfigError", "CrawlerError", "HubError", "HubLost",
        "HubUnreachable", "KeyRefused", "MachineShort", "Mistakes", "OutputClosed", "PageTooCostly", "StorageError", "StorageFull",
        "UsageError", "WireError",
    ),
    "crawler.wording.extras": ("how_to_install",),
    "crawler.hook": ("Hook", "Result", "Task"),
    "crawler.hub.client": ("HubClient",),
    "crawler.hub.manager": ("QueueManager",),
    "crawler.items": ("New", "Pace"),
    "crawler.notes": ("RobotsNote", "read_robots"),
    "crawler.worker.routing": ("Unsendable", "misgiven"),
    "crawler.worker.rows": ("as_row",),
    "crawler.machine.shortage": ("no_network", "open_files", "short_of", "shortage_by_errno", "shortage_of"),
    "crawler.stage": (
        "Context", "Drop", "GiveUp", "Interrupted", "LocalShared", "Over", "Pending", "Report", "Retry", "Shared", "Slow", "Stage",
        "To",
    ),
    "crawler.wording.texts": ("visible_json",),
    "crawler.web.addresses": ("Guard",),
    "crawler.web.article": ("need_article",),
    "crawler.web.directives": ("Directives", "directives"),
    "crawler.web.domains": ("is_public_suffix", "registered_domain", "site"),
    "crawler.web.encoding": ("is_html",),
    "crawler.web.fields": ("FIELD_NOTE", "FieldSpec", "Fields"),
    "crawler.web.frontier": ("AUTH",),
    "crawler.web.scope": ("was_seeded",),
    "crawler.web.headers": ("authorization", "basic_auth", "header_fault"),
    "crawler.web.hosts": ("Hosts",),
    "crawler.web.html": ("LINK_TAGS", "Html", "LinkTag"),
    "crawler.web.mime": ("combined", "media_type"),
    "crawler.web.page": ("REDIRECTS", "Page", "Record", "Trail", "Visit", "Visits"),
    "crawler.web.robots": ("Robots", "product_token"),
    "crawler.web.sitemap": ("Sitemap",),
    "crawler.web.urls": ("Url",),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'crawler' has no public name {name!r}; it has {', '.join(sorted(_HOME))}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*_HOME, "__version__"])
