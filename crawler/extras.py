"""How an optional dependency is installed, for messages that name one.

pip knows where this project was installed from. Its name alone would not do: on the public index it is another project's.
"""

from __future__ import annotations

import shlex


def how_to_install(extra: str) -> str:
    """The command that adds an extra to the installation in use, to be typed anywhere where that is known."""
    source, options = _source()
    if not source:
        return f"pip install '.[{extra}]' in the folder of its source"
    return f"pip install {options}{shlex.quote(f'{source}[{extra}]')}"


def _source() -> tuple[str, str]:
    """The folder of the source this was installed from, and pip's options for it. "": it is not known, or no longer there."""
    import json  # here, as all of these: few ever see such a message
    from importlib.metadata import distributions
    from pathlib import Path
    from urllib.parse import unquote, urlsplit

    notes = (found.read_text("direct_url.json") for found in distributions(name="crawler"))     # PEP 610; a build's has none
    try:
        origin = json.loads(next(filter(None, notes), "{}"))
    except ValueError:
        return "", ""
    url = urlsplit(origin.get("url", ""))
    folder = unquote(url.path)
    if url.scheme != "file" or not Path(folder, "pyproject.toml").is_file():
        return "", ""
    return folder, "-e " if origin.get("dir_info", {}).get("editable") else ""
