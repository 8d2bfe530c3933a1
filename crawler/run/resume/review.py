"""Apply the rules of a crawl that is resumed with a change to the URLs that it has queued, and say what that did.

settings then and now ──changed──▶ is there anything to judge?
store of the crawl ─────apply───▶ URLs set aside, restored and queued again, in sentences
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from crawler.config.settings import FrontierSettings
from crawler.items import New
from crawler.pipeline.build import FRONTIER
from crawler.run.next_commands import Hint
from crawler.web.frontier import Frontier
from crawler.web.page import Visit
from crawler.web.queued import visit
from crawler.wording.counting import agree, counted, together
from crawler.worker.shared_notes import SharedNotes

if TYPE_CHECKING:
    from crawler.broker.sqlite.broker import SqliteBroker
    from crawler.broker.sqlite.review import Store

ROBOTS: Final = "stages.fetch.robots"
SCOPE: Final = frozenset({"frontier.scope", "frontier.seed_redirects"})  # settings that decide which hosts are in scope
NAMES: Final = frozenset({"frontier.sort_query", "frontier.drop_params", "frontier.strip_www"})  # the key of a URL
LIMITS: Final = frozenset({"frontier.max_time", "frontier.max_total_bytes"})  # of the crawl, and of no single URL
FORBIDDEN: Final = "dropped: robots.txt"  # how the report of a URL begins that robots.txt forbids
SHOWN: Final = 6  # reasons shown in one line

# By the reason why a link was refused, the setting that refused it. Refused links are only counted.
REFUSED_BY: Final = {
    "out of scope": "scope",
    "seed redirects to another site": "seed_redirects",
    "denied by pattern": "deny",
    "not allowed by pattern": "allow",
    "too deep": "max_depth",
    "over the limit": "max_pages max_pages_per_host",
    "too many waiting": "max_waiting",
    "url too long": "max_url_length",
    "path too deep": "max_path_depth",
    "path repeats": "max_repeats",
    "too many parameters": "max_query_keys",
}
ORDERED: Final = {"scope": ("path", "host", "domain", "any"), "seed_redirects": ("never", "site", "any")}  # narrowest first


Change = tuple[Any, Any]  # the value of a setting then and now; None: not set


def is_rule(name: str) -> bool:
    """Tell whether a setting decides which of the queued URLs are fetched."""
    if name.startswith("frontier."):
        return name not in LIMITS
    return name == ROBOTS or (name.startswith("hosts.") and name.endswith(".max_pages"))


def apply(
    broker: SqliteBroker, settings: FrontierSettings, changed: Mapping[str, Change], hint: Hint, *, obeys_robots: bool
) -> list[str]:
    """Judge all queued URLs by these settings. Returns what to tell a person.

    changed: by the name of a setting. obeys_robots: by the settings of now.
    """
    from crawler.broker.sqlite.review import Review  # here, because few crawls are changed

    frontier = Frontier(settings, SharedNotes(broker))
    if SCOPE & set(changed):
        frontier.replay(_firsts(broker))

    def judge(item: bytes) -> int | str:
        found = visit(item)
        if found is None:  # it keeps its place, and is given up by the stage that gets it
            return 0
        verdict = frontier.judge(found)
        return verdict.priority if isinstance(verdict, New) else verdict

    review = Review(broker, FRONTIER, judge)
    review.run()
    reopened = review.reopen(FORBIDDEN) if ROBOTS in changed and not obeys_robots else 0
    if reopened:
        broker.run(lambda ledger: ledger.count({"fetch/skipped/robots": -reopened}))
    lines = [_aside(review.aside, hint)] if review.aside else []
    if n := review.restored:
        lines.append(f"{counted(n, 'URL')} that earlier rules had set aside {agree(n, 'is', 'are')} queued again")
    if n := reopened:
        lines.append(f"{counted(n, 'URL')} that robots.txt forbids {agree(n, 'is', 'are')} queued again: it is no longer obeyed")
    return [*lines, *_not_known(broker.stats().counters, changed, hint)]


def _firsts(store: Store) -> list[Visit]:
    from crawler.broker.sqlite.review import first_items

    return [found for item in first_items(store, FRONTIER) if (found := visit(item)) is not None]


def _aside(reasons: Mapping[str, int], hint: Hint) -> str:
    n = sum(reasons.values())
    parts = [f"{count:,} {reason}" for reason, count in sorted(reasons.items(), key=lambda each: -each[1])]
    what = agree(n, "does not fit the changed rules and is", "do not fit the changed rules and are")
    return f"{counted(n, 'queued URL')} {what} set aside: {', '.join(parts[:SHOWN])}; '{hint('why URL')}' tells of each"


def _not_known(counters: Mapping[str, int], changed: Mapping[str, Change], hint: Hint) -> list[str]:
    """Say how many links the earlier rules have refused that wider ones may admit: these are counted, not stored."""
    wider = {name.rpartition(".")[2] for name, change in changed.items() if is_rule(name) and widens(name, *change)}
    refused = {reason: _count(counters, reason) for reason, names in REFUSED_BY.items() if wider & set(names.split())}
    parts = [f"{n:,} {reason}" for reason, n in refused.items() if n > 0]
    lines = []
    if parts:
        lines.append(
            f"links that earlier rules refused are not stored ({', '.join(parts)}): the changed rules hold for links found from "
            f"now on; '{hint('run --fresh')}' visits all pages again"
        )
    if names := sorted(NAMES & set(changed)):
        lines.append(f"{together(names)}: pages visited before are known by their earlier names, and may be visited again")
    return lines


def _count(counters: Mapping[str, int], reason: str) -> int:
    return sum(n for name, n in counters.items() if name.endswith(f"/skipped/{reason}"))


def widens(name: str, then: Any, now: Any) -> bool:
    """Tell whether a changed setting may admit URLs that it refused before."""
    setting = name.rpartition(".")[2]
    if setting in ORDERED:
        order = ORDERED[setting]
        return order.index(now) > order.index(then)
    if setting == "allow":
        return bool(then) and (not now or not set(now) <= set(then))
    if setting == "deny":
        return not set(then or ()) <= set(now or ())
    if setting.startswith("max_"):  # 0 and None: no limit
        return bool(then) and (not now or now > then)
    return False
