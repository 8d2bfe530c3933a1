"""Check the class of a stage, so that its author hears of a mistake before anything is started."""

from __future__ import annotations

import inspect
from typing import Any, Final

from crawler.errors import ConfigError, Mistakes
from crawler.stage import Stage

# Attribute of the class → the type of its values, the least one, and the advice in a message.
_NUMBERS: Final[dict[str, tuple[tuple[type, ...], float, str]]] = {
    "concurrency": ((int,), 1, "a whole number of 1 or more"),
    "prefetch": ((int,), 0, "a whole number of 0 or more"),
    "batch": ((int,), 0, "a whole number of 0 or more"),
    "overlap": ((int,), 0, "a whole number of 0 or more"),
    "hang": ((int, float), 0.001, "a number of seconds above 0"),
    "stuck": ((int, float), 0, "a number of seconds, or 0 for no warning"),
}
# Attribute that a class may not define → what it is for.
_OURS: Final = {
    "facts": "is what a worker reads of the class, such as concurrency and batch",
    "context": "is what a stage may know of its crawl, and set before open(self)",
}
_METHODS: Final = {
    "process": "process(self, item)", "open": "open(self)", "close": "close(self)", "begin": "begin(self, item)",
    "count": "count(self, name, n=1)",
}  # fmt: skip
_NOT_ASYNC: Final = ("open", "close", "begin", "count")  # they would never be awaited


def refuse_unusable(kind: type[Stage]) -> None:
    """Raise ConfigError, with all mistakes, for a class whose attributes cannot be worked with."""
    found = _mistakes(kind)
    if len(found) > 1:
        raise Mistakes(found)
    if found:
        raise ConfigError(found[0])


def _mistakes(kind: type[Stage]) -> list[str]:
    name = _name(kind)
    found = []
    for attribute, (types, least, expected) in _NUMBERS.items():
        value = getattr(kind, attribute)
        if not isinstance(value, property) and not _is_number(value, types, least):
            found.append(f"{name}.{attribute} is {value!r}; use {expected}")
    found += [f"{name}.{taken} {meaning}; give yours another name" for taken, meaning in _OURS.items() if _is_own(kind, taken)]
    if callable(kind.begin) and kind.begin is not Stage.begin and not _takes(kind.begin, 2):
        found.append(f"{name}.begin is called with the item alone, and returns a Pending or None; write def begin(self, item)")
    for method, form in _METHODS.items():
        value = getattr(kind, method)
        if not callable(value):
            found.append(f"{name}.{method} is {value!r}, which is not a method; write def {form}")
        elif method in _NOT_ASYNC and (inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value)):
            found.append(f"{name}.{method} is async, and only process may be; write def {form}")
    return found


def refuse_init(kind: type[Stage]) -> None:
    """Raise ConfigError for a class that cannot be made as the workers do it. Tests of a stage may make it differently."""
    if kind.__init__ is not Stage.__init__ and not _takes(kind.__init__, 3):
        raise ConfigError(
            f"{_name(kind)}.__init__ is called with the options and the shared notes; write "
            "def __init__(self, options=None, shared=None) that calls super().__init__(options, shared), or use open(self) instead"
        )


def refuse_uninitialised(stage: Stage) -> None:
    """Raise ConfigError for a stage whose own `__init__` has left out that of Stage, or has set what is ours."""
    if not hasattr(stage, "_counts"):
        raise ConfigError(f"{_name(type(stage))}.__init__ has to call super().__init__(options, shared)")
    if "context" in vars(stage):
        raise ConfigError(f"{_name(type(stage))}.__init__ sets self.context, which {_OURS['context']}; give yours another name")


def _name(kind: type[Stage]) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _is_own(kind: type[Stage], attribute: str) -> bool:
    """Tell whether a class has put something of its own in the place of this attribute. A property may compute the facts."""
    value, ours = getattr(kind, attribute), getattr(Stage, attribute)
    return value is not ours and not (isinstance(value, property) and isinstance(ours, property))


def _is_number(value: Any, types: tuple[type, ...], least: float) -> bool:
    return type(value) in types and bool(value >= least)  # exactly: a bool is an int as well


def _takes(method: Any, arguments: int) -> bool:
    """Tell whether a method can be called with so many arguments by place, with self."""
    try:
        inspect.signature(method).bind(*[None] * arguments)
    except (TypeError, ValueError):
        return False
    return True
