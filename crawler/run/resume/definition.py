"""Definition of a crawl: its seeds and every setting that decides what is crawled and kept, stored as a shared note.

    crawler run URL -o a.jsonl ──of──▶ Definition ──note──▶ the hub's store ──read──▶ resume, why, status, the summary

Settings that only say how the work is done (politeness, processes, time-outs, our identity) are not part of it, and neither are
secrets.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct, structs

from crawler.config.load import HIDDEN, Config, shown
from crawler.config.settings import FrontierSettings
from crawler.errors import BadUrl
from crawler.items import Note
from crawler.pipeline.build import FRONTIER, Pipeline, values
from crawler.web import urls

NOTE: Final = "definition"  # name of the note
SEEDS_KEPT: Final = 1_000  # seeds stored one by one; if there are more, only their number and a digest are stored
NAMED: Final = 5  # seeds named in a message
DEFAULT: Final = "default"  # origin of a value that is not set
RESUMED: Final = "the resumed crawl"  # origin, in this run, of a value that is remembered

SECTIONS: Final = frozenset({"frontier", "hosts", "queues", "stages"})
UNKEPT: Final = (["headers"], ["auth"], ["proxy"])  # options that may hold secrets
HOW_FRONTIER: Final = frozenset({"delay", "per_host", "max_waiting"})
HOW_STAGES: Final = frozenset({"processes", "concurrency", "chain"})
WHAT_QUEUES: Final = frozenset({"keyed", "polite"})


class Value(Struct, frozen=True, array_like=True):
    """A setting's value and its origin: a file, an environment variable, an option, or the default."""

    value: Any
    origin: str


class Seed(Struct, frozen=True, array_like=True):
    """A URL to start from: as typed, and as understood."""

    typed: str
    url: str


class Definition(Struct, frozen=True, kw_only=True):
    """The definition of a crawl at its start or after its last change."""

    directory: str  # working directory of `crawler run`, absolute; relative outputs start from it
    seeds: tuple[Seed, ...]  # the first `SEEDS_KEPT`
    seeds_total: int
    seeds_digest: str  # of all of them, in any order
    values: dict[str, Value]  # by dotted name
    how: dict[str, Value] = {}  # settings that only say how the work is done: typed ones are remembered; never compared
    outputs: tuple[str, ...] = ()  # every output that rows were ever written to, oldest first
    config: str = ""  # the configuration file; relative paths start from `directory`

    @property
    def has_all_seeds(self) -> bool:
        """Return whether all seeds are stored completely; a password in a URL is never stored."""
        return len(self.seeds) == self.seeds_total and not any(HIDDEN in seed.url for seed in self.seeds)

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages that the crawl needs."""
        return tuple(name.split(".")[1] for name in self.values if name.startswith("stages.") and name.endswith(".use"))

    @property
    def queues_read(self) -> tuple[str, ...]:
        """The queues that its stages read: the crawl is finished when they are empty."""
        return tuple(dict.fromkeys(str(self.values[f"stages.{name}.input"].value) for name in self.stages))

    @property
    def output(self) -> str:
        """The place that rows go to now; "" if no stage of the crawl has an output."""
        return next(outputs_in(self.values), "")

    @property
    def table(self) -> str:
        """The name of the table that holds the rows, if the output is a database."""
        return str(next((found.value for name, found in self.values.items() if name.endswith(".table")), "records"))

    @property
    def frontier(self) -> FrontierSettings:
        """The stored rules for which URLs are crawled, whatever is configured now. Politeness settings have their defaults."""
        known = {name.removeprefix("frontier."): found.value for name, found in self.values.items() if name.startswith("frontier.")}
        fields = {name: value for name, value in known.items() if name in FrontierSettings.__struct_fields__}
        return msgspec.convert(fields, FrontierSettings)

    def began_from(self) -> str:
        """Return the seeds as text; only the first few are named."""
        more = self.seeds_total - len(self.seeds[:NAMED])
        return ", ".join(seed.url for seed in self.seeds[:NAMED]) + (f" and {more:,} more" if more else "")

    def path(self, output: str) -> Path:
        """Return the path of an output, independent of the caller's working directory."""
        return Path(self.directory, output)


class HasNotes(Protocol):
    """The part of a broker or a hub's client that is needed here."""

    def notes(self, prefix: str, since: int = 0) -> list[Note]: ...


def read(broker: HasNotes, data: Path) -> Definition | None:
    """Return the definition of the crawl in this broker or hub; None if `crawler run` did not start it, or an older version did.

    data: the data directory of the crawl.
    """
    return next((decode(note.value, data) for note in broker.notes(NOTE) if note.name == NOTE), None)


def decode(note: bytes, data: Path) -> Definition | None:
    """Return the definition in a note of the store in `data`; None if this version does not know its format."""
    try:
        found = msgspec.json.decode(note, type=Definition)
    except msgspec.DecodeError:  # includes ValidationError
        return None
    return structs.replace(found, directory=os.path.normpath(os.path.join(os.path.abspath(data), found.directory)))


def encode(definition: Definition, data: Path) -> Note:
    """Return the note to keep in `data`.

    If `data` is below the working directory, the path between them is stored as relative, so that both can be moved together.
    """
    there = os.path.abspath(data)
    is_below = Path(there).is_relative_to(definition.directory)
    directory = os.path.relpath(definition.directory, there) if is_below else definition.directory
    return Note(NOTE, msgspec.json.encode(structs.replace(definition, directory=directory)))


