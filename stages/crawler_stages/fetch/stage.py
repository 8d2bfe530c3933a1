"""Fetch: a visit in, the page out. Which URLs, and when, is not decided here.

urls: Visit ──▶ robots.txt ──▶ HTTP ──▶ pages: Page, whatever its status
                    │            └────▶ urls: Visit, where a redirect leads
                    └▶ Drop      └▶ Retry, with rest for the host where it asked for it, or GiveUp: see `failures`
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from crawler import (
    REDIRECTS,
    AddressRefused,
    ConfigError,
    Drop,
    Guard,
    Interrupted,
    Over,
    Pace,
    Page,
    Pending,
    Report,
    Slow,
    Stage,
    To,
    Url,
    Visit,
    combined,
    media_type,
    open_files,
    site,
    was_seeded,
)
from crawler_stages.clients.choice import choose, preload
from crawler_stages.clients.contract import FetchFailed, Lacking, Limits, PutOff, Reply, Running, Start, Take, Wants, Work
from crawler_stages.fetch.failures import ON_STATUS, Failures, Outage
from crawler_stages.fetch.identity import Identity
from crawler_stages.fetch.options import FetchOptions, agent, check, proxies
from crawler_stages.fetch.redirects import LOOP, told
from crawler_stages.fetch.robots_files import RobotsFiles, Rules

if TYPE_CHECKING:
    from crawler import Hosts
    from crawler_stages.fetch.copies import Copies

log = logging.getLogger(__name__)

_SITEMAPS: Final = (".xml", ".xml.gz")  # wanted as whatever they are sent: many servers know no type for them
# Types that do not tell the content: such a body is read if a person named it, because it may be a sitemap.
_UNSPOKEN: Final = frozenset({
    "application/octet-stream", "binary/octet-stream", "application/x-download", "application/force-download",
})  # fmt: skip
_TYPES_COUNTED: Final = 20  # types of bodies that are not read, counted apart
_LISTED: Final = 1_000  # sitemaps taken from one robots.txt
_LONGEST_REST: Final = 30.0  # s between two pages that a slow host is given by `adaptive`; Heritrix 30
_OVERLAP: Final = 256  # pages at once at most, where the client needs no thread for each
_OVERLAP_BYTES: Final = 1280 << 20  # of all of them together, were each as large as `max_bytes`
_MOST_SLOW: Final = 2_000  # slow requests beyond the usual number
_CROWDED_REST: Final = 30.0  # s that a host waits whose site holds its share of slow requests
_PAUSING: Final = 4  # threads that may wait between a robots.txt and its page: few, because new hosts need threads
_FILES_APART: Final = 32  # open files for all that is not a connection to a site
_TYPE: Final = 256  # characters of a content type that are looked at
_ROBOTS_REQUESTS: Final = 6  # for one robots.txt: RFC 9309 asks for five redirects
_MARGIN: Final = 60.0  # s
_TOLD: Final = 10  # hosts; enough to read of ten thousand seeds that are not found
_TOLD_PAUSE: Final = 1.0  # s; a shorter pause after robots.txt is over before anybody looks
_SHOWN: Final = 80  # characters of a value in an error
_ORIGINS: Final = 10_000  # whose Crawl-delay is known to be told
_VISITS: Final = 10_000  # that wait for a robots.txt; many more than are lent at once
_TELLING: Final = 2.0  # s until the hub knows a Crawl-delay for sure: a worker talks to it each second


class Fetch(Stage):
    """Fetch pages as robots.txt allows, within limits of time, size and address."""

    class Options(FetchOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """Options of `[stages.fetch]`: see `options`."""

    concurrency: ClassVar[int] = 16
    prefetch: ClassVar[int] = 0  # a leased URL keeps its host waiting
    stuck: ClassVar[float] = 0.0  # its requests have their own time-outs
    hang: ClassVar[float] = 900.0  # s at least; see `_settle_patience`
    grace: ClassVar[float] = 3.0  # s; most answers come sooner, and a page that did not come is fetched again

    @classmethod
    def preload(cls, options: Any) -> None:
        preload(options.client)
        import_module("crawler_stages.fetch.slow")

    @classmethod
    def sends_to(cls, options: FetchOptions) -> tuple[str, ...]:
        return ("urls",) if cls.process is Fetch.process else ()

    @classmethod
    def check(cls, options: FetchOptions, table: str) -> None:
        check(options, table)

    def open(self) -> None:
        options: FetchOptions = self.options
        self._settle_patience(options)
        limits = Limits(
            timeout=options.timeout,
            connect_timeout=options.connect_timeout,
            min_rate=options.min_rate,
            max_bytes=options.max_bytes,
            max_ratio=options.max_ratio,
            max_header_bytes=options.max_header_bytes,
        )
        self._hosts = _hosts(self.context.hosts)
        self._identity = Identity(
            agent(options), options.headers, options.auth, has_cookies=options.cookies, shared=self.shared, hosts=self._hosts
        )
        self._proxies = proxies(options.proxy)
        self._client, name = choose(
            options.client, limits, Guard(self._may_be_private), verify=options.verify, proxies=self._proxies
        )
        start = getattr(self._client, "start", None)
        if start is not None and not options.revalidate:  # else it is the disk that is waited for
            self._start: Start = start
            self.overlap = min(max(_OVERLAP_BYTES // options.max_bytes, self.concurrency), _OVERLAP, _by_files())
        state = options.state or self.context.state
        self._copies = _copies(state) if options.revalidate and state else None
        self._failures = Failures()
        self._outage = Outage()
        self._obeyed: dict[str, Rules | None] = {}  # visits that `prepare` has prepared: the rules that allow them
        self._crowded: frozenset[str] = frozenset()  # sites with their share of slow requests
        # Here and not at the top, for a quick start; and not when it is needed, because there may be no open files then.
        from crawler_stages.fetch.slow import crowded, places_note

        self._crowded_by, self._note = crowded, places_note
        self._most_slow = min(_MOST_SLOW, _by_files() - self.overlap)
        self._has_answer = False  # whether any server has answered this process
        self._told: set[str] = set()  # hosts of seeds whose status has been warned of
        self._robots = RobotsFiles(self.shared, self._ask_for_robots)
        self._delays: dict[str, float] = {}  # Crawl-delays the hub has been told, by origin
        self._unread: set[str] = set()  # types of bodies that were not read, counted apart
        self._met: dict[str, float] = {}  # visits that wait for a robots.txt: when they came, s since the epoch
        self._is_readable = lru_cache(maxsize=1_000)(self._judge_type)
        self._closing = threading.Event()
        self._pauses = threading.Semaphore(_PAUSING)
        log.info("fetching with %s as %s", name, agent(options))

    def interrupt(self) -> None:
        self._closing.set()
        self._client.close()

    def close(self) -> None:
        self.interrupt()
        if self._copies:
            self._copies.close()

    def process(self, visit: Visit) -> Iterator[Any]:
        url = Url.parse(visit.url)
        self._put_off_crowded(url)
        rules = self._obey(visit, url) if self.options.robots else None
        at = time.time()
        headers = self._headers(visit, url)
        yield from self._pages(visit, url, rules, at, headers, self._get(visit, url, headers))

    def begin(self, visit: Visit) -> Pending | None:
        """Prepare a fetch without a thread, if robots.txt and the addresses are known, so that only the page is waited for."""
        url = Url.parse(visit.url)
        is_obeyed = visit.url in self._obeyed
        rules = self._obeyed.pop(visit.url, None) if is_obeyed else self._robots.known(url.origin) if self.options.robots else None
        if self.options.robots and rules is None:
            if len(self._met) >= _VISITS:
                self._met.clear()
            self._met.setdefault(visit.url, time.time())
            return None
        self._put_off_crowded(url)
        if self.options.robots and rules is not None and not is_obeyed:
            self._check(rules, url)
            self._refuse_early(rules, self._came(visit))
        return _Begun(self, visit, url, rules)

    def prepare(self, visit: Visit) -> bool:
        """Learn robots.txt and addresses of a host: the page itself needs no thread."""
        look_up = getattr(self._client, "look_up", None)
        url = Url.parse(visit.url)
        if not self.overlap or look_up is None or url.scheme in self._proxies:
            return False
        self._put_off_crowded(url)
        rules = self._obey(visit, url) if self.options.robots else None
        try:
            look_up(url)
        except (FetchFailed, AddressRefused) as error:
            raise self._failure(error, visit, url) from error
        if len(self._obeyed) >= _VISITS:
            self._obeyed.clear()
        self._obeyed[visit.url] = rules
        return True

    def slow(self) -> Slow:
        """Requests for which hardly a byte comes."""
        now = time.monotonic()
        running = self._client.running()
        self._keep_memory(running)
        slow = [each for each in running if each.is_slow(now)]
        self._crowded = self._crowded_by(slow)
        note = self._note(slow, len(running), now)
        return Slow(min(len(slow), self._most_slow), sum(each.in_thread for each in slow), note)

    def _keep_memory(self, running: Sequence[Running]) -> None:
        """Put off those of which most has come, if all together are more than there is memory for: they were slow, and many."""
        over = sum(each.received for each in running) - _OVERLAP_BYTES
        for each in sorted(running, key=lambda each: -each.received) if over > 0 else ():
            if over <= 0:
                break
            each.put_off()
            over -= each.received

    def _put_off_crowded(self, url: Url) -> None:
        """Raise Interrupted for a host of a site that holds its share of places already, all of them slow."""
        if self._crowded and site(url.hostname) in self._crowded:
            self.count("put off/slow site")
            self.tell(Pace(url.host, rest=_CROWDED_REST))
            raise Interrupted

    def _pages(
        self, visit: Visit, url: Url, rules: Rules | None, at: float, headers: Mapping[str, str], reply: Reply
    ) -> Iterator[Any]:  # fmt: skip
        """Yield the page and what else a reply gives. at: when it was asked for, s since the epoch; headers: with which."""
        news = self._identity.learn(url, reply)
        retry = self._failures.of_status(reply, url.host)
        if retry is not None:
            self.count(f"retried/{reply.status}")
            raise retry
        self.count(f"status/{reply.status}")
        if visit.is_seed and reply.status >= 400:
            self._warn(visit, url, reply.status)
        page = _page(visit, reply, at)
        line = f"{reply.status}, {len(reply.content)} bytes in {reply.seconds:.2f} s"
        target = page.location
        most = self.options.max_redirects
        led = self._identity.follow(visit, target, most, headers.get("Cookie", ""), news) if target else None
        if target:
            line += f", to {target}{self._what_of(visit, led, reply)}"
        elif page.unread:
            line += f", body of {page.unread} not read; see stages.fetch.content_types"
        if page.unread or not reply.content:
            self._count_body(page, reply)
        yield Report(line)
        if target != visit.url or isinstance(led, str):  # else the page is still to come, under the same URL
            yield page
        if isinstance(led, Visit):
            yield To("urls", led)
        if self.options.adaptive:
            yield Pace(url.host, rest=min(self.options.adaptive * reply.seconds, _LONGEST_REST))
        if rules is not None and visit.is_seed and self.options.sitemaps:
            yield from self._listed(visit, url, rules)

    def _listed(self, visit: Visit, url: Url, rules: Rules) -> Iterator[To]:
        """Return the sitemaps that robots.txt names. Only with the page: output of a failed visit never reaches the hub."""
        listed = (url.join(sitemap) for sitemap in rules.robots.sitemaps[:_LISTED])
        source = f"{url.origin}/robots.txt"
        yield from (To("urls", Visit(sitemap, visit.depth, source, is_sitemap=True)) for sitemap in listed if sitemap)

    def _count_body(self, page: Page, reply: Reply) -> None:
        """Count a body that there is nothing in, or that was not read, by its type as long as there are few."""
        if page.unread:
            self.count("body/skipped")
            is_counted = page.unread in self._unread or len(self._unread) < _TYPES_COUNTED
            if is_counted:
                self._unread.add(page.unread)
            self.count(f"unread/{page.unread if is_counted else 'other types'}")
        if not reply.content and (200 <= reply.status < 300 or reply.status == 304):
            self.count("nothing/unread" if page.unread else "nothing/empty")

    def _warn(self, visit: Visit, url: Url, status: int) -> None:
        """Warn at once that a seed is an error page, for the first few hosts."""
        if url.host not in self._told and len(self._told) < _TOLD:
            self._told.add(url.host)
            log.warning("%s: the server answers with status %d", visit.url, status)

    def _what_of(self, visit: Visit, led: Visit | str | None, reply: Reply) -> str:
        """Count a redirect that is not followed, and return the report on it."""
        if isinstance(led, str):
            self.count(f"skipped/{led}")
            wants_cookies = not self.options.cookies and any(name.lower() == "set-cookie" for name, _ in reply.headers)
            why = told(led, self.options.max_redirects, wants_cookies=wants_cookies)
            if wants_cookies and led == LOOP and visit.is_seed:
                log.warning("%s: redirects in %s", visit.url, why)
            return f": {why}"
        return ", again with other cookies" if led and led.trail and led.url in led.history else ""

    def _headers(self, visit: Visit, url: Url) -> Mapping[str, str]:
        self._identity.arrive(visit)
        return self._identity.headers(url, is_seed=visit.is_seed)

    def _get(self, visit: Visit, url: Url, headers: Mapping[str, str]) -> Reply:
        """Return the reply; for a page that has not changed, with the content of its copy."""
        copy = self._copies.find(url.href) if self._copies else None
        if copy:
            headers = {**headers, **copy.conditions()}
        reply = self._taken(lambda: self._client.get(url.href, headers, wants=self._wanted(visit, url)), visit, url)
        if copy and reply.status == 304:
            return copy.confirmed(reply)
        if self._copies and reply.status < 500:
            self._copies.keep(url.href, reply)
        return reply

    def _taken(self, take: Take, visit: Visit, url: Url) -> Reply:
        try:
            reply = take()
        except (FetchFailed, AddressRefused) as error:
            raise self._failure(error, visit, url) from error
        self._has_answer = True
        self._outage.answered(url.hostname)
        self.count("bytes", reply.received)
        return reply

    def _wanted(self, visit: Visit, url: Url) -> Wants:
        return lambda *head: self._wants(visit, url, *head)

    def _wants(self, visit: Visit, url: Url, status: int, headers: list[tuple[str, str]]) -> bool:
        """Return whether to read a body. A redirect's is not read: it is a link to the target, for browsers of 1995."""
        if 300 <= status < 400 and Page(url=url.href, status_code=status, header_pairs=headers).location:
            return False
        kind = combined([value for name, value in headers if name.lower() == "content-type"])
        if self._is_readable(kind[:_TYPE]) or visit.is_sitemap or url.path.endswith(_SITEMAPS):
            return True
        return visit.is_seed and media_type(kind) in _UNSPOKEN

    def _judge_type(self, content_type: str) -> bool:
        kind = media_type(content_type)
        types = self.options.content_types
        return not (kind and types) or any(fnmatchcase(kind, wanted) for wanted in types)

    def _ask_for_robots(self, url: str, cut: int) -> Reply:
        reply = self._client.get(url, self._identity.headers(Url.parse(url)), cut)
        self._has_answer = True
        return reply

    def _obey(self, visit: Visit, url: Url) -> Rules:
        """The rules that allow it. Raises Drop: not allowed, Retry: not known, Interrupted: not now."""
        came = self._came(visit)
        try:
            rules = self._robots.rules(url.origin)
        except (FetchFailed, AddressRefused) as error:
            raise self._failure(error, visit, url, "robots.txt: ") from error
        self._tell_delay(url, rules)
        self._check(rules, url)
        if rules.was_fetched:
            self._pause(url, rules)
        self._refuse_early(rules, came)
        return rules

    def _tell_delay(self, url: Url, rules: Rules) -> None:
        """Tell the hub of a Crawl-delay before the page is asked for, so that the gap after that page is as long already."""
        delay = self._delay(rules)
        if self._delays.get(url.origin, 0.0) == delay:
            return
        if len(self._delays) >= _ORIGINS:
            self._delays.clear()
        self._delays[url.origin] = delay
        # Origins of both schemes are one host to the hub.
        self.tell(Pace(url.host, delay=max(self._delays.get(f"{scheme}://{url.host}", 0.0) for scheme in ("http", "https"))))

    def _settle_patience(self, options: FetchOptions) -> None:
        """Set the pause after robots.txt, and the time after which a task is taken for hung.

        A robots.txt after five redirects, the pause after it, and the page: with no setting may this look like a hung task.
        """
        given = options.pause_after_robots
        self._pause_set = self.context.delay if given is None else given  # s; None: there is no hub, and no pause
        longest = (_ROBOTS_REQUESTS + 1) * options.timeout + max(self._pause_set or 0.0, options.max_crawl_delay)
        self.hang = max(self.hang, longest + _MARGIN)  # type: ignore[misc]  # of the class, where options do not ask for more

    def _pause_of(self, host: str) -> float:
        """Return the pause after robots.txt in s, whatever its Crawl-delay: the delay of the host's own table, or the setting."""
        table = self._hosts.of(host) if self._hosts else None
        return (self._pause_set or 0.0) if table is None or table.delay is None else table.delay

    def _pause(self, url: Url, rules: Rules) -> None:
        """Wait between robots.txt and the page. The hub is told of a long wait, so that it can say what the crawl waits for.

        Raises Interrupted instead of asking too early, and where many wait already: the hub lends the page once the pause is over.
        """
        delay = self._delay(rules)
        pause = max(self._pause_of(url.host), delay)
        if not (self._has_hub and pause):
            return
        if not self._pauses.acquire(blocking=False):
            self.tell(Pace(url.host, rest=pause))
            raise Interrupted
        try:
            self._wait(url, pause, delay)
        finally:
            self._pauses.release()

    def _wait(self, url: Url, pause: float, delay: float) -> None:
        """Wait for a pause in s. delay: the Crawl-delay. Raises Interrupted if the stage ends meanwhile."""
        if delay or pause > _TOLD_PAUSE:  # with a rest: no other worker may lease a page that would come too soon after this one
            held = pause if pause > _TOLD_PAUSE else None
            self.tell(Pace(url.host, held=held, rest=pause + delay if delay else None))
        if self._closing.wait(pause):
            raise Interrupted

    def _came(self, visit: Visit) -> float:
        """Return the time this visit was first seen, s since the epoch."""
        return (self._met.pop(visit.url, 0.0) if self._met else 0.0) or time.time()

    def _refuse_early(self, rules: Rules, came: float) -> None:
        """Raise Interrupted for a visit that was lent before the hub knew the Crawl-delay: it is given back, and lent in its time.

        Without a delay of our own, several of a host may be lent at once.
        """
        if self._delay(rules) and not rules.was_fetched and self._has_hub and came < rules.fetched_at + _TELLING:
            raise Interrupted

    @property
    def _has_hub(self) -> bool:
        return self._pause_set is not None

    def _check(self, rules: Rules, url: Url) -> None:
        """Raises Drop: they do not allow it."""
        ruling = rules.robots.why(self._identity.agent, url.target)
        if not ruling.allowed:
            self.count("skipped/robots")
            raise Drop(f"robots.txt: {ruling}")

    def _failure(self, error: FetchFailed | AddressRefused, visit: Visit, url: Url, what: str = "") -> Exception:
        # It was interrupted: the server has done nothing wrong.
        if self._closing.is_set() or isinstance(error, PutOff):
            return Interrupted()
        is_refused = isinstance(error, AddressRefused)
        short = error.short if isinstance(error, Lacking) else None
        if isinstance(error, FetchFailed) and error.may_be_ours:
            short = self._outage.failed(url.hostname, str(error))
        if short is not None:
            return short
        self.count("skipped/private address" if is_refused else f"failed/{'robots.txt' if what else type(error).__name__}")
        return self._failures.of_error(error, url.host, what, is_start=visit.is_seed and not self._has_answer)

    def _delay(self, rules: Rules) -> float:
        """Return the Crawl-delay in s; 0 if there is none."""
        limit: float = self.options.max_crawl_delay
        return min(rules.robots.delay(self._identity.agent) or 0.0, limit)

    def _may_be_private(self, host: str) -> bool:
        return host in self.options.allow_private or was_seeded(self.shared, host)


