"""Load the settings, each in three spellings, and note where each value came from.

    default ◀── crawler.toml ◀── CRAWLER_FRONTIER__DELAY ◀── -s frontier.delay=0        the right one wins, key by key

In the environment a double underscore is the dot, also in the name of a host, and case does not matter. The value of a variable or
of -s is read as TOML where it is TOML (0, true, ["a", "b"]) and taken as a string where it is not. A dash in a setting's name
counts as an underscore.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Struct

from crawler.config.settings import Settings
from crawler.config.tables import fields_of, fill, leaves, refuse_infinite
from crawler.errors import ConfigError
from crawler.wording.secrets import HIDDEN as HIDDEN
from crawler.wording.secrets import shown as shown

DEFAULT_FILE = Path("crawler.toml")
COMMAND_LINE = "-s"
# The key is read where it is needed: a secret is never part of a configuration. The cases are those of the tests. The last one
# holds the settings of a parent process, see `crawler.run.processes.process.private`.
NO_SETTINGS = frozenset({
    "CRAWLER_AUTHKEY", "CRAWLER_CASES", "CRAWLER_MARKS", "CRAWLER_PARENT_PATH", "CRAWLER_PARENT_SETTINGS", "CRAWLER_WORKER_SECRET",
})  # fmt: skip

# Settings that name files; ~/ at their beginning is the home directory, as in a shell.
_PATHS = frozenset({"data", "hub.certs", "hub.authkey_file", "stages.store.output"})
_TOP = {field.name: field.type for field in fields_of(Settings)}
_NAMED = frozenset({"stages", "queues", "hosts"})  # sections of tables, whose names users choose
# Variables that Kubernetes sets for a service called crawler, crawler-hub, …
_SERVICE = r"CRAWLER_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
# Values that JSON, whose reader is imported anyway, reads as TOML does: short numbers, true, false, strings without escapes.
_PLAIN = re.compile(r'(?:0|-?[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?|true|false|"[^"\\\x00-\x1f\x7f]*"')
_WORD = re.compile(r"[A-Z/a-eghj-mo-su-z]")  # text: of TOML's values only true, false, inf and nan begin with a letter


class Config(Struct, frozen=True):
    """Checked settings, and for each dotted name that is set: the file, the variable or the option that set it."""

    settings: Settings
    origins: dict[str, str]
    file: str = ""  # path of the file that was read; "": none
    tree: dict[str, Any] = {}  # the settings in file, environment and options, before they were checked

    def origin(self, name: str) -> str:
        """Say where this value was set: itself, in part, or with the table or list it is in; else "default"."""
        return _place(self.origins, name) or "default"

    def packed(self) -> str:
        """Return these settings as text, for a child process that must have the same: see `load`."""
        return msgspec.json.encode([self.tree, self.origins, self.file]).decode()


class _Setting(NamedTuple):
    """One leaf of the tables, unchecked."""

    path: tuple[str, ...]
    value: Any
    text: str | None  # the value as typed, where it did not come from TOML
    origin: str


def load(
    file: Path | None, sets: Sequence[str], environ: Mapping[str, str], spelled: Mapping[str, str] = MappingProxyType({}),
    packed: str = "",
) -> Config:  # fmt: skip
    """Read and check file (None: ./crawler.toml if there is one), environment and -s options. Raises ConfigError.

    spelled: settings among `sets` that were given by another option, such as frontier.delay by --delay. packed: the settings of
    the parent process, in place of file and environment: these may have changed since it read them. See `Config.packed`.
    """
    try:
        return _load(file, sets, environ, spelled, packed)
    except RecursionError as error:  # of the TOML reader or of ours: a file can nest deeper than Python can follow
        raise ConfigError(
            f"the settings in {file or DEFAULT_FILE}, the environment or -s nest too deeply to be read; "
            "no setting has more than a few levels, look for a bracket or a dot too many"
        ) from error


def _load(
    file: Path | None, sets: Sequence[str], environ: Mapping[str, str], spelled: Mapping[str, str], packed: str
) -> Config:  # fmt: skip
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if packed:
        tree, origins, read = json.loads(packed)
    else:
        read = str(file or (DEFAULT_FILE if DEFAULT_FILE.exists() else ""))
        _read(tree, origins, file, environ)
    for setting in _from_options(sets, spelled):
        _assign(tree, origins, setting)

    def place(name: str) -> str:
        return _place(origins, name)

    refuse_infinite(tree, "", place)
    return Config(settings=fill(Settings, tree, place=place), origins=origins, file=read, tree=tree)


def _read(tree: dict[str, Any], origins: dict[str, str], file: Path | None, environ: Mapping[str, str]) -> None:
    """Put what file and environment say into the tree."""
    for setting in _from_file(file):
        name = ".".join(setting.path)
        if name in origins:  # TOML itself refuses the same key twice, but cannot know that - and _ are one to us
            raise ConfigError(f"{setting.origin}: {name} is set twice, with dash and underscore; keep one")
        _assign(tree, origins, setting)
    for setting in _from_environment(environ, tree):
        _assign(tree, origins, setting)


def _from_file(file: Path | None) -> Iterator[_Setting]:
    if file is None and not DEFAULT_FILE.exists():
        return
    import tomllib  # here, because a crawl without a file does not need it

    path = file or DEFAULT_FILE
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; {_unread(path, error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}; TOML is, save it as UTF-8") from error
    except ValueError as error:  # not TOML, or a number with more digits than Python reads
        from crawler.config.slips import told  # here, because only mistakes need it

        said = told(path.read_bytes().decode("utf-8-sig"), str(error))
        raise ConfigError(f"{path} is not TOML: {said}; 'crawler settings --explain' shows how each key is written") from error
    for keys, value in leaves(table):
        name = _named(keys)
        yield _Setting(name, _from_its_place(path, name, value), None, str(path))


def _from_its_place(file: Path, name: tuple[str, ...], value: Any) -> Any:
    """Return a value in a file; a relative path starts from the file's directory, wherever the command is typed."""
    is_path = ".".join(name) in _PATHS or (len(name) == 3 and name[0] == "stages" and name[2] == "output")
    is_relative = isinstance(value, str) and value not in ("", "-") and not value.startswith(("/", "~/")) and "://" not in value
    return os.path.join(file.parent, value) if is_path and is_relative and str(file.parent) != "." else value


