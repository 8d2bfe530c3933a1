"""What a message says of an extra can be typed as it stands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from crawler.wording.extras import how_to_install

ROOT = Path(__file__).parents[2]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that pip has noted this as the origin of the project."""

    def note(**origin: object) -> None:
        info = tmp_path / "crawler-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: crawler\nVersion: 0.1.0\n")
        (info / "direct_url.json").write_text(json.dumps(origin))
        monkeypatch.syspath_prepend(str(tmp_path))

    return note


def source(folder: Path) -> str:
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    return folder.as_uri()


def test_an_extra_is_installed_from_where_the_project_was(installed: Callable[..., None], tmp_path: Path) -> None:
    installed(url=source(tmp_path / "my crawler"), dir_info={})

    assert shlex.split(how_to_install("tls")) == ["pip", "install", f"{tmp_path}/my crawler[tls]"]


def test_an_editable_installation_stays_one(installed: Callable[..., None], tmp_path: Path) -> None:
    installed(url=source(tmp_path / "crawler"), dir_info={"editable": True})

    assert shlex.split(how_to_install("fast")) == ["pip", "install", "-e", f"{tmp_path}/crawler[fast]"]


def test_a_source_that_is_gone_is_not_named(installed: Callable[..., None], tmp_path: Path) -> None:
    installed(url=(tmp_path / "gone").as_uri(), dir_info={})

    assert how_to_install("br") == "pip install '.[br]' in the folder of its source"


@pytest.mark.slow
def test_nothing_tells_people_to_ask_the_public_index_for_an_extra() -> None:
    """There the name is another project's."""
    files = [path for path in ROOT.rglob("*") if path.suffix in (".py", ".md", ".toml") and path != Path(__file__)]
    ours = [path for path in files if not any(part.startswith(".") or part == "build" for part in path.relative_to(ROOT).parts)]

    told = [path for path in ours if re.search(r"install\s+['\"]?crawler\b", path.read_text("utf-8"))]

    assert told == []