class _Begun(Pending):
    """A page that can be fetched without a thread."""

    __slots__ = ("_at", "_fetch", "_headers", "_over", "_rules", "_take", "_url", "_visit")

    def __init__(self, fetch: Fetch, visit: Visit, url: Url, rules: Rules | None) -> None:
        self._fetch = fetch
        self._visit = visit
        self._url = url
        self._rules = rules
        self._at = time.time()
        self._headers = fetch._headers(visit, url)

    def start(self, over: Over) -> bool:
        self._over = over
        fetch = self._fetch
        try:
            return fetch._start(self._url, self._headers, fetch._wanted(self._visit, self._url), self._answered)
        except (FetchFailed, AddressRefused) as error:
            raise fetch._failure(error, self._visit, self._url) from error

    def _answered(self, take: Take | None, status: int) -> Work:
        if take is None:
            return self._over(False)
        self._take = take
        # A server that needs a rest is not asked again before the hub knows.
        return self._over(True, status > 0 and status not in ON_STATUS and not self._fetch.options.adaptive)

    def finish(self) -> Iterator[Page | Report | To | Pace]:
        fetch = self._fetch
        reply = fetch._taken(self._take, self._visit, self._url)
        return fetch._pages(self._visit, self._url, self._rules, self._at, self._headers, reply)


