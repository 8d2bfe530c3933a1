"""Find the class of a stage, and read its options and other facts.

A stage is named by its entry point in the group `crawler.stages`, like the built-in ones, or as `module:Class`. The module is
looked for in the standard library and among installed packages, then in the working directory, then in the folder of the
configuration file: a file there never takes the place of a module that others import. Both kinds of name come from the
configuration or the command line of the person who runs it; nothing from a page or another process is ever resolved here.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast, get_args, get_origin, get_type_hints

from crawler.config.settings import StageSettings
from crawler.config.tables import fill, refuse_huge
from crawler.errors import ConfigError
from crawler.pipeline.stage_class import refuse_unusable
from crawler.stage import Stage

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "crawler.stages"

# Our own entry points. To ask the system for all there are takes 15 ms of each start: who names these need not.
BUILT_IN: Final = {
    "fetch": "crawler_stages.fetch:Fetch", "parse": "crawler_stages.parse:Parse", "store": "crawler_stages.store:Store",
    "square": "crawler_stages.square:Square",
}  # fmt: skip

OUR_STAGES: Final = "crawler_stages"  # the package of the built-in stages

_beside: list[str] = []  # folders of configuration files that `look_beside` added to the path

_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def names() -> list[str]:
    """The stages that installed packages offer."""
    return sorted({point.name for point in _offered(tuple(sys.path))})


def find(use: str) -> type[Stage]:
    """Return the class behind an entry point's name or `module:Class`. Raises ConfigError."""
    if ":" not in use:
        if use in BUILT_IN:
            return _load(BUILT_IN[use], f"stage {use!r}")
        point = _entry_point(use)
        return _load(point.value, f"stage {use!r} of the installed package {point.dist.name}" if point.dist else f"stage {use!r}")
    if not _CLASS.fullmatch(use):
        raise ConfigError(f"{use!r} does not name a class; expected module:Class, for example 'enrich:Enrich'")
    _look_here()
    return _load(use, repr(use))


def _look_here() -> None:
    """Also find modules in the working directory: after all that is installed, before the folders of configuration files."""
    importlib.import_module(OUR_STAGES)  # now: an editable installation is searched after the path, so a folder could hide it
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(min((sys.path.index(folder) for folder in _beside if folder in sys.path), default=len(sys.path)), here)


def look_beside(file: Path) -> None:
    """Also find modules in the folder of this configuration file, after everything that is installed."""
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
        _beside.append(folder)


def _folders() -> list[Path]:
    """Return the folders in which a person's own modules are looked for."""
    return [Path(folder) for folder in dict.fromkeys([os.getcwd(), *_beside])]


def options_for(
    name: str, kind: type[Stage], table: Mapping[str, Any], place: Callable[[str], str] = lambda _: ""
) -> Stage.Options:
    """The stage's options from its own keys of `[stages.NAME]`. Raises ConfigError.

    place: where a key was set, for the messages; `Config.origin` is one.
    """
    common = StageSettings.__struct_fields__
    if not issubclass(kind.Options, Stage.Options):
        wanted = "class Options(Stage.Options, frozen=True)"
        raise ConfigError(f"{_name(kind)}.Options is not what [stages.{name}] can fill; write {wanted}")
    if taken := [option for option in kind.Options.__struct_fields__ if option in common]:
        raise ConfigError(f"{_name(kind)} has an option {taken[0]!r}, which every stage's table has already; rename the option")
    options = fill(kind.Options, table, f"stages.{name}", place, beside=common)
    refuse_huge(table, f"stages.{name}", place)
    return options


def item_schema(kind: type[Stage]) -> tuple[Any, bool]:
    """The type of the items that `process` takes (Any if it does not say), and whether it is async.

    For a batch stage it is the type in the list. Only this one annotation is resolved: what `process` returns may be
    imported for type checkers alone. Raises ConfigError also for other mistakes in the class.
    """
    refuse_unusable(kind)
    if kind.process is Stage.process:
        from crawler.pipeline.plugin_hints import no_process  # here, as below, because only mistakes need it

        raise ConfigError(no_process(kind, Stage))
    process = inspect.unwrap(kind.process)
    is_async = inspect.iscoroutinefunction(process) or inspect.isasyncgenfunction(process)
    parameters = list(inspect.signature(process).parameters.values())[1:]
    if not parameters:
        raise ConfigError(f"{_name(kind)}.process takes no item; write process(self, item)")
    if more := [one.name for one in parameters[1:] if one.default is one.empty and not one.kind.name.startswith("VAR_")]:
        raise ConfigError(f"{_name(kind)}.process asks for {', '.join(more)} as well; it is given one item: process(self, item)")
    annotation = _resolve(kind, *_annotated(kind, process, parameters[0]))
    if not kind.batch:
        return _readable(kind, annotation), is_async
    if annotation is Any or annotation is list:
        return Any, is_async
    inner = get_args(annotation)
    if get_origin(annotation) is None or len(inner) != 1:
        raise ConfigError(
            f"{_name(kind)} is a batch stage and its process takes {parameters[0].annotation}; "
            "expected a list, as in items: list[Record]"
        )
    return _readable(kind, inner[0]), is_async


