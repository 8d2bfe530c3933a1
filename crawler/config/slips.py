"""Explain a configuration that cannot be read: the line that is not TOML and the usual slip in it, whose file it is, which host a
variable means.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from crawler.config.settings import HostSettings
from crawler.config.units import any_meant
from crawler.wording.secrets import HIDDEN, is_secret, masked

MOST: Final = 120  # characters of a line in a message
IPV4: Final = 4  # numbers of an address
_PLACE: Final = re.compile(r" ?\(at line (\d+), column \d+\)$")
# The text after the = of a line that is not TOML, and its meaning.
SLIPS: Final = (
    (re.compile(r"[+-]?\d+,\d+\s*(#.*)?"), "a number has a decimal point, not a comma"),
    (re.compile(r"(True|False|TRUE|FALSE|yes|no|on|off)\s*(#.*)?"), "write true or false, in small letters"),
    (re.compile(r"(None|null|nil)\s*(#.*)?"), "leave out a setting that has no value"),
    (re.compile(r"\d+\.\d+\.[\d.:]+|\d[\w-]*[a-zA-Z_][\w.:/-]*"), 'a string stands in quotes: "..."'),
    (re.compile(r"[^\W\d]\w*\s*[:(].*|[^\"'\[{\d\s][^\"']*"), 'a string stands in quotes: "..."'),
    (re.compile(r"\s*(#.*)?"), "its value is missing"),
)  # fmt: skip


# The TOML reader's terms, and plain words for them.
_MEANT: Final = (
    (re.compile(r"Unescaped '\\' in a string"), r"in double quotes a backslash begins an escape; write single quotes, as in '\d+'"),
    (re.compile(r"Illegal character '\\n'"), "a quote is not closed"),
    (re.compile(r"Cannot declare .* twice"), "this table is there twice; put both parts together"),
    (re.compile(r"Cannot overwrite a value"), "this setting is there twice"),
)  # fmt: skip
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
# A bare word as a value within a list or a table.
_BARE: Final = re.compile(r"[\[,=]\s*(?!(?:true|false|inf|nan)\b)([^\W\d][\w.-]*)\s*(?=[,}\]])")


def told(text: str, error: str) -> str:
    """Return the reader's error with the line where it is, and the usual slip if it is one."""
    place = _PLACE.search(error)
    if place is None:
        return _unclosed(text) or error
    number = int(place[1])
    lines = text.split("\n")
    line = lines[number - 1].strip() if number <= len(lines) else ""
    error = error[: place.start()]
    what = slip(line) or next((meant for pattern, meant in _MEANT if pattern.match(error)), error)
    return f"line {number}: {_safe(line)}: {what}"


def _unclosed(text: str) -> str:
    """Return the first line with an odd quote, for a text that ended within a string; "" if there is none."""
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"[\"']", _QUOTED.sub("", line.partition("#")[0])):
            return f"line {number}: {_safe(line.strip())}: a quote is not closed"
    return ""


def slip(line: str) -> str:
    """Return the meaning of a line that is not TOML; "" if it is not one of the usual slips."""
    _, equals, value = line.partition("=")
    if equals:
        number = any_meant(value.partition("#")[0])
        if number:
            return f"a number is written without a unit; {number}"
        if value.strip()[:1] in "[{" and _BARE.search(_QUOTED.sub('""', value)):
            return 'a string stands in quotes: "..."'
        return next((meant for pattern, meant in SLIPS if pattern.fullmatch(value.strip())), "")
    return "a setting is written as key = value" if re.match(r"[\w.-]+\s*:", line) else ""


def host_setting(words: str) -> tuple[str, str, str]:
    """Return the meaning of a variable's words about a host, such as example_org__delay: variable, host and setting.

    The variable is "" if no variable's name can express it, as for a port.
    """
    host, key = _host_and_key(words)
    parts = host.replace("__", "_").split("_")
    has_port = len(parts) > 1 and parts[-1].isdecimal() and not (len(parts) == IPV4 and all(map(str.isdecimal, parts)))
    named = f"{'.'.join(parts[:-1])}:{parts[-1]}" if has_port else ".".join(parts)
    variable = "" if has_port else f"CRAWLER_HOSTS__{'__'.join(parts)}__{key}".upper()
    return variable, named, key.replace("__", ".")


def _host_and_key(words: str) -> tuple[str, str]:
    """Split the words of a variable where the setting begins; without one, the example is its delay."""
    keys = ("headers__", *HostSettings.__struct_fields__)
    found = [(place, key) for key in keys if (place := words.find(f"_{key}")) > 0 and ("__" in key or words.endswith(f"_{key}"))]
    place = min(found)[0] if found else len(words)
    return words[:place].rstrip("_"), words[place + 1 :] or "delay"


def as_host(variable: str) -> str:
    """Return the ways to write the setting of a host that a variable cannot say as it is written."""
    better, host, key = host_setting(variable.lower().removeprefix("crawler_hosts").strip("_"))
    return f'write [hosts."{host}"] in crawler.toml or -s \'hosts."{host}".{key}=VALUE\'' + (
        f", or {better}, where the dots of the host are __" if better else ""
    )


def owner(path: Path) -> str:
    """Say whose file it is."""
    import pwd

    try:
        found = path.stat().st_uid
    except OSError:
        return "its directory cannot be searched by you"
    try:
        return f"it belongs to {pwd.getpwuid(found).pw_name}"
    except KeyError:
        return f"it belongs to the user with the id {found}"


def _safe(line: str) -> str:
    """Return the line without secrets, and cut."""
    key, equals, value = line.partition("=")
    private = equals and is_secret(f"{key.strip()}={value.strip()}")
    line = f"{key}= {HIDDEN}" if private else masked(line)
    return line if len(line) <= MOST else f"{line[:MOST]}…"
