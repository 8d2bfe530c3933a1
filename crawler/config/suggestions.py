"""Suggest a setting for an unknown name: one of ours from another table, or the name that another program uses.

delay ──▶ frontier.delay        frontier.robots ──▶ stages.fetch.robots        DOWNLOAD_DELAY ──▶ frontier.delay
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crawler.config.reference import entries, leaf

NEAR: Final = 0.75  # similarity (0 to 1) from which a name of another table is suggested
SURE: Final = 0.85  # similarity from which a name of the same table is preferred
SHORT: Final = 4  # letters of a name that only a name as similar as `SURE` can be meant by: 'path' has 0.75 of 'auth'
MOST: Final = 3  # names suggested at once; with more, none of them is likely

# The names of our settings in other programs (Scrapy, Crawlee, Colly, wget, requests), without case, dashes and underscores.
FOREIGN: Final = {
    "frontier.delay": "delay downloaddelay crawldelay requestdelay wait sleep interval ratelimit politeness throttle "
                      "samedomaindelaysecs",
    "frontier.per_host": "concurrentrequestsperdomain concurrentrequestsperhost concurrentrequestsperip perdomain "
                         "connectionsperhost maxperhost",
    "frontier.per_host stages.fetch.concurrency": "concurrency concurrentrequests maxconcurrency parallel parallelism threads "
                                                  "maxtasks",
    "stages.fetch.processes": "workers processes numworkers",
    "frontier.max_depth": "depth depthlimit maxcrawldepth level recursion",
    "frontier.max_pages": "limit pagelimit maxurls maxrequests maxrequestspercrawl closespiderpagecount closespideritemcount",
    "frontier.max_time": "maxruntime timelimit closespidertimeout maxcrawltime maxduration duration",
    "frontier.max_total_bytes": "quota maxdownload totalbytes downloadlimit",
    "frontier.scope": "alloweddomains domains allowedhosts samedomain samehost enqueuestrategy spanhosts",
    "frontier.allow": "include includes includeurls accept globs urlpattern",
    "frontier.deny": "exclude excludes excludeurls disallow reject blacklist disallowedurlfilters",
    "frontier.max_url_length": "urllengthlimit",
    "hub.max_attempts": "retries retry maxretries retrytimes maxrequestretries attempts tries",
    "hub.address": "address host port listen",
    "hub.authkey_file": "authkey key keyfile",
    "hub.lease": "visibilitytimeout leasetime",
    "stages.fetch.robots": "robots obeyrobots robotstxtobey robotstxt respectrobotstxt respectrobotstxtfile ignorerobotstxt "
                           "ignorerobots norobots norobotstxt",
    "stages.fetch.user_agent": "useragent ua",
    "stages.fetch.timeout": "timeout downloadtimeout requesttimeout timeoutsecs",
    "stages.fetch.connect_timeout": "dnstimeout connectiontimeout",
    "stages.fetch.max_bytes": "downloadmaxsize maxsize maxbodysize sizelimit",
    "stages.fetch.max_redirects": "redirectmaxtimes followredirects redirects redirectenabled",
    "stages.fetch.headers": "defaultrequestheaders requestheaders header",
    "stages.fetch.auth": "httpauth username password user login credentials httpuser basicauth",
    "stages.fetch.cookies": "cookiesenabled cookiejar cookie",
    "stages.fetch.proxy": "httpproxy httpsproxy proxies proxyurl proxyconfiguration",
    "stages.fetch.adaptive": "autothrottle autothrottleenabled",
    "stages.fetch.verify": "verifyssl sslverify tlsverify ssl ignorehttpserrors nocheckcertificate",
    "stages.fetch.revalidate": "httpcache httpcacheenabled cache",
    "stages.store.output": "output outputfile feeds feeduri feedurl file path filename filepath outfile",
    "stages.store.format": "feedformat outputformat",
    "data": "jobdir datadir storagedir directory",
}  # fmt: skip
_MEANT: Final = {_foreign: names.split() for names, foreign in FOREIGN.items() for _foreign in foreign.split()}


def elsewhere(key: str) -> list[str]:
    """List the full names of settings that end in this key, or that another program calls by it."""
    if meant := _MEANT.get(key.lower().replace("_", "").replace("-", "")):
        return meant
    if key in {name.split(".")[1] for name in entries() if name.startswith("stages.")}:
        return [f"stages.{key}"]
    return _offered(name for name in _general() if leaf(name) == key.lower())


def similar(key: str, near: str) -> list[str]:
    """List the settings that a misspelled key may mean. near: the most similar name in the table where it stands, or ""."""
    there = {leaf(name): likeness(key, leaf(name)) for name in _general()}
    best = max(there, key=there.__getitem__)
    if there[best] < (SURE if len(key) <= SHORT else NEAR) or likeness(key, near) >= there[best]:
        return []
    return _offered(name for name in _general() if leaf(name) == best)


def _general() -> list[str]:
    """Return the names of all settings but those of single hosts, which repeat others."""
    return [name for name in entries() if not name.startswith("hosts.")]


def likeness(key: str, name: str) -> float:
    """Return how similar two names are, from 0 to 1."""
    import difflib  # here, because only mistakes need it

    return difflib.SequenceMatcher(None, key.lower(), name).ratio()


def question(names: Iterable[str]) -> str:
    """Return a question such as: did you mean 'frontier.delay'?"""
    return f"did you mean {' or '.join(map(repr, names))}?"


def _offered(names: Iterable[str]) -> list[str]:
    """Return at most `MOST` names; what every stage has is named once."""
    found = list(names)
    if len(found) > MOST:
        found = list(dict.fromkeys(f"stages.NAME.{leaf(name)}" if name.startswith("stages.") else name for name in found))
    return found if len(found) <= MOST else []
