"""The meaning of every setting, read from the only place that states it: config.example.toml, which is part of the package.

delay = 1.0                  # s between two requests                 name, default, meaning
# processes = 1              # workers # default: as many as cores    a setting whose default is not a value
# title = "h1"               # the text of the first match # an example    not a setting: the user chooses the name
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from msgspec import Struct

from crawler.config.settings import StageSettings

FILE: Final = Path(__file__).with_name("config.example.toml")

_TABLE = re.compile(r"\[([\w.\"]+)\](?:\s+# (.*))?")
_KEY = re.compile(r"(# )?(\w+) = (.*)")
_SAME = re.compile(r"as for (\w+)(?:; )?")
_STAGE, _QUEUE, _HOST = "stages.fetch.", "queues.pages.", "hosts.example.org."  # their keys are explained for all
_OWN: Final = {"use": "", "input": "not set", "outputs": "[]"}  # defaults of a user's own stage; of `use` its name


class Entry(Struct, frozen=True):
    """A setting with its default and meaning."""

    name: str
    default: str  # as TOML, or in words if it is not a value
    about: str


@lru_cache(maxsize=1)
def entries() -> dict[str, Entry]:
    """Return all settings by their dotted names, in the order of the file."""
    found: dict[str, Entry] = {}
    table = ""
    for line in FILE.read_text("utf-8").splitlines():
        if heading := _TABLE.match(line):
            table = f"{heading[1]}.".replace('"', "")
            if heading[2]:  # a table with names of the user's choice is one setting
                found[heading[1]] = Entry(heading[1], "{}", heading[2])
        elif (key := _KEY.match(line)) and not line.endswith("# an example"):
            entry = _entry(table, key[2], key[3], is_default=key[1] is None)
            found[entry.name] = entry
    return found


def explain(name: str) -> Entry | None:
    """Return the entry of a setting; for any queue or stage, of the settings they all have. None: a user's own setting.

    The defaults of a user's own stage are those that every stage has, not those of fetch.
    """
    known = entries()
    if name in known:
        return known[name]
    first, _, rest = name.partition(".")
    own = rest.partition(".")[2]
    if first == "hosts":
        entry = known.get(_HOST + ("headers" if ".headers." in name else leaf(name)))
        return entry and Entry(name, entry.default, entry.about)
    if first == "queues":
        return known.get(_QUEUE + own)
    if first == "stages" and own in StageSettings.__struct_fields__:
        entry = known.get(_STAGE + own)
        stage = rest.partition(".")[0]
        is_built_in = f"stages.{stage}.use" in known
        return entry if entry is None or is_built_in or own not in _OWN else Entry(name, _OWN[own] or f'"{stage}"', entry.about)
    return None


def leaf(name: str) -> str:
    """Return the last part of a dotted name."""
    return name.rpartition(".")[2]


def template() -> str:
    """Return the file as a start for the user's own: it has all tables, and every setting as a comment, so it changes nothing."""
    _, _, rest = FILE.read_text("utf-8").partition("\n")
    lines = (line if not line.strip() or line[0] in "#[" else f"# {line}" for line in rest.splitlines(keepends=True))
    return "".join([_HEADING, *lines])


_HEADING: Final = "# Every setting, with its default, its unit and what it does. To change one, remove the # before its name.\n"


def _entry(table: str, key: str, rest: str, *, is_default: bool) -> Entry:
    value, about = _split(rest)
    about, _, default = about.partition(" # default: ")
    if same := _SAME.match(about):
        original = next(line for line in FILE.read_text("utf-8").split(f"[stages.{same[1]}]")[1].splitlines()
                        if (found := _KEY.match(line)) and found[2] == key)  # fmt: skip
        first, _, last = _split(original.partition(" = ")[2])[1].partition(" # default: ")
        about = "; ".join(filter(None, [first, about[same.end() :]]))
        default = default or last
    return Entry(table + key, value if is_default else default or "not set", about)


def _split(rest: str) -> tuple[str, str]:
    """Return the value and the comment of a line; the value may contain a # in quotes."""
    quoted = False
    for place, character in enumerate(rest):
        if character == '"':
            quoted = not quoted
        elif character == "#" and not quoted:
            return rest[:place].rstrip(), rest[place + 1 :].strip()
    return rest, ""
