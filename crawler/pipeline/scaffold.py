"""The files that `crawler new` writes: a stage that works with a test that passes, or a configuration to start from."""

from __future__ import annotations

import keyword
from importlib.util import find_spec
from pathlib import Path

from crawler.errors import UsageError
from crawler.pipeline import plugins

_STAGE = '''\
"""A stage of the pipeline; see crawler.toml for the queue it reads and those it feeds."""

from __future__ import annotations

from typing import Any

from crawler import Drop, Stage


class {Class}(Stage):
    """Add the length of the title to each record, and drop records without a title."""

    class Options(Stage.Options, frozen=True, kw_only=True):
        """The options in [stages.{name}]; anything else there is refused."""

        minimum: int = 1  # characters; a record with a shorter title is dropped

    def process(self, record: dict[str, Any]) -> dict[str, Any]:
        title = record.get("title") or ""
        if len(title) < self.options.minimum:
            raise Drop("the title is too short")
        return {{**record, "title_length": len(title)}}
'''

_TEST = """\
from __future__ import annotations

import pytest
from crawler import Drop

from {name} import {Class}


def test_the_length_of_the_title_is_added() -> None:
    record = {Class}().process({{"url": "https://example.org/", "title": "An example"}})

    assert record == {{"url": "https://example.org/", "title": "An example", "title_length": 10}}


def test_a_record_with_a_short_title_is_dropped() -> None:
    stage = {Class}({Class}.Options(minimum=3))

    with pytest.raises(Drop):
        stage.process({{"url": "https://example.org/", "title": "An"}})
"""

_TABLE = """\
[stages.parse]
outputs = ["parsed", "urls"]    # was ["records", "urls"]

[stages.{name}]
use = "{module}:{Class}"
input = "parsed"
outputs = ["records"]           # what store reads
# minimum = 1                   # its own options stand beside
"""


def write_stage(name: str, folder: Path) -> tuple[Path, Path]:
    """Write NAME.py and test_NAME.py; returns both paths. Raises UsageError, and then nothing was overwritten."""
    _refuse_name(name)
    code, test = folder / f"{name}.py", folder / f"test_{name}.py"
    for path in (code, test):
        if path.exists():
            raise UsageError(f"{path} is there already; choose another name or another --dir")
    if find_spec(name) is not None:
        raise UsageError(f"{name}.py would hide the module {name!r} from all who import it; choose another name")
    words = {"name": name, "Class": _class_name(name)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, template in ((code, _STAGE), (test, _TEST)):
            with path.open("x", encoding="utf-8") as file:  # x: a file made since the look above is not overwritten either
                file.write(template.format(**words))
    except OSError as error:
        raise UsageError(f"{error.filename or folder} cannot be written: {error.strerror}; choose another --dir") from error
    return code, test


def write_config(path: Path) -> None:
    """Write a crawler.toml in which every setting is a comment. Raises UsageError instead of overwriting a file."""
    from crawler.config.reference import template

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError as error:
        raise UsageError(f"{path} already exists and is left unchanged; name another file: crawler new config FILE") from error
    except OSError as error:
        raise UsageError(f"{error.filename or path} cannot be written: {error.strerror}; name another file") from error


def table(name: str, module: str = "") -> str:
    """Return the TOML that puts the new stage between parse and store. module: its import name, if not the plain name."""
    return _TABLE.format(name=name, module=module or name, Class=_class_name(name))


def module_of(name: str, folder: Path) -> str:
    """Return the import name of a stage in a folder, as seen from the working directory.

    "" if it cannot be imported, because the folder is elsewhere or hides a module.
    """
    try:
        parts = folder.resolve().relative_to(Path.cwd()).parts
    except ValueError:
        return ""
    if not all(part.isidentifier() for part in parts):
        return ""
    if parts and (found := find_spec(parts[0])) is not None:
        here = [Path(place).resolve() for place in found.submodule_search_locations or ()]
        if Path(parts[0]).resolve() not in here[:1]:
            return ""
    return ".".join([*parts, name])


def _refuse_name(name: str) -> None:
    if not (name.isidentifier() and name.isascii() and name == name.lower() and name[0].isalpha()) or keyword.iskeyword(name):
        raise UsageError(f"{name!r} cannot name a stage; use a-z, 0-9 and _, a letter first, for example price_check")
    if name in plugins.names():
        raise UsageError(f"there is a stage {name!r} already; choose another name")


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
