"""robots.txt as RFC 9309 reads it: who may fetch what, how slowly, and which line says so.

    text ──▶ groups (user-agent lines, then rules) ──agent──▶ the rules that bind it ──path──▶ Ruling

Nothing in a file can make this raise, and no pattern can make matching slower than its length times that of the path. Beyond
the RFC, as Google's parser does and site owners rely on: a line without a colon, common misspellings, Crawl-delay, and an
allowed `/index.html` that allows its directory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from msgspec import Struct

from crawler.errors import BadUrl
from crawler.web import urls

MAX_BYTES: Final = 500 << 10       # RFC 9309 §2.5: at least so much is parsed; we parse no more
MAX_LINE: Final = 2083 * 8 - 1     # bytes; the rest of a longer line is ignored, as Google does

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_TOKEN: Final = re.compile(r"[a-z0-9_-]+", re.IGNORECASE)   # RFC 9309 has no digits; robots of that kind of name are real
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
_LONE: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")      # surrogates but those that stand for a byte that is no UTF-8


class Ruling(Struct, frozen=True):
    """What robots.txt says of one URL, and where. No line: nothing in it speaks of this URL, so it is allowed."""

    allowed: bool
    line: str = ""                 # as written, comment dropped
    number: int = 0                # of the line, from 1

    def __str__(self) -> str:
        return f"{self.line} (line {self.number})" if self.line else "no rule for this URL"


_NO_RULE: Final = Ruling(True)


class _Rule(Struct, frozen=True):
    is_allow: bool
    pieces: tuple[str, ...]        # what stands between the wildcards
    is_anchored: bool              # the pattern ends with $
    length: int
    line: str
    number: int

    def matches(self, path: str) -> bool:
        """Each piece as far left as it goes: no backtracking, because only the last can be tied to the end."""
        first, *rest = self.pieces
        if not path.startswith(first):
            return False
        if not rest:
            return not self.is_anchored or len(path) == len(first)
        at = len(first)
        for piece in rest[:-1] if self.is_anchored else rest:
            at = path.find(piece, at) + len(piece)
            if at < len(piece):
                return False
        return not self.is_anchored or (path.endswith(rest[-1]) and len(path) - len(rest[-1]) >= at)


class _Group:
    """All that is said to one product token, wherever in the file it stands."""

    def __init__(self) -> None:
        self.rules: list[_Rule] = []
        self.delay: float | None = None


class Robots:
    """A robots.txt file. An agent is a product token or a User-Agent value that begins with one: `crawler/1.0 (+…)`."""

    def __init__(self, text: bytes | str = b"") -> None:
        self.sitemaps: list[str] = []          # URLs as written, in order
        self._groups: dict[str, _Group] = {}
        self._read(_lines(text))
        for group in self._groups.values():
            # The longest match decides, allow before disallow: sorted so, the first match does.
            group.rules.sort(key=lambda rule: (-rule.length, not rule.is_allow))

    def allowed(self, agent: str, url: str) -> bool:
        """Whether this agent may fetch this URL (or path)."""
        return self.why(agent, url).allowed

    def why(self, agent: str, url: str) -> Ruling:
        """The same, with the line that decided."""
        group = self._group(agent)
        if group is None or not group.rules:
            return _NO_RULE
        path = _path(url)
        if path == "/robots.txt":      # RFC 9309 §2.2.2: implicitly allowed
            return _NO_RULE
        for rule in group.rules:
            if rule.matches(path):
                return Ruling(rule.is_allow, rule.line, rule.number)
        return _NO_RULE

    def delay(self, agent: str) -> float | None:
        """Crawl-delay in seconds; of several for one agent the longest."""
        group = self._group(agent)
        return group.delay if group else None

    def _group(self, agent: str) -> _Group | None:
        if not self._groups:
            return None
        return self._groups.get(_product(agent)) or self._groups.get("*")

    def _read(self, lines: Iterator[tuple[int, str]]) -> None:
        current: list[_Group] = []
        has_rules = False          # a user-agent line after a rule begins a new group; other lines never do (RFC 9309 §2.2.4)
        for number, line in lines:
            name, value = _field(line)
            if name == "user-agent":
                if has_rules:
                    current, has_rules = [], False
                token = "*" if re.match(r"\*(?:\s|$)", value) else _leading_token(value)
                if token:
                    current.append(self._groups.setdefault(token, _Group()))
            elif name in ("allow", "disallow"):
                has_rules = True
                for group in current:
                    group.rules.extend(_rules(name == "allow", value, line, number))
            elif name == "crawl-delay" and (seconds := _seconds(value)) is not None:
                for group in current:
                    group.delay = max(group.delay or 0.0, seconds)
            elif name == "sitemap" and value:
                self.sitemaps.append(value)


def _lines(text: bytes | str) -> Iterator[tuple[int, str]]:
    """Number and content of each line that has any, comments dropped."""
    data = _octets(text) if isinstance(text, str) else text
    is_cut = len(data) > MAX_BYTES
    whole = _decoded(data[:MAX_BYTES])
    lines = _LINE_END.split(whole)
    if is_cut:
        lines.pop()                # half a line may say the opposite: "Disallow: /" of "Disallow: /private"
    for number, line in enumerate(lines, 1):
        content = line[:MAX_LINE].partition("#")[0].strip(" \t\v\f\0")
        if content:
            yield number, content


def _decoded(data: bytes) -> str:
    for bom, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(bom):
            return data[2:].decode(encoding, "replace")
    for bom in (b"\xef\xbb\xbf", b"\xef\xbb", b"\xef"):      # a byte-order mark, or what an editor left of one
        if data.startswith(bom):
            data = data[len(bom) :]
            break
    # Bytes of another encoding than UTF-8 are kept as they are: a path is bytes, and percent-encoded as such below.
    return data.decode("utf-8", "surrogateescape")


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:                  # "disallow /x" is what the owner meant, if it is just two words
        words = line.split()
        if len(words) != 2:
            return "", ""
        name, value = words
    return _FIELDS.get(name.strip().lower(), ""), value.strip()


@lru_cache(maxsize=16)
def _product(agent: str) -> str:
    """The product token of an agent, by which groups are named; "" if it begins with none."""
    product = agent.partition("/")[0].strip()
    return product.lower() if _TOKEN.fullmatch(product) else ""


def _leading_token(value: str) -> str:
    match = _TOKEN.match(value)
    return match.group().lower() if match else ""


def _seconds(value: str) -> float | None:
    """None: not a number of seconds."""
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _rules(is_allow: bool, value: str, line: str, number: int) -> Iterator[_Rule]:
    """The rule of a line: none if it has no path, two if it allows a directory by the name of its index."""
    if not value:
        return
    yield _rule(is_allow, value, line, number)
    directory, slash, name = value.rpartition("/")
    if is_allow and slash and name.startswith("index.htm"):
        yield _rule(True, f"{directory}/$", line, number)


def _rule(is_allow: bool, value: str, line: str, number: int) -> _Rule:
    is_anchored = value.endswith("$")
    pattern = value[:-1] if is_anchored else value
    pieces = tuple(_normal(piece) for piece in re.split(r"\*+", pattern))
    length = sum(map(len, pieces)) + len(pieces) - 1 + is_anchored
    return _Rule(is_allow, pieces, is_anchored, length, line, number)


def _path(url: str) -> str:
    """Path and query as rules are compared with: of an absolute URL, or of what already is a path."""
    if not url.startswith("/"):
        try:
            parts = urls.parse(url)
        except BadUrl:
            return "/"
        url = parts.path + parts.search
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
