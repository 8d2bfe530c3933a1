"""Suggest the class that a wrong name of a stage's class probably means. Imported only when a class is not found.

Files are read here and never imported: a guess must not run anybody's code.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from crawler.pipeline.old_names import renamed
from crawler.wording.spelling import nearest

_MANY: Final = 4  # classes that are listed


def no_such_stage(name: str, installed: Sequence[str], folders: Iterable[Path]) -> str:
    """Return the message for a name that is not module:Class and that no installed package offers."""
    for folder in folders:
        module = name.removesuffix(".py").replace("/", ".")
        file = folder / f"{module.replace('.', '/')}.py"
        if module and file.is_file():
            classes = _classes(file) or ["CLASS"]
            with_them = "" if classes == ["CLASS"] else f" with class {', '.join(classes[:_MANY])}"
            uses = " or ".join(f'use = "{module}:{one}"' for one in classes[:_MANY])
            return f"no stage {name!r} is installed, but there is a module {file.name}{with_them}: write {uses}"
        module, _, kind = name.rpartition(".")
        file = folder / f"{module.replace('.', '/')}.py"
        if module and file.is_file() and kind in _classes(file):
            return f'no stage {name!r} is installed; did you mean the class {kind} of {file.name}? write use = "{module}:{kind}"'
    near = nearest(name, installed)
    hint = f"did you mean {near!r}?" if near else f"installed are {', '.join(installed) or 'none'};"
    return f'no stage {name!r} is installed; {hint} a class of your own is named module:Class, as in use = "enrich:Enrich"'


def no_such_class(module: ModuleType, name: str, stages: Sequence[str], folders: Iterable[Path] = ()) -> str:
    """Return the message for a class that the module does not have.

    stages: the stages that it does have. folders: where a person's own modules are, which another module may hide.
    """
    if file := _hidden(module, folders):
        what = "Python's own module" if _is_standard(module) else "the installed module"
        return f"{file} is hidden by {what} {module.__name__!r}; rename the file, or the folder it is in"
    start = f"module {module.__name__} has no class {name!r}"
    classes = [one for one, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__]
    near = nearest(name, stages) or nearest(name, classes)
    if near in stages:
        return f"{start}; did you mean {near!r}?"
    if near:
        return f"{start}; {not_a_stage(near)}"
    if stages:
        return f"{start}; its stages are {', '.join(stages[:_MANY])}"
    return f"{start} and no stage; write class {name}(Stage), with Stage from crawler"


def not_a_stage(name: str, value: Any = type) -> str:
    """Return the message for a name that is in the module but cannot be used as a stage."""
    if isinstance(value, type):
        return f"{name} is there but is not a Stage; write class {name}(Stage), with Stage from crawler"
    return f"{name} is there but is not a class; write class {name.capitalize()}(Stage), with Stage from crawler"


def no_such_module(name: str, missing: str, folders: Sequence[Path]) -> str:
    """Return the message for a module that cannot be found. missing: the part of its name that was not found."""
    if name.endswith(".py"):
        return f"a module is named without .py; write {name.removesuffix('.py')!r} before the colon"
    first = name.partition(".")[0]
    for folder in folders:
        file = folder / f"{name.replace('.', '/')}.py"
        if file.is_file() and missing != first:
            taken = sys.modules.get(first)
            place = next(iter(getattr(taken, "__path__", [])), "the installed one")
            return f"{file} is there, but the name {first!r} belongs to the package in {place}; rename your folder {first}"
    there = sorted({path.stem for folder in folders for path in folder.glob("*.py")})
    near = nearest(name, there)
    did_you_mean = f"; did you mean {near!r}?" if near else ""
    return f"no module {missing!r} in {' or '.join(map(str, folders))} or among installed packages{is_now(name) or did_you_mean}"


def is_now(module: str) -> str:
    """Return a hint for a module that is called by a name that a built-in one had once; "" if there was none."""
    name = renamed(module)
    return f"; the built-in module {module} is now {name}" if name else ""


def no_process(kind: type[Any], base: type[Any]) -> str:
    """Return the message for a stage without a method that processes an item."""
    own = [name for one in kind.__mro__ if one not in base.__mro__ for name, value in vars(one).items() if callable(value)]
    near = nearest("process", [name for name in own if not hasattr(base, name)])
    hint = f"it has {near}: did you mean process?" if near else "write def process(self, item), which is given each item"
    return f"{kind.__module__}:{kind.__qualname__} has no method process; {hint}"


def _hidden(module: ModuleType, folders: Iterable[Path]) -> Path | None:
    """Return the file that would be this module if no other had its name; None if there is none, or it is this module."""
    taken = Path(getattr(module, "__file__", None) or "").resolve()
    below = module.__name__.replace(".", "/")
    candidates = [folder / name for folder in folders for name in (f"{below}.py", f"{below}/__init__.py")]
    return next((file for file in candidates if file.is_file() and file.resolve() != taken), None)


def _is_standard(module: ModuleType) -> bool:
    return module.__name__.partition(".")[0] in sys.stdlib_module_names


def _classes(file: Path) -> list[str]:
    """List the classes that a file defines, those with a base first; [] if it is not valid Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return []
    found = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    stages = [node for node in found if any("Struct" not in ast.unparse(base) for base in node.bases)]
    return [node.name for node in stages or found]
