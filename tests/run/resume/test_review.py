"""Rules that are changed at a resume are applied to the URLs that are queued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crawler.broker.contract import Politeness
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.place import store_path
from crawler.broker.sqlite.schema import STATES
from crawler.config.load import Config, load
from crawler.items import Done, Failed, New, Step
from crawler.pipeline.build import build
from crawler.run.next_commands import PLAIN
from crawler.run.resume import review
from crawler.web import urls
from crawler.web.frontier import Frontier
from crawler.web.page import Visit
from crawler.worker.shared_notes import SharedNotes

SEED = "http://a.test/docs/"
# The links that the seed has. It is done; the links are queued in this order.
LINKS = [
    "http://a.test/docs/1", "http://a.test/docs/junk", "http://a.test/blog/", "http://www.a.test/docs/", "http://b.test/",
    "http://b.test/docs/2", "http://a.test/docs/x?a=1&b=2&c=3", "http://a.test/docs/a/a/a/",
]  # fmt: skip
DEEP = "http://a.test/docs/deep"  # two links from the seed
WIDE = ("frontier.scope=any",)  # so that all of them are admitted at first


class Crawl:
    """The store of a crawl, opened again for each run."""

    def __init__(self, directory: Path) -> None:
        self._path = str(store_path(directory))
        self.call = 0

    def open(self, config: Config) -> SqliteBroker:
        self.broker = SqliteBroker(self._path, list(build(config).queues.values()), Politeness(99, 0))
        return self.broker

    def step(self, **more: Any) -> Any:
        self.call += 1
        return self.broker.step(Step("w", self.call, "urls", ttl=1000.0, **more))

    def begin(self, *sets: str) -> None:
        """Fetch the seed, which has `LINKS`; of these one has a link of its own, to `DEEP`."""
        config = load(None, [*sets], {})
        self.open(config)
        frontier = Frontier(config.settings.frontier, SharedNotes(self.broker))
        self.broker.put([frontier.seed(SEED)])
        found = [frontier.admit(Visit(url, 1, SEED)) for url in LINKS] + [frontier.admit(Visit(DEEP, 2, LINKS[0]))]
        children = [new for new in found if isinstance(new, New)]
        refused = [new for new in found if isinstance(new, str)]
        counters = {f"fetch/skipped/{reason}": refused.count(reason) for reason in refused}
        [lease] = self.step(want=1).leases
        self.step(done=[Done(lease.token, children, "200")], counters=counters)
        self.broker.close()

    def resume(self, then: Sequence[str], now: Sequence[str]) -> list[str]:
        """Go on with other settings, as `crawler run --change` does. Returns what is said."""
        before, config = (load(None, [*sets], {}) for sets in (then, now))
        self.open(config)
        self.broker.expire(None)
        old, new = (msgspec.to_builtins(each.settings.frontier) for each in (before, config))
        changed: Mapping[str, review.Change] = {f"frontier.{key}": (old[key], new[key]) for key in new if old[key] != new[key]}
        said = review.apply(self.broker, config.settings.frontier, changed, PLAIN, obeys_robots=True)
        self.check()
        return said

    def queued(self) -> list[str]:
        leases = self.step(want=100).leases
        self.step(released=[lease.token for lease in leases])
        return [msgspec.msgpack.decode(lease.item, type=Visit).url for lease in leases]

    def close(self) -> None:
        self.broker.close()

    def check(self) -> None:
        """The counts of the queue and its hosts are those of the rows."""

        def counts(ledger: Any) -> Any:
            queue = ledger.queue("urls")
            ledger.lanes.flush()
            rows = dict(ledger.db.execute("SELECT state, count(*) FROM task WHERE queue = ? GROUP BY state", (queue.id,)))
            size = ledger.db.execute(
                "SELECT ifnull(sum(length(item)), 0) FROM whole WHERE queue = ? AND state IN (0, 1)", (queue.id,)
            ).fetchone()[0]
            lanes = ledger.db.execute(
                "SELECT accepted, (SELECT count(*) FROM task WHERE lane = lane.id AND state < 5), "
                "ready, (SELECT count(*) FROM task WHERE lane = lane.id AND state = 0) FROM lane WHERE queue = ?", (queue.id,)
            ).fetchall()  # fmt: skip
            return queue.accepted, list(queue.counts), queue.bytes, rows, size, lanes

        accepted, counted, size, rows, expected_size, lanes = self.broker.run(counts)
        assert counted == [rows.get(state, 0) for state in range(len(STATES))]
        assert accepted == sum(counted)
        assert size == expected_size
        assert all(accepted == there and ready == waiting for accepted, there, ready, waiting in lanes)


@pytest.fixture
def crawl(tmp_path: Path) -> Crawl:
    return Crawl(tmp_path)


def names(*places: int) -> list[str]:
    return [[*LINKS, DEEP][place] for place in places]


CHANGES = [  # settings after the resume, and which of the links stay queued; 8 is the deep one
    (["frontier.deny=['junk']"], [0, 2, 3, 4, 5, 6, 7, 8]),
    (["frontier.deny=['junk', '/blog/']"], [0, 3, 4, 5, 6, 7, 8]),
    (["frontier.deny=['.']"], []),
    (["frontier.allow=['/docs/']"], [0, 1, 3, 5, 6, 7, 8]),
    (["frontier.allow=['/docs/[0-9]']", "frontier.deny=['b[.]test']"], [0]),
    (["frontier.scope=host"], [0, 1, 2, 6, 7, 8]),
    (["frontier.scope=domain"], [0, 1, 2, 3, 6, 7, 8]),
    (["frontier.scope=path"], [0, 1, 6, 7, 8]),
    (["frontier.max_depth=1"], [0, 1, 2, 3, 4, 5, 6, 7]),
    (["frontier.max_pages=4"], [0, 1, 2]),
    (["frontier.max_pages=1"], []),
    (["frontier.max_pages=100"], [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    (["frontier.max_pages_per_host=2"], [0, 3, 4, 5]),
    (["frontier.max_pages_per_host=1"], [3, 4]),
    (["frontier.max_pages_per_host=2", "frontier.max_pages=3"], [0, 3]),
    (["frontier.deny=['junk']", "frontier.max_pages=4"], [0, 2, 3]),
    (["frontier.max_url_length=19"], [2, 4]),
    (["frontier.max_path_depth=2"], [0, 1, 2, 3, 4, 5, 6, 8]),
    (["frontier.max_repeats=2"], [0, 1, 2, 3, 4, 5, 6, 8]),
    (["frontier.max_query_keys=2"], [0, 1, 2, 3, 4, 5, 7, 8]),
]


@pytest.mark.parametrize(("sets", "expected"), CHANGES, ids=[" ".join(sets) for sets, _ in CHANGES])
def test_narrower_rules_hold_for_what_is_queued_and_wider_ones_bring_it_back(
    crawl: Crawl, sets: list[str], expected: list[int]
) -> None:
    crawl.begin(*WIDE)
    scope = [] if any("scope" in each for each in sets) else WIDE

    said = crawl.resume(WIDE, [*scope, *sets])

    assert sorted(crawl.queued()) == sorted(names(*expected))
    aside = len(LINKS) + 1 - len(expected)
    assert [line for line in said if f"{aside} queued URL" in line] == said[: aside > 0]
    stats = crawl.broker.stats()
    assert next(queue for queue in stats.queues if queue.name == "urls").accepted == len(expected) + 1
    assert sum(n for name, n in stats.counters.items() if name.startswith("urls/aside/")) == aside
    crawl.close()

    said = crawl.resume([*scope, *sets], WIDE)

    assert sorted(crawl.queued()) == sorted([*LINKS, DEEP])
    assert [line for line in said if "queued again" in line] == (
        [f"{aside} URL{'s' if aside > 1 else ''} that earlier rules had set aside {'are' if aside > 1 else 'is'} queued again"]
        if aside else []
    )  # fmt: skip
    assert not any(n for name, n in crawl.broker.stats().counters.items() if name.startswith("urls/aside/"))
    crawl.close()


def test_what_is_set_aside_is_not_queued_again_by_a_link_and_its_story_tells_why(crawl: Crawl) -> None:
    crawl.begin(*WIDE)
    crawl.resume(WIDE, [*WIDE, "frontier.deny=['junk']"])

    again = New("urls", msgspec.msgpack.encode(Visit(LINKS[1], 1, SEED)), urls.key(LINKS[1]), "a.test")
    assert crawl.broker.put([again]) == ["duplicate"]
    story = crawl.broker.why("urls", urls.key(LINKS[1]))

    assert story is not None
    assert (story.state, story.report) == ("aside", "denied by pattern")
    crawl.close()


def test_a_limit_that_is_raised_takes_back_what_came_first(crawl: Crawl) -> None:
    crawl.begin(*WIDE)
    crawl.resume(WIDE, [*WIDE, "frontier.max_pages=2"])
    crawl.close()

    crawl.resume([*WIDE, "frontier.max_pages=2"], [*WIDE, "frontier.max_pages=5"])

    assert sorted(crawl.queued()) == sorted(names(0, 1, 2, 3))
    crawl.close()


def test_tasks_that_wait_for_another_attempt_and_dead_ones_are_judged_too(crawl: Crawl) -> None:
    crawl.begin(*WIDE)
    crawl.open(load(None, WIDE, {}))
    leases = {msgspec.msgpack.decode(lease.item, type=Visit).url: lease for lease in crawl.step(want=100).leases}
    dead, delayed, other = leases[LINKS[1]], leases[LINKS[4]], leases[LINKS[5]]
    crawl.step(failed=[
        Failed(dead.token, "no", final=True), Failed(other.token, "no", final=True), Failed(delayed.token, "503", after=900.0),
    ])  # fmt: skip
    crawl.close()

    crawl.resume(WIDE, [*WIDE, "frontier.deny=['junk', 'b[.]test/$']"])

    assert [each.item for each in crawl.broker.dead()] == [other.item]
    assert sorted(crawl.queued()) == sorted(names(0, 2, 3, 6, 7, 8))
    crawl.close()


def test_the_order_of_what_is_queued_follows_the_changed_setting(crawl: Crawl) -> None:
    crawl.begin(*WIDE)

    crawl.resume(WIDE, [*WIDE, "frontier.order=depth"])

    assert next(url for url in crawl.queued() if url.startswith("http://a.test/")) == DEEP
    crawl.close()


def test_a_seed_stays_whatever_the_patterns_and_where_it_redirects_is_judged(crawl: Crawl) -> None:
    first = load(None, ["frontier.seed_redirects=any"], {})
    crawl.open(first)
    frontier = Frontier(first.settings.frontier, SharedNotes(crawl.broker))
    redirected = frontier.admit(Visit("http://social.test/me", history=(SEED,), is_seed=True))
    assert isinstance(redirected, New)
    linked = frontier.admit(Visit("http://social.test/you", 1, "http://social.test/me"))
    assert isinstance(linked, New)
    crawl.broker.put([frontier.seed(SEED), redirected, linked])
    crawl.close()

    said = crawl.resume(["frontier.seed_redirects=any"], ["frontier.deny=['docs']"])

    assert crawl.queued() == [SEED]
    assert "2 queued URLs" in said[0]
    crawl.close()


def test_many_tasks_are_judged_in_batches(crawl: Crawl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.broker.sqlite.review.BATCH", 3)
    crawl.begin(*WIDE)

    crawl.resume(WIDE, [*WIDE, "frontier.max_pages=2", "frontier.deny=['blog']"])
    assert crawl.queued() == names(0)
    crawl.close()
    crawl.resume([*WIDE, "frontier.max_pages=2", "frontier.deny=['blog']"], ["frontier.scope=path"])

    assert sorted(crawl.queued()) == sorted(names(0, 1, 6, 7, 8))
    crawl.close()


def test_what_robots_txt_forbade_is_queued_again_when_it_is_not_obeyed_any_more(crawl: Crawl) -> None:
    crawl.begin(*WIDE)
    config = load(None, WIDE, {})
    crawl.open(config)
    leases = crawl.step(want=3).leases
    crawl.step(
        done=[Done(lease.token, (), "dropped: robots.txt: Disallow: / (line 2)") for lease in leases],
        counters={"fetch/skipped/robots": 3},
    )  # fmt: skip

    said = review.apply(crawl.broker, config.settings.frontier, {review.ROBOTS: (True, False)}, PLAIN, obeys_robots=False)

    crawl.check()
    assert said == ["3 URLs that robots.txt forbids are queued again: it is no longer obeyed"]
    assert len(crawl.queued()) == len(LINKS) + 1
    assert crawl.broker.stats().counters["fetch/skipped/robots"] == 0
    crawl.close()


def test_links_that_the_earlier_rules_refused_are_told_to_be_unknown_if_the_new_ones_are_wider(crawl: Crawl) -> None:
    then = ["frontier.max_depth=1", "frontier.deny=['junk']"]
    crawl.begin(*then)

    narrower = crawl.resume(then, [*then, "frontier.allow=['docs']"])
    crawl.close()
    deeper = crawl.resume(then, ["frontier.max_depth=2", "frontier.deny=['junk']"])

    assert not any("not stored" in line for line in narrower)
    [line] = [line for line in deeper if "not stored" in line]
    assert "1 too deep" in line
    assert "crawler run --fresh" in line
    crawl.close()


@pytest.mark.parametrize(("name", "then", "now", "expected"), [
    ("frontier.scope", "host", "domain", True), ("frontier.scope", "any", "path", False), ("frontier.scope", "path", "host", True),
    ("frontier.seed_redirects", "site", "any", True), ("frontier.seed_redirects", "site", "never", False),
    ("frontier.allow", [], ["a"], False), ("frontier.allow", ["a"], [], True), ("frontier.allow", ["a"], ["a", "b"], True),
    ("frontier.allow", ["a", "b"], ["a"], False), ("frontier.deny", [], ["a"], False), ("frontier.deny", ["a"], [], True),
    ("frontier.deny", ["a"], ["b"], True), ("frontier.max_depth", 2, 3, True), ("frontier.max_depth", 2, 0, True),
    ("frontier.max_depth", 0, 2, False), ("frontier.max_depth", 3, 2, False), ("frontier.max_pages", 5, 9, True),
    ("frontier.order", "breadth", "depth", False),
])  # fmt: skip
def test_wider(name: str, then: Any, now: Any, expected: bool) -> None:
    assert review.widens(name, then, now) is expected