def _annotated(kind: type[Stage], process: Any, parameter: inspect.Parameter) -> tuple[Any, inspect.Parameter]:
    """Return the method that says which items `process` takes, and its parameter: its own, or the nearest one that it overrides."""
    if parameter.annotation is not parameter.empty:
        return process, parameter
    for parent in kind.__mro__[1:]:
        overridden = inspect.unwrap(parent.__dict__.get("process", Stage.process))
        if overridden is Stage.process:
            continue
        inherited = list(inspect.signature(overridden).parameters.values())[1:]
        if inherited and inherited[0].annotation is not parameter.empty:
            return overridden, inherited[0]
    return process, parameter


@lru_cache(maxsize=1)
def _offered(path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points of all packages installed on this path, which is Python's."""
    from importlib.metadata import entry_points  # here, because it takes longer than all the rest of this module

    return tuple(entry_points(group=GROUP))


def _entry_point(name: str) -> EntryPoint:
    # An installed package and its source tree may both be on the path: the same target twice is one stage.
    targets = {point.value: point for point in _offered(tuple(sys.path)) if point.name == name}
    if not targets:
        from crawler.pipeline.plugin_hints import no_such_stage

        raise ConfigError(no_such_stage(name, names(), _folders()))
    if len(targets) > 1:
        choice = " or ".join(f'use = "{target}"' for target in sorted(targets))
        raise ConfigError(f"{len(targets)} installed packages offer a stage {name!r}; say which: {choice}")
    return targets.popitem()[1]


def _load(target: str, what: str) -> type[Stage]:
    module_name, _, class_name = target.partition(":")
    module = imported(module_name, what)
    kind = getattr(module, class_name, None)
    if _is_stage(kind):
        return cast("type[Stage]", kind)
    from crawler.pipeline.plugin_hints import no_such_class, not_a_stage

    if kind is Stage:
        raise ConfigError(f"{what}: Stage is the base of all stages; name a class of your own")
    if kind is not None:
        raise ConfigError(f"{what}: {not_a_stage(class_name, kind)}")
    stages = [name for name, value in vars(module).items() if _is_stage(value)]
    raise ConfigError(f"{what}: {no_such_class(module, class_name, stages, _folders())}")


def _is_stage(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Stage) and value is not Stage


def imported(name: str, what: str) -> ModuleType:
    """Import the module of a plugin. Raises ConfigError. what: the plugin, for the message."""
    if not name.startswith(f"{OUR_STAGES}."):
        from crawler.pipeline import old_names  # here, because few crawls have stages that are not ours

        old_names.find_last()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            from crawler.pipeline.plugin_hints import no_such_module

            raise ConfigError(f"{what}: {no_such_module(name, missing, _folders())}") from error
        from crawler.pipeline.plugin_hints import is_now

        raise ConfigError(f"{what}: module {name} needs {missing!r}, which is not installed{is_now(missing)}") from error
    except (Exception, SystemExit) as error:  # the import runs the author's code; any failure of it becomes one line
        from crawler.wording.places import told

        raise ConfigError(f"{what}: importing {name} failed: {told(error)}") from error


def _resolve(kind: type[Stage], process: Any, parameter: inspect.Parameter) -> Any:
    if parameter.annotation is inspect.Parameter.empty:
        return Any
    carrier = SimpleNamespace(__annotations__={"item": parameter.annotation})
    try:
        return get_type_hints(carrier, globalns=process.__globals__)["item"]
    except (NameError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{_name(kind)}.process takes {parameter.annotation}, which cannot be resolved: {error}; "
            "import it at the top of the module, not under TYPE_CHECKING"
        ) from error


def _readable(kind: type[Stage], annotation: Any) -> Any:
    from crawler.codec.bodies import decoder  # here, because looking for a class does not need it

    try:
        decoder(annotation)
    except ConfigError as error:
        raise ConfigError(f"{_name(kind)}.process takes {_shown(annotation)}: {error}") from error
    return annotation


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)


def _name(kind: type[Stage]) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"
