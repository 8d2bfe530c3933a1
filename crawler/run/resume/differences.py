"""Compare the definition of a crawl with what is configured and typed now.

    then        now             result
    typed       not set         remembered: it is set again for this run
    from a file no longer set   a difference
    any         another value   a difference
    default     not set         the value of now

"Typed" means on the command line or in the environment. Nothing here opens a store; `decide` acts on the result.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from crawler.run.paths import from_here
from crawler.run.resume.definition import DEFAULT, NAMED, Definition, Value, digest, forms, is_typed, seed_of

MODE: Final = "mode"  # an option that only matters at the first start: remembered for a fresh start, never compared
OUTPUT: Final = "output"
ENABLED: Final = "enabled"  # option of a stage: not compared, because the stage itself is
SHOWN: Final = 120  # characters of a value in a message


class Difference(Struct, frozen=True):
    """Setting or whole stage that differs from its earlier value.

    For a stage the name is `stages.NAME` and the values say whether it is part of the crawl. None: not set.
    """

    name: str
    then: Value | None
    now: Value | None

    @property
    def is_stage(self) -> bool:
        return self.name.startswith("stages.") and self.name.count(".") == 1

    @property
    def was_there(self) -> bool:
        """Return whether a stage was part of the earlier crawl."""
        return self.then is not None and bool(self.then.value)

    def __str__(self) -> str:
        if self.is_stage and self.was_there:
            return f"{self.name} was part of it{_by(self.then)}, is not now{_by(self.now)}"
        if self.is_stage:
            return f"{self.name} was not part of it{_by(self.then)}, is now{_by(self.now)}"
        then = "was not set" if self.then is None else f"was {_text(self.then)}{_by(self.then)}"
        now = "is not set now" if self.now is None else f"is now {_text(self.now)}{_by(self.now)}"
        return f"{self.name} {then}, {now}"


def remembered(then: Definition, origin: Callable[[str], str], directory: str) -> dict[str, Any]:
    """Return the values that were typed when the crawl began and that nothing sets now, and a default output of another directory.

    origin: returns the place that sets a name now, "default" if there is none. directory: the working directory now; an output that
    was relative to another directory still means the same file.
    """
    found = {}
    for name, value in {**then.how, **then.values}.items():
        parent, _, last = name.rpartition(".")
        is_default_elsewhere = last == OUTPUT and value.origin == DEFAULT and then.directory != directory
        if not (is_typed(value.origin) or is_default_elsewhere) or value.value is None or origin(name) != DEFAULT:
            continue
        if last == MODE and origin(f"{parent}.{OUTPUT}") != DEFAULT:
            continue
        found[name] = placed(value.value, then.directory, directory) if last == OUTPUT else value.value
    return found


def compare(then: Definition, now: Mapping[str, Value], directory: str) -> list[Difference]:
    """List all settings that differ; a stage that was added or removed counts as one difference."""
    before, after = set(_stages(then.values)), set(_stages(now))
    changed = [_stage(name, then.values, now) for name in sorted(before ^ after)]
    rest = (name for name in {**then.values, **now} if not _is_of_stage(name, before ^ after))
    for name in rest:
        old, new = then.values.get(name), now.get(name)
        if name.rpartition(".")[2] not in (MODE, ENABLED) and not _is_same(name, old, new, then.directory, directory):
            changed.append(Difference(name, _from_here(name, old, then.directory, directory), new))
    return changed


def strangers(then: Definition, texts: Sequence[str], was_seeded: Callable[[str], bool] = lambda _: False) -> list[str]:
    """List the given seeds that the crawl did not start from. Raises BadUrl.

    was_seeded: tells whether the store knows a URL as a seed; called if the definition does not hold all seeds.
    """
    seeds = {text: seed_of(text) for text in texts}
    if then.seeds_total == len(seeds) and digest(list(seeds.values())) == then.seeds_digest:
        return []
    known = frozenset(url for seed in then.seeds for url in forms(seed))
    is_partial = len(then.seeds) < then.seeds_total
    return [
        text for text, seed in seeds.items()
        if not forms(seed) & known and not (is_partial and any(was_seeded(url) for url in sorted(forms(seed))))
    ]  # fmt: skip


def describe_strangers(then: Definition, texts: Sequence[str]) -> str:
    """Return one line that names the URLs that are not seeds of the crawl, and the seeds that it has."""
    named = ", ".join(seed_of(text).url for text in texts[:NAMED])
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    words = "is not one of them" if len(texts) == 1 else "are not among them"
    return f"seeds: {named}{more} {words} (it began from {then.began_from()})"


def to_undo(differences: Sequence[Difference]) -> tuple[list[str], list[str]]:
    """Return how to restore the old values: `-s` settings, and instructions for files that must be edited by hand.

    Settings typed for this run are left out: without them the old value is back.
    """
    sets: list[str] = []
    by_hand: list[str] = []
    for difference in differences:
        if difference.now is not None and difference.now.origin.startswith("-"):
            continue
        if difference.is_stage and difference.was_there and difference.now is None:
            by_hand.append(f"put the table [{difference.name}] back{_into(difference.then)}")
        elif difference.is_stage:
            sets.append(f"{difference.name}.{ENABLED}={toml(difference.was_there)}")
        elif difference.then is None:
            by_hand.append(f"take {difference.name} out of {difference.now.origin if difference.now else 'the settings'}")
        else:
            sets.append(f"{difference.name}={toml(difference.then.value)}")
    return sets, by_hand


def toml(value: Any) -> str:
    """Return a value in TOML syntax on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_string(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return _string(value) if isinstance(value, str) else json.dumps(value)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def placed(output: Any, then: str, now: str) -> Any:
    """Return an output that was relative to the directory `then` so that it is right in the directory `now`."""
    is_relative = isinstance(output, str) and output not in ("", "-") and not os.path.isabs(output)
    return os.path.join(then, output) if is_relative and then != now else output


def typed(output: Any, then: str, now: str) -> Any:
    """Return the same as `placed`, as short as it can be typed in the directory `now`."""
    there = placed(output, then, now)
    return there if there == output else from_here(there, now)


def _from_here(name: str, value: Value | None, then: str, now: str) -> Value | None:
    if value is None or name.rpartition(".")[2] != OUTPUT:
        return value
    return Value(typed(value.value, then, now), value.origin)


def _stages(values: Mapping[str, Value]) -> Iterator[str]:
    """List `stages.NAME` for each stage."""
    return (name.removesuffix(".use") for name in values if name.startswith("stages.") and name.endswith(".use"))


def _is_of_stage(name: str, stages: set[str]) -> bool:
    return any(name.startswith(f"{stage}.") for stage in stages)


def _stage(name: str, then: Mapping[str, Value], now: Mapping[str, Value]) -> Difference:
    """Return the difference for a stage that was added or removed, with its origin."""

    def part(values: Mapping[str, Value]) -> Value | None:
        mine = [value.origin for key, value in values.items() if key.startswith(f"{name}.")]
        return Value(f"{name}.use" in values, next((origin for origin in mine if origin != DEFAULT), DEFAULT)) if mine else None

    return Difference(name, part(then), part(now))


def _is_same(name: str, then: Value | None, now: Value | None, directory_then: str, directory_now: str) -> bool:
    if then is None or now is None:
        only = then or now
        return only is None or only.origin == DEFAULT
    values = then.value, now.value
    if name.rpartition(".")[2] == OUTPUT and all(isinstance(value, str) for value in values) and "-" not in values:
        return os.path.normpath(os.path.join(directory_then, values[0])) == os.path.normpath(os.path.join(directory_now, values[1]))
    return bool(then.value == now.value)


def _text(value: Value) -> str:
    text = toml(value.value) if value.value is not None else "not set"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _into(value: Value | None) -> str:
    return "" if value is None or value.origin == DEFAULT else f" into {value.origin}"


def _by(value: Value | None) -> str:
    return f" ({value.origin})" if value is not None and value.origin else ""
