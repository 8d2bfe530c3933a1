"""Use the configuration file again that a crawl was begun with, when a later command names none.

crawler run -c my.toml URL ──▶ Definition.config ──▶ crawler run        reads my.toml
                                                └──▶ the file is gone: its settings, to be typed
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from crawler.config.load import Config
from crawler.pipeline.build import BUILT_IN
from crawler.run.paths import from_here
from crawler.run.resume.definition import DEFAULT, Definition, is_typed
from crawler.run.resume.differences import toml


class Load(Protocol):
    """Loads the configuration with these settings where nothing else sets them, and from this file if the command names none."""

    def __call__(self, remembered: Mapping[str, Any], file: Path | None = None, /) -> Config: ...


def loaded(load: Load, config: Config, was: Definition) -> tuple[Config, Path | None]:
    """Return the configuration to use for the crawl `was`, and its file if it is used because the crawl was begun with it.

    config: the configuration as the command asks for it. A file that would lead to another data directory is not used.
    """
    file = there(was)
    if config.file or not file:
        return config, None
    again = load({}, Path(file))
    is_same = os.path.abspath(again.settings.data) == os.path.abspath(config.settings.data)
    return (again, Path(file)) if is_same else (config, None)


def there(was: Definition) -> str:
    """Return the path of the file that the crawl was begun with, as it can be typed here; "" if there was none or it is gone."""
    return from_here(was.path(was.config)) if was.config and was.path(was.config).is_file() else ""


def lost(was: Definition, config: Config) -> list[str]:
    """Return the settings that a file which is gone made for how the work is done and that nothing sets now, as for `-s`."""
    if not was.config or there(was):
        return []
    return [
        f"{name}={toml(value.value)}" for name, value in was.how.items()
        if value.origin != DEFAULT and not is_typed(value.origin) and config.origin(name) == DEFAULT and _has_stage(config, name)
    ]  # fmt: skip


def _has_stage(config: Config, name: str) -> bool:
    """Return whether the stage of a setting is in the pipeline now; otherwise the setting alone would be refused."""
    table, _, rest = name.partition(".")
    return table != "stages" or rest.partition(".")[0] in {*BUILT_IN, *config.settings.stages}
