"""robots.txt as RFC 9309 reads it: who may fetch what, how slowly, and which line says so.

    text ──▶ groups (user-agent lines, then rules) ──agent──▶ the rules that bind it ──path──▶ Ruling

Nothing in a file can make this raise. Reading takes time and memory in proportion to its bytes: agents that are named together
share one list of rules, and rules are compiled for the agent that asks. Matching takes at most the length of the patterns times
that of the path. Beyond the RFC, as Google's parser does and site owners rely on: a line without a colon, common misspellings,
Crawl-delay, and an allowed `/index.html` that allows its directory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import Struct

from crawler.errors import BadUrl
from crawler.web import urls

MAX_BYTES: Final = 500 << 10  # RFC 9309 §2.5: at least so much is parsed; we parse no more
MAX_LINE: Final = 2083 * 8 - 1  # bytes; the rest of a longer line is ignored, as Google does

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_TOKEN: Final = re.compile(r"[A-Za-z_-]+")  # RFC 9309 §2.2.1
# With digits, which the RFC does not have: `User-agent: crawler4j` is not about `crawler`, and `MJ12bot` is a name.
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_FIELDS: Final = {
    "user-agent": "user-agent", "useragent": "user-agent", "user agent": "user-agent",
    "allow": "allow",
    "disallow": "disallow", "dissallow": "disallow", "dissalow": "disallow", "disalow": "disallow", "diasllow": "disallow",
    "disallaw": "disallow",
    "crawl-delay": "crawl-delay", "crawldelay": "crawl-delay",
    "sitemap": "sitemap", "site-map": "sitemap",
}  # fmt: skip

_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# What may not stand as it is. * and $ are among it: they have a meaning in patterns, and in paths they are encoded.
_OCTET: Final = re.compile(rb"%[0-9A-Fa-f]{2}|[^A-Za-z0-9._~:/?#\[\]@!&'()+,;=%-]")
_NORMAL: Final = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!&'()+,;=-]*")
_LONE: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # surrogates except those that represent a byte that is no UTF-8


class Ruling(Struct, frozen=True):
    """Verdict of robots.txt on one URL, and its line. No line: no rule applies to this URL, so it is allowed."""

    allowed: bool
    line: str = ""  # as written, comment dropped
    number: int = 0  # of the line, from 1

    def __str__(self) -> str:
        return f"{self.line} (line {self.number})" if self.line else "no rule for this URL"


_NO_RULE: Final = Ruling(True)


class _Line(NamedTuple):
    """An allow or disallow line as read; it is compiled when an agent that it binds asks."""

    is_allow: bool
    value: str
    text: str
    number: int


class _Rule(Struct, frozen=True):
    is_allow: bool
    pieces: tuple[str, ...]  # the parts between the wildcards
    is_anchored: bool  # the pattern ends with $
    length: int
    line: str
    number: int

    def matches(self, path: str) -> bool:
        """Match each piece as far left as possible: no backtracking, because only the last can be tied to the end."""
        pieces = self.pieces
        if not path.startswith(pieces[0]):
            return False
        last = len(pieces) - 1
        if not last:
            return not self.is_anchored or len(path) == len(pieces[0])
        at = len(pieces[0])
        for place in range(1, last if self.is_anchored else last + 1):
            at = path.find(pieces[place], at) + len(pieces[place])
            if at < len(pieces[place]):
                return False
        return not self.is_anchored or (path.endswith(pieces[last]) and len(path) - len(pieces[last]) >= at)


class _Group:
    """Consecutive user-agent lines and their rules.

    After a Crawl-delay, further user-agent lines still belong to the same rules (RFC 9309 §2.2: only rules end a list of agents),
    but not to that delay, which the RFC does not know. So `lines` may be shared with another group, and `delay` is its own.
    """

    __slots__ = ("delay", "has_delay", "lines")

    def __init__(self, lines: list[_Line]) -> None:
        self.lines = lines
        self.delay: float | None = None
        self.has_delay = False  # a Crawl-delay line was there, whatever its value


class _Bound(NamedTuple):
    """The rules and the delay that bind an agent."""

    agent: str
    rules: list[_Rule]
    delay: float | None


class Robots:
    """A robots.txt file. An agent is a product token or a User-Agent value that begins with one: `crawler/1.0 (+…)`."""

    def __init__(self, text: bytes | str = b"") -> None:
        self.sitemaps: list[str] = []  # URLs as written, in order
        self._groups: dict[str, list[_Group]] = {}  # by product token in lower case, or "*"
        self._rules: dict[tuple[int, ...], list[_Rule]] = {}  # compiled, by the ids of the lists of lines
        self._last: _Bound | None = None  # of the agent that asked last: it is mostly the same
        self._read(_lines(text))

    def allowed(self, agent: str, url: str) -> bool:
        """Return whether this agent may fetch this URL (or path)."""
        return self.why(agent, url).allowed

    def why(self, agent: str, url: str) -> Ruling:
        """Return the ruling: whether the agent may fetch the URL, with the line that decided."""
        rules = self._bound(agent).rules
        if not rules:
            return _NO_RULE
        path = _path(url)
        if path == "/robots.txt":  # RFC 9309 §2.2.2: implicitly allowed
            return _NO_RULE
        for rule in rules:
            if rule.matches(path):
                return Ruling(rule.is_allow, rule.line, rule.number)
        return _NO_RULE

    def delay(self, agent: str) -> float | None:
        """Crawl-delay in seconds; of several for one agent the longest."""
        return self._bound(agent).delay

    def _bound(self, agent: str) -> _Bound:
        bound = self._last
        if bound is None or bound.agent != agent:
            groups = self._groups_of(agent)
            delay = max((group.delay for group in groups if group.delay is not None), default=None)
            bound = self._last = _Bound(agent, self._compiled(groups), delay)
        return bound

    def _groups_of(self, agent: str) -> list[_Group]:
        if not self._groups:
            return []
        found = next((self._groups[name] for name in _names(agent) if name in self._groups), None)
        return found or self._groups.get("*", [])

    def _compiled(self, groups: list[_Group]) -> list[_Rule]:
        """The rules of these groups, most specific first: the first that matches decides."""
        lists = {id(group.lines): group.lines for group in groups}
        key = tuple(lists)
        rules = self._rules.get(key)
        if rules is None:
            unique: dict[tuple[bool, str], _Line] = {}
            for lines in lists.values():
                for line in lines:
                    unique.setdefault((line.is_allow, line.value), line)
            rules = [rule for line in unique.values() for rule in _rules(line)]
            # The longest match decides, allow before disallow.
            rules.sort(key=lambda rule: (-rule.length, not rule.is_allow))
            self._rules[key] = rules
        return rules

    def _read(self, lines: Iterator[tuple[int, str]]) -> None:
        group = _Group([])
        has_rules = False
        for number, line in lines:
            name, value = _field(line)
            if name == "user-agent":
                # Rules before it: a new group. A Crawl-delay before it: the same rules, but not the same delay.
                if has_rules:
                    group, has_rules = _Group([]), False
                elif group.has_delay:
                    group = _Group(group.lines)
                self._name(_agent_named(value), group)
            elif name in ("allow", "disallow"):
                has_rules = True
                if value:
                    group.lines.append(_Line(name == "allow", value, line, number))
            elif name == "crawl-delay":
                group.has_delay = True
                if (seconds := _seconds(value)) is not None:
                    group.delay = max(group.delay or 0.0, seconds)
            elif name == "sitemap" and value:
                self.sitemaps.append(value)

    def _name(self, token: str, group: _Group) -> None:
        groups = self._groups.setdefault(token, []) if token else []
        if not groups or groups[-1] is not group:
            groups.append(group)


def _lines(text: bytes | str) -> Iterator[tuple[int, str]]:
    """Number and content of each line that has any, comments dropped."""
    data = _octets(text) if isinstance(text, str) else text
    is_cut = len(data) > MAX_BYTES
    whole = _decoded(data[:MAX_BYTES])
    lines = _LINE_END.split(whole)
    if is_cut:
        lines.pop()  # half a line may say the opposite: "Disallow: /" of "Disallow: /private"
    for number, line in enumerate(lines, 1):
        content = line[:MAX_LINE].partition("#")[0].strip(" \t\v\f\0")
        if content:
            yield number, content


def _decoded(data: bytes) -> str:
    for bom, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(bom):
            return data[2:].decode(encoding, "replace")
    for bom in (b"\xef\xbb\xbf", b"\xef\xbb", b"\xef"):  # a byte-order mark, or what an editor left of one
        if data.startswith(bom):
            data = data[len(bom) :]
            break
    # Bytes of another encoding than UTF-8 are kept as they are: a path is bytes, and percent-encoded as such below.
    return data.decode("utf-8", "surrogateescape")


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:  # "disallow /x" is what the owner meant, if it is just two words
        words = line.split()
        if len(words) != 2:
            return "", ""
        name, value = words
    return _FIELDS.get(name.strip().lower(), ""), value.strip()


def product_token(agent: str) -> str:
    """The name by which a robots.txt knows a User-Agent value (RFC 9309 §2.2.1); "" if the value does not begin with one."""
    match = _TOKEN.match(agent)
    return match.group() if match else ""


@lru_cache(maxsize=16)
def _names(agent: str) -> tuple[str, ...]:
    """Return the names of groups that bind an agent, the most exact first: with its digits, then as the RFC has it."""
    text = agent.lstrip()
    match = _NAME.match(text)
    full, token = match.group().lower() if match else "", product_token(text).lower()
    return tuple(name for name in dict.fromkeys((full, token)) if name)


def _agent_named(value: str) -> str:
    """The name in a user-agent line, "*" for all, "" for none."""
    if value[:1] == "*":
        return "*" if len(value) == 1 or value[1].isspace() else ""
    match = _NAME.match(value)
    return match.group().lower() if match else ""


def _seconds(value: str) -> float | None:
    """Parse a number of seconds; None if it is not one."""
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _rules(line: _Line) -> Iterator[_Rule]:
    """The rule of a line, and a second one if it allows a directory by the name of its index."""
    yield _rule(line, line.value)
    directory, slash, name = line.value.rpartition("/")
    if line.is_allow and slash and name.startswith("index.htm"):
        yield _rule(line, f"{directory}/$")


def _rule(line: _Line, value: str) -> _Rule:
    is_anchored = value.endswith("$")
    pattern = value[:-1] if is_anchored else value
    pieces = tuple(_normal(piece) for piece in re.split(r"\*+", pattern))
    length = sum(map(len, pieces)) + len(pieces) - 1 + is_anchored
    return _Rule(line.is_allow, pieces, is_anchored, length, line.text, line.number)


def _path(url: str) -> str:
    """Path and query as rules are compared with: of an absolute URL, or of what already is a path."""
    if not url.startswith("/"):
        try:
            parts = urls.parse(url)
        except BadUrl:
            return "/"
        url = parts.target
    return _normal(url.partition("#")[0]) or "/"


def _normal(text: str) -> str:
    """Percent-encoding made comparable (RFC 9309 §2.2.2): unreserved octets plain, others encoded, in capitals."""
    if _NORMAL.fullmatch(text):
        return text
    return _OCTET.sub(_octet, _octets(text)).decode("ascii")


def _octets(text: str) -> bytes:
    return _LONE.sub("\ufffd", text).encode("utf-8", "surrogateescape")


def _octet(match: re.Match[bytes]) -> bytes:
    found = match.group()
    code = int(found[1:], 16) if len(found) == 3 else found[0]
    return bytes((code,)) if code in _UNRESERVED else b"%%%02X" % code
