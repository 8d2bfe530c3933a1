"""Mistakes of a stage's author: each is told with its place, and none of them ends in silence or in waiting."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import BETWEEN, FAST, Shell
from tests.site import Site

pytestmark = pytest.mark.slow

# By path of a page: what `process` does with its record, and the reason of the dead task that comes of it.
MISTAKES = {
    "/input": ('input("go on? ")', "EOFError: EOF when reading a line at enrich.py:LINE in process"),
    "/breakpoint": ("breakpoint()", "RuntimeError: breakpoint() needs 'crawler run --debug' at enrich.py:LINE in process"),
}
STAGE = "import urllib.parse\nfrom crawler import Stage\n\nclass Enrich(Stage):\n    def process(self, record: dict):\n"


def written() -> tuple[str, dict[str, str]]:
    """Return a stage with all mistakes, and the expected reasons by path."""
    lines = [*STAGE.splitlines(), "        path = urllib.parse.urlsplit(record['url']).path"]
    reasons = {}
    for path, (code, reason) in MISTAKES.items():
        lines += [f"        if path == {path!r}:", f"            {code}"]
        reasons[path] = reason.replace("LINE", str(len(lines)))
    return "\n".join([*lines, "        return record"]), reasons


@pytest.mark.parametrize("chain", ["true", "false"])
def test_each_mistake_is_told_with_its_place(shell: Shell, chain: str) -> None:
    code, reasons = written()
    (shell.directory / "enrich.py").write_text(code)
    (shell.directory / "crawler.toml").write_text(BETWEEN)

    with Site({"/": "".join(f"<a href={path}>{path}</a>" for path in MISTAKES), **dict.fromkeys(MISTAKES, "<p>")}) as site:
        options = ("-s", "hub.max_attempts=2", "-s", f"stages.enrich.chain={chain}", "-o", "out.jsonl")
        done = shell.run("run", site.url, *FAST, *options)

    assert done.returncode == 3, done.stderr
    numbers = [line.split("\t")[0] for line in shell.run("dead", "list").stdout.splitlines() if "\t" in line]
    shown = map(json.loads, shell.run("dead", "show", *numbers).stdout.replace("\n}\n{", "\n}\0{").split("\0"))
    found = {f"/{dead['item']['url'].rpartition('/')[2]}": dead["reason"] for dead in shown}
    assert found == reasons