def _page(visit: Visit, reply: Reply, at: float) -> Page:
    return Page.of(
        reply.content,
        url=visit.url,
        status_code=reply.status,
        header_pairs=reply.headers,
        depth=visit.depth,
        referrer=visit.referrer,
        history=visit.history,
        is_seed=visit.is_seed,
        fetched_at=at,
        seconds=reply.seconds,
        is_sitemap=visit.is_sitemap,
        indexes=visit.indexes,
        unread=_unread(reply) if reply.is_skipped else "",
    )


def _unread(reply: Reply) -> str:
    """Return why the body of a reply was skipped, in words that can be counted; "" if it is a redirect's."""
    if reply.status in REDIRECTS:
        return ""
    kind = media_type(combined([value for name, value in reply.headers if name.lower() == "content-type"]))
    return f"type {kind[:_SHOWN]}"


def _hosts(tables: Mapping[str, Any]) -> Hosts | None:
    if not tables:
        return None
    from crawler import Hosts  # here, because few crawls have settings of single hosts

    return Hosts(tables)


def _by_files() -> int:
    """Return how many requests at once the files and connections that this process may have open are enough for."""
    limit = open_files()
    return max(limit - limit // 4 - _FILES_APART, 1) if limit else _OVERLAP  # a quarter: see `clients.wire.kept_connections`


def _copies(state: str) -> Copies:
    import sqlite3  # here, because few crawls keep copies

    from crawler_stages.fetch.copies import Copies

    try:
        return Copies(Path(state))
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"stages.fetch.revalidate: pages cannot be kept in {state}: {error}; name another state") from error
