"""Return how to install an optional dependency, for messages that name one.

pip knows where this project was installed from. The name alone is not enough: on the public index it belongs to another project.
"""

from __future__ import annotations

import shlex


def how_to_install(extra: str) -> str:
    """Return the command that adds an extra to this installation. It works in any directory if the source is known."""
    source, options = _source()
    if not source:
        return f"pip install '.[{extra}]' in the folder of its source"
    return f"pip install {options}{shlex.quote(f'{source}[{extra}]')}"


def _source() -> tuple[str, str]:
    """Return the folder of the source that was installed, and pip's options for it; "" if it is unknown or gone."""
    import json  # here, like all of these: few people ever see such a message
    from importlib.metadata import distributions
    from pathlib import Path
    from urllib.parse import unquote, urlsplit

    notes = (found.read_text("direct_url.json") for found in distributions(name="crawler"))  # PEP 610; a build has none
    try:
        origin = json.loads(next(filter(None, notes), "{}"))
    except ValueError:
        return "", ""
    url = urlsplit(origin.get("url", ""))
    folder = unquote(url.path)
    if url.scheme != "file" or not Path(folder, "pyproject.toml").is_file():
        return "", ""
    return folder, "-e " if origin.get("dir_info", {}).get("editable") else ""
