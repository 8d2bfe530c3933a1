"""Table of the processes that obey a setting if hub and stages are started one by one, and the message if another is given it.

    the hub                         frontier.delay, max_pages … · hub.max_attempts … · queues.*
    stages that find links          the other rules in frontier.*
    stage NAME                      the options in [stages.NAME]
    all of them                     data, the hub's address, the wiring of the pipeline

The hub stores the values that it obeys in a note, and a stage compares its own with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from crawler.config.load import Config
from crawler.items import Note
from crawler.pipeline.build import FRONTIER, Pipeline
from crawler.run.next_commands import PLAIN, Hint

NOTE: Final = "hub/settings"  # name of the note
HUB: Final = (
    "frontier.delay", "frontier.per_host", "frontier.max_pages", "frontier.max_pages_per_host", "frontier.max_waiting",
    "frontier.max_time", "frontier.max_total_bytes", "hub.max_attempts", "hub.durability", "hub.insecure",
)  # fmt: skip
QUEUE: Final = ("keyed", "polite", "high_water", "high_water_bytes")  # of queues.NAME
ALL: Final = (                     # the process that puts a URL normalises it; the hub admits hosts of other sites, or not
    "frontier.sort_query", "frontier.drop_params", "frontier.strip_www", "frontier.seed_redirects",
)  # fmt: skip
HOST: Final = ("delay", "per_host", "max_pages")  # of hosts."example.org"; its other settings are for fetch
WIRING: Final = ("use", "input", "outputs", "enabled", "chain")  # of stages.NAME
OPTIONS: Final = {                 # that `crawler hub` has for them
    "frontier.delay": "--delay", "frontier.max_pages": "--max-pages", "frontier.max_time": "--max-time",
    "frontier.max_total_bytes": "--max-total-bytes",
}  # fmt: skip
# Rules that are part of a crawl's definition: `crawler run` resumes with another value only if it is told to.
DEFINING: Final = ("frontier.max_pages", "frontier.max_pages_per_host", "frontier.max_time", "frontier.max_total_bytes")


class HubSettings(Struct, frozen=True):
    """The settings that the hub obeys."""

    is_by_hand: bool  # started with `crawler hub`, not by `crawler run`
    values: dict[str, Any]  # by dotted name


class HasNotes(Protocol):
    """The part of a broker or a hub's client that is needed here."""

    def notes(self, prefix: str, since: int = 0) -> list[Note]: ...


def note(config: Config, pipeline: Pipeline, *, is_by_hand: bool) -> Note:
    """Return the note that a hub with this configuration stores."""
    values = {name: value_of(config, name) for name in HUB}
    for queue in pipeline.queues.values():
        values |= {f"queues.{queue.name}.{key}": getattr(queue, key) for key in QUEUE}
    for host in config.settings.hosts:
        values |= {f"hosts.{host}.{key}": value_of(config, f"hosts.{host}.{key}") for key in HOST}
    return Note(NOTE, msgspec.json.encode(HubSettings(is_by_hand, values)))


def read(hub: HasNotes) -> HubSettings | None:
    """Return the settings of this hub; None if it is of a version that does not tell."""
    try:
        found = (msgspec.json.decode(each.value, type=HubSettings) for each in hub.notes(NOTE) if each.name == NOTE)
        return next(found, None)
    except msgspec.DecodeError:  # includes ValidationError
        return None


def is_by_hand(hub: HasNotes) -> bool:
    """Tell whether the hub was started with `crawler hub`."""
    found = read(hub)
    return found is None or found.is_by_hand


def value_of(config: Config, name: str) -> Any:
    """Return the value of a setting outside the stages' tables; None if it is not set."""
    if name.startswith("hosts."):  # a host's name has dots
        host, _, key = name.removeprefix("hosts.").rpartition(".")
        return getattr(config.settings.hosts.get(host), key, None)
    found: Any = config.settings
    for key in name.split("."):
        found = found.get(key) if isinstance(found, dict) else getattr(found, key, None)
    return found


def is_of_hub(name: str) -> bool:
    """Tell whether only the hub obeys this setting."""
    last = name.rpartition(".")[2]
    return name in HUB or (name.startswith("queues.") and last in QUEUE) or (name.startswith("hosts.") and last in HOST)


def readers(name: str, pipeline: Pipeline) -> list[str] | None:
    """Return the stages that obey a setting which only stages obey; None if others obey it too."""
    section, _, rest = name.partition(".")
    if section == "frontier" and name not in ALL and not is_of_hub(name):
        return [stage.name for stage in pipeline.stages.values() if FRONTIER in stage.outputs]
    if name == "hub.lease":
        return list(pipeline.stages)
    if section == "hosts" and not is_of_hub(name):
        return [stage.name for stage in pipeline.readers(FRONTIER)]
    stage, _, option = rest.partition(".")
    if section == "stages" and option.partition(".")[0] not in WIRING:
        return [stage] if stage in pipeline.stages else []
    return None