def _unread(path: Path, error: OSError) -> str:
    """Return what to do about a configuration that cannot be read."""
    if isinstance(error, PermissionError):
        from crawler.config.slips import owner

        return f"{owner(path)}; run it as that user, or give another file with -c"
    return "'crawler new config' writes one to begin with"


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """List messages about variables that begin with CRAWLER_ and have no effect; those set by an orchestrator are left out."""
    said = []
    for variable in sorted(environ):
        name = variable.upper()
        word = name.removeprefix("CRAWLER_").lower()
        if not _is_ours(name) or "__" in word or word in _TOP or _slip(word):
            continue
        from crawler.config import suggestions  # here, because only mistakes need it

        meant = suggestions.elsewhere(word) or suggestions.similar(word, "")
        offer = suggestions.question(f"CRAWLER_{each.replace('.', '__').upper()}" for each in meant)
        said.append(
            f"{variable} is not a setting and does nothing; "
            + (offer if meant else "a setting is written like CRAWLER_FRONTIER__DELAY; see 'crawler settings'")
        )
    return said


def _is_ours(name: str) -> bool:
    """Tell whether this variable, in capitals, may be meant for us. Kubernetes sets several for each service of a cluster."""
    return name.startswith("CRAWLER_") and name not in NO_SETTINGS and not re.fullmatch(_SERVICE, name)


def _from_environment(environ: Mapping[str, str], tree: Mapping[str, Any]) -> Iterator[_Setting]:
    for variable in sorted(environ):
        name = variable.upper()
        if not _is_ours(name):
            continue
        keys = name.removeprefix("CRAWLER_").lower().split("__")
        if keys[0] not in _TOP:
            # Other programs use names with CRAWLER_… too, so only what looks like a misspelled setting is refused.
            if meant := _slip("__".join(keys)):
                raise ConfigError(f"{variable} is not a setting; {_meant(variable, meant)}")
            if len(keys) == 1:
                continue
        value, text = _value(environ[variable])
        path = _named(_as_in(tree, keys))
        _refuse_unclear_host(path, tree, variable)
        yield _Setting(path, value, text, variable)


def _refuse_unclear_host(path: Sequence[str], tree: Mapping[str, Any], variable: str) -> None:
    """Refuse a host with an underscore, unless the file has it: an underscore can stand for any of several characters."""
    hosts = tree.get("hosts")
    if path[0] == "hosts" and len(path) > 1 and "_" in path[1] and not (isinstance(hosts, dict) and path[1] in hosts):
        from crawler.config.slips import as_host  # here, because only mistakes need it

        raise ConfigError(f"{variable}: the _ in the host may stand for a dot, a dash or itself; {as_host(variable)}")


def _slip(word: str) -> str:
    """Return the name that a variable was probably meant to have; "" if it does not look like one of ours."""
    section = next((key for key in _TOP if word.startswith(f"{key}_") and not word.startswith(f"{key}__")), None)
    if section is None:
        from crawler.wording.spelling import nearest  # here, because only mistakes need it

        return nearest(word, _TOP) if "__" not in word else ""
    rest = word[len(section) + 1 :]
    return f"{section}__{rest if section in _NAMED else rest.replace('__', '_')}"


