"""Find the hooks that installed packages offer in the entry point group `crawler.hooks`, and load their classes.

Few installations have any. To ask the system for entry points takes 15 ms of each start: it is asked only if a file that declares
them has the group's name in it.
"""

from __future__ import annotations

import inspect
import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from crawler.errors import Collected, ConfigError

if TYPE_CHECKING:
    from crawler.hook import Hook

GROUP: Final = "crawler.hooks"
_METHODS: Final = ("before", "after", "failed")
_DECLARING: Final = (".dist-info", ".egg-info")  # folders of an installed package in which its entry points are declared


class Found(NamedTuple):
    """A hook that an installed package offers."""

    name: str
    target: str  # module:Class
    package: str  # with its version; "" if unknown

    def __str__(self) -> str:
        return f"hook {self.name!r} of the installed package {self.package}" if self.package else f"hook {self.name!r}"


def found() -> tuple[Found, ...]:
    """Return the hooks that there are, in the order in which they are called before a task: by name."""
    return _found(tuple(sys.path))


def classes() -> list[tuple[str, type[Hook]]]:
    """Return the names and classes of all hooks. Raises ConfigError with all mistakes in them."""
    loaded, mistakes = [], Collected()
    for each in found():
        with mistakes.mistakes():
            loaded.append((each.name, _load(each)))
    mistakes.refuse()
    return loaded


def made() -> list[tuple[str, Hook]]:
    """Return the names of all hooks, and a new object of each. Raises ConfigError."""
    from crawler.wording.places import told

    hooks = []
    for name, kind in classes():
        try:
            hooks.append((name, kind()))
        except Exception as error:  # __init__ may be the author's code; any failure of it becomes one line
            raise ConfigError(f"hook {name!r}: {kind.__name__}() failed: {told(error)}") from error
    return hooks


@lru_cache(maxsize=1)
def _found(path: tuple[str, ...]) -> tuple[Found, ...]:
    """Return the hooks of all packages installed on this path, which is Python's."""
    if not any(map(_may_declare, dict.fromkeys(path))):
        return ()
    from importlib.metadata import entry_points  # here, because it takes longer than to look for the name

    # An installed package and its source tree may both be on the path: the same target twice is one hook.
    points = {(point.name, point.value): point for point in entry_points(group=GROUP)}
    return tuple(
        Found(point.name, point.value, f"{point.dist.name} {point.dist.version}" if point.dist else "")
        for _, point in sorted(points.items())
    )


def _may_declare(place: str) -> bool:
    """Tell whether a place on Python's path may have a package with hooks. One that is no folder is an archive, and may."""
    try:
        with os.scandir(place or ".") as entries:
            return any(_names_group(entry.path) for entry in entries if entry.name.endswith(_DECLARING))
    except OSError:
        return os.path.isfile(place)


def _names_group(folder: str) -> bool:
    try:
        with open(os.path.join(folder, "entry_points.txt"), "rb", buffering=0) as file:
            return GROUP.encode() in file.read()
    except OSError:  # most packages have no such file
        return False


def _load(hook: Found) -> type[Hook]:
    from crawler.hook import Hook
    from crawler.pipeline.plugins import imported

    module_name, _, class_name = hook.target.partition(":")
    kind = getattr(imported(module_name, str(hook)), class_name, None)
    if not (isinstance(kind, type) and issubclass(kind, Hook)):
        raise ConfigError(f"{hook}: {hook.target} is no class derived from crawler.Hook; correct the package, or uninstall it")
    for method in _METHODS:
        if inspect.iscoroutinefunction(getattr(kind, method)):
            raise ConfigError(
                f"{hook}: {hook.target}.{method} is async, and would never be awaited; write def {method}(self, task, …)"
            )
    return kind