def one_reader(name: str) -> str:
    """Return a stage of the usual pipeline that obeys a setting which only stages obey; "" if others obey it too."""
    section, _, rest = name.partition(".")
    if section == "stages":
        return rest.partition(".")[0]
    return "parse" if section == "frontier" and name not in ALL and not is_of_hub(name) else ""


def is_of(name: str, stage: str, pipeline: Pipeline) -> bool:
    """Tell whether the process of this stage obeys a setting."""
    found = readers(name, pipeline)
    return not is_of_hub(name) and (found is None or stage in found)


def is_of_all(name: str) -> bool:
    """Tell whether every command obeys a setting: it says where the hub is, or what a pipeline looks like."""
    section, _, rest = name.partition(".")
    if section == "stages":
        return rest.partition(".")[2].partition(".")[0] in WIRING
    return not is_of_hub(name) and name != "hub.lease" and section != "hosts" and (section != "frontier" or name in ALL)


def ignored_by_stage(
    config: Config, pipeline: Pipeline, names: Sequence[str], hub: HubSettings | None, hint: Hint = PLAIN
) -> Iterator[str]:
    """Describe the settings of a stage's process that have no effect in it. names: its stages.

    Of those that the hub decides, only values that the hub does not have are reported. Of those that other stages obey, only typed
    ones are: a file or the environment may be meant for several processes.
    """
    for name, origin in config.origins.items():
        if is_of_hub(name):
            value = value_of(config, name)
            there = hub.values.get(name) if hub is not None else None
            if hub is None and not origin.startswith("-"):
                continue
            if hub is None or value != there:
                yield f"{_given(name, value, origin)} has no effect on a stage: {_decided(name, value, hub, hint)}"
        elif origin.startswith("-") and (found := readers(name, pipeline)) is not None and not set(found) & set(names):
            yield f"{name} (set by {origin}) has no effect on {'+'.join(names)}: {_obeyed(found, name, hint)}"


def ignored_by_hub(config: Config, pipeline: Pipeline, hint: Hint = PLAIN) -> Iterator[str]:
    """Describe the settings typed for a hub that only stages obey."""
    for name, origin in config.origins.items():
        if origin.startswith("-") and (found := readers(name, pipeline)) is not None:
            yield f"{name} (set by {origin}) has no effect on the hub: {_obeyed(found, name, hint)}"


def for_command(options: Sequence[str], is_meant: Callable[[str], bool]) -> list[str]:
    """Return options without the `-s` settings that a command does not obey."""
    kept: list[str] = []
    words = iter(options)
    for word in words:
        value = next(words, "") if word.startswith("-") else ""
        if word != "-s" or is_meant(value.partition("=")[0].strip()):
            kept += [word, value] if word.startswith("-") else [word]
    return kept


def _given(name: str, value: Any, origin: str) -> str:
    return f"{name} = {_text(value)} (set by {origin})"


def _text(value: Any) -> str:
    from crawler.run.resume.differences import toml  # here, because the hub of `crawler run` starts without it

    return f"{value:g}" if isinstance(value, float) else toml(value)


def _decided(name: str, value: Any, hub: HubSettings | None, hint: Hint) -> str:
    """Say who decides a setting of the hub, and what to type."""
    if name.startswith("hosts."):
        host, _, key = name.removeprefix("hosts.").rpartition(".")
        now = f"; '{hint(f'host delay {host} {_text(value)}')}' sets it at once" if key == "delay" and "*" not in host else ""
        return f'the hub decides it; put [hosts."{host}"] into the file that the hub reads, and start it again{now}'
    there = f" and has {_text(hub.values[name])}" if hub is not None and name in hub.values else ""
    text = _text(value)
    option = f"{OPTIONS[name]} {text}" if name in OPTIONS else f"-s {name}={text}"
    by_run = hub is not None and not hub.is_by_hand
    change = " --change" if name in DEFINING else ""
    way = f"'{hint(f'run {option}{change}')}' goes on with it after a stop" if by_run else f"'{hint(f'hub {option}')}' starts it so"
    now = f"; '{hint(f'host delay HOST {text}')}' sets it for one host at once" if name == "frontier.delay" else ""
    return f"{'the hub of the running crawl' if by_run else 'the hub'} decides it{there}; {way}{now}"


def _obeyed(found: Sequence[str], name: str, hint: Hint) -> str:
    if not found:
        return "there is no such stage in the pipeline"
    whom = {1: f"stage {found[0]} obeys it"}.get(len(found), f"the stages {', '.join(found)} obey it")
    if name.startswith("frontier."):
        whom += ", because they find links" if len(found) > 1 else ", because it finds links"
    return f"{whom}; give it to '{hint(f'stage {found[0]}')}'"