def of(
    settings: Mapping[str, Value], texts: Sequence[str], directory: str | None = None,
    how: Mapping[str, Value] = MappingProxyType({}),
) -> Definition:  # fmt: skip
    """Return the definition of a crawl with these seeds and settings (see `settings_of` and `how_of`). Raises BadUrl."""
    seeds = list(dict.fromkeys(seed_of(text) for text in texts))
    return Definition(
        directory=directory or os.getcwd(),
        seeds=tuple(seeds[:SEEDS_KEPT]),
        seeds_total=len(seeds),
        seeds_digest=digest(seeds),
        values=dict(settings),
        how=dict(how),
        outputs=tuple(outputs_in(settings)),
    )


def seed_of(text: str) -> Seed:
    """Return a seed as it may be stored: without a password. Raises BadUrl."""
    return Seed(str(shown("", text.strip())), str(shown("", urls.seed(text))))


def digest(seeds: Sequence[Seed]) -> str:
    """Return a digest of the seeds that does not depend on their order."""
    return hashlib.blake2b("\n".join(sorted(min(forms(seed)) for seed in seeds)).encode(), digest_size=16).hexdigest()


def settled(definition: Definition, taken: Mapping[str, str]) -> Definition:
    """Return the definition with the final URLs of seeds that were typed without a scheme. taken: URL by typed text."""
    urls_taken = {seed.typed: seed_of(taken[seed.typed]).url for seed in definition.seeds if seed.typed in taken}
    seeds = (Seed(seed.typed, urls_taken.get(seed.typed, seed.url)) for seed in definition.seeds)
    return structs.replace(definition, seeds=tuple(seeds))


def forms(seed: Seed) -> frozenset[str]:
    """Return the URLs that a seed may stand for: both http and https if it was typed without a scheme."""
    if "://" in seed.typed:
        return frozenset({seed.url})
    rest = seed.url.partition("://")[2]
    found = {seed.url}
    for scheme in ("http", "https"):
        try:
            found.add(urls.as_written(f"{scheme}://{rest}"))
        except BadUrl:
            continue
    return frozenset(found)


def settings_of(config: Config, pipeline: Pipeline, options: Mapping[str, Struct]) -> dict[str, Value]:
    """Return the defining settings in force, by dotted name. options: of every stage, as `pipeline.check` returns them."""
    stages = pipeline.reachable(FRONTIER)
    in_force = msgspec.json.decode(msgspec.json.encode(values(pipeline, options, config.settings), enc_hook=str))
    off = {f"stages.{name}.enabled": False for name, table in config.settings.stages.items() if table.get("enabled") is False}
    return {
        name: Value(value, config.origin(name))
        for name, value in {**in_force, **off}.items()
        if name in off or (is_defining(name, pipeline, stages, options) and value != {} and shown(name, value) == value)
    }


def how_of(config: Config, pipeline: Pipeline, options: Mapping[str, Struct]) -> dict[str, Value]:
    """Return the settings that are set, are no secrets, and only say how the work is done.

    A crawl that is resumed without options uses the typed ones again; those of a file are named if the file is gone.
    """
    stages = pipeline.reachable(FRONTIER)
    in_force = msgspec.json.decode(msgspec.json.encode(values(pipeline, options, config.settings), enc_hook=str))
    return {
        name: Value(value, origin)
        for name, value in in_force.items()
        if name.split(".")[0] in SECTIONS and (origin := config.origin(name)) != DEFAULT and value != {}
        and not _is_unkept(name) and shown(name, value) == value and not is_defining(name, pipeline, stages, options)
    }  # fmt: skip


def _is_unkept(name: str) -> bool:
    """Tell whether a setting may hold secrets."""
    if name.startswith("hosts."):  # the name of the host has dots as well
        return name.endswith(".auth") or ".headers." in name
    return name.split(".")[2:3] in UNKEPT


def is_typed(origin: str) -> bool:
    """Tell whether the origin is an option or an environment variable, not a file or the default."""
    return origin.startswith("-") or (origin.upper().startswith("CRAWLER_") and not set(origin) & {".", os.sep})


def is_defining(name: str, pipeline: Pipeline, stages: Sequence[str], options: Mapping[str, Struct]) -> bool:
    """Tell whether a setting decides what is crawled and kept. stages: the ones that the crawl needs."""
    section, *path = name.split(".")
    if section == "hosts":
        return path[-1] == "max_pages"
    if section == "frontier":
        return path[0] not in HOW_FRONTIER
    if section == "queues":
        of_crawl = {queue for stage in stages for queue in (pipeline.stages[stage].input, *pipeline.stages[stage].outputs)}
        return path[0] in of_crawl and path[1] in WHAT_QUEUES
    if section != "stages" or path[0] not in stages:
        return False
    return path[1] not in HOW_STAGES and path[1] not in getattr(options[path[0]], "OPERATIONAL", ())


def outputs_in(settings: Mapping[str, Value]) -> Iterator[str]:
    """List the outputs of the crawl's stages: of `store`, and of the user's own stages if they have an option `output`."""
    for name, found in settings.items():
        if name.startswith("stages.") and name.count(".") == 2 and name.endswith(".output") and isinstance(found.value, str):
            yield found.value


def stored_file(config: Config, directory: str) -> str:
    """Return the path of the configuration file as a definition stores it: relative to `directory` if the file is below it."""
    if not config.file:
        return ""
    path = Path(os.path.abspath(config.file))
    return str(path.relative_to(directory)) if path.is_relative_to(directory) else str(path)