def _meant(variable: str, name: str) -> str:
    """Return what to write in place of a variable. name: its name, if a section and not a host were misspelled."""
    if not name.startswith("hosts__"):
        return f"did you mean 'CRAWLER_{name.upper()}'?"
    from crawler.config.slips import as_host  # here, because only mistakes need it

    return as_host(variable)


def _as_in(tree: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """Names of stages and fields as the file has them, since a variable has neither case nor dashes."""
    found: list[str] = []
    level: Any = tree
    for key in keys:
        names = level if isinstance(level, Mapping) else {}
        found.append(next((name for name in names if name.lower().replace("-", "_") == key), key))
        level = names.get(found[-1])
    return found


def _from_options(sets: Sequence[str], spelled: Mapping[str, str]) -> Iterator[_Setting]:
    for option in sets:
        name, equals, typed = option.partition("=")
        keys = [key.strip() for key in name.split(".")]
        if not equals or not all(keys):
            raise ConfigError(f"-s {shown('', option)}: expected KEY=VALUE, for example -s frontier.delay=0.5")
        value, text = _value(typed)
        path = _named(keys)
        yield _Setting(path, value, text, spelled.get(".".join(path), COMMAND_LINE))


def _value(text: str) -> tuple[Any, str]:
    if _WORD.match(text):
        return text, text
    if _PLAIN.fullmatch(text):
        return json.loads(text), text
    import tomllib  # here, because most commands have no other values

    try:
        table = tomllib.loads(f"value = {text}")
    except ValueError:  # not TOML, or a number with more digits than Python reads
        return text, text
    # More than one key: a line break smuggled in a second statement. A date: no setting is one, so it is text.
    is_plain = set(table) == {"value"} and isinstance(table["value"], bool | int | float | str | list | dict)
    return (table["value"], text) if is_plain else (text, text)


def _named(keys: Sequence[str]) -> tuple[str, ...]:
    """Dashes into underscores where the name is a setting's; names that users gave (hosts, stages, queues, fields) stay."""
    first = keys[0].replace("-", "_")
    if first == "hosts":
        keys = _of_host(keys)
    own = 2 if first in ("hosts", "stages", "queues") else 1
    return (first, *(key.replace("-", "_") if index == own else key for index, key in enumerate(keys[1:], 1)))


def _of_host(keys: Sequence[str]) -> list[str]:
    """Return the path of a host's setting with the host as one key: its dots may have been taken for those between keys."""
    if len(keys) < 3:
        return list(keys)
    end = next((place for place, key in enumerate(keys) if place > 1 and key == "headers"), len(keys) - 1)
    return [keys[0], ".".join(keys[1:end]).strip("\"'"), *keys[end:]]


def _assign(tree: dict[str, Any], origins: dict[str, str], setting: _Setting) -> None:
    """Put a leaf into the tree; a table given as one value is merged key by key like one in the file."""
    if isinstance(setting.value, dict) and setting.value:
        for keys, value in leaves(setting.value):
            _assign(tree, origins, _Setting(_named((*setting.path, *keys)), value, None, setting.origin))
        return
    level = tree
    for key in setting.path[:-1]:
        if not isinstance(level.get(key), dict):
            level[key] = {}
        level = level[key]
    name = ".".join(setting.path)
    if setting.value == {} and isinstance(level.get(setting.path[-1]), dict):
        return
    leaf: Any = setting.text if _is_text(setting) else setting.value
    is_home = name in _PATHS and isinstance(leaf, str) and leaf.startswith("~/")
    level[setting.path[-1]] = os.path.expanduser(leaf) if is_home else leaf
    for stale in [known for known in origins if known.startswith(f"{name}.")]:
        del origins[stale]
    origins[name] = setting.origin


def _is_text(setting: _Setting) -> bool:
    """`-s data=2024` means the directory, not the number."""
    if setting.text is None or isinstance(setting.value, str):
        return False
    kind: Any = Settings
    for key in setting.path:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
            continue
        fields = {field.name: field.type for field in fields_of(kind)} if hasattr(kind, "__struct_fields__") else {}
        kind = fields.get(key)
    return kind is str


def _place(origins: Mapping[str, str], name: str) -> str:
    """Return the origin of a setting: the place that set this name, else a part of it, else the nearest table around it."""
    name = name.partition("[")[0]  # a list is set as a whole
    if name in origins:
        return origins[name]
    inside = next((origin for known, origin in origins.items() if known.startswith(f"{name}.")), "")
    while not inside and "." in name:
        name = name.rpartition(".")[0]
        inside = origins.get(name, "")
    return inside
