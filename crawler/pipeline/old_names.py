"""Find the built-in stages by the name they once had: `from stages.parse import Parse` gives that of `crawler_stages.parse`.

    import stages.parse ──▶ the path: a folder of the user's, an installed package ──nothing──▶ here: crawler_stages.parse

Nothing is installed under that name. Whatever else is called `stages` goes first, because this is asked last.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Final

OLD: Final = "stages"
NEW: Final = "crawler_stages"

log = logging.getLogger(__name__)


def find_last() -> None:
    """Find modules by their old names from now on, after everything else. To call it again changes nothing."""
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        sys.meta_path.append(_OldNames())


def renamed(module: str) -> str:
    """Return the name that a built-in module has now, for one that it had; "" if there was none of that name."""
    if not module.startswith(f"{OLD}."):
        return ""
    name = NEW + module.removeprefix(OLD)
    try:
        return name if find_spec(name) is not None else ""
    except ModuleNotFoundError:
        return ""


class _OldNames(MetaPathFinder, Loader):
    """Finds the package of the old name, which is empty, and in it the modules of the new one."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname == OLD:
            return ModuleSpec(fullname, self, is_package=True)
        if not fullname.startswith(f"{OLD}.") or not isinstance(getattr(sys.modules.get(OLD), "__loader__", None), _OldNames):
            return None
        name = renamed(fullname)
        if not name:
            return None
        log.warning("%s is now %s: change the import", fullname, name)
        return ModuleSpec(fullname, self, loader_state=import_module(name).__spec__)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None if spec.name == OLD else sys.modules[NEW + spec.name.removeprefix(OLD)]

    def exec_module(self, module: ModuleType) -> None:
        """Leave a module as it is: it has been imported. The finder is asked first, or a file would be read twice."""
        if module.__name__ == OLD:
            sys.meta_path.insert(0, self)
        elif module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state
