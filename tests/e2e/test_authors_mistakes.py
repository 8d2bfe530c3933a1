"""Mistakes of a stage's author: each is told with its place, and none of them ends in silence or in waiting."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import BETWEEN, FAST, Shell
from tests.site import Site

pytestmark = pytest.mark.slow

UNSENDABLE = "stage 'enrich' gave an item that cannot be sent:"
PLAIN = "give plain data, a msgspec.Struct or a dataclass"
# By path of a page: what `process` does with its record, and how the reason of the dead task that comes of it begins.
MISTAKES = {
    "/input": ('input("go on? ")', "EOFError: EOF when reading a line at enrich.py:LINE in process"),
    "/breakpoint": ("breakpoint()", "RuntimeError: breakpoint() needs 'crawler run --debug' at enrich.py:LINE in process"),
    "/key": ("return {**record, 'n': 1j}", f"{UNSENDABLE} at key 'n': an object of type complex (1j); {PLAIN} (at enrich.py:5"),
    "/deep": ("return {'a': [0, {'b': object()}]}", f"{UNSENDABLE} at key 'a' → index 1 → key 'b': an object of type object"),
    "/drop": ("return Drop('x')", f"{UNSENDABLE} Drop is given; raise it (at enrich.py:5 in process)"),
    "/coroutine": ("return helper()", f"{UNSENDABLE} a coroutine; await it, and write async def process (at"),
    "/method": ("return {'x': record.get}", f"{UNSENDABLE} at key 'x': get is a builtin_function_or_method; call it, with () (at"),
    "/own": ("return To('parsed', 1)", "stage 'enrich' sent an item to 'parsed', which it reads itself; raise Retry"),
    "/list": ("return [record, record]", "stage 'enrich' gave a list of 2, which is one item: yield each of them (at enrich"),
}
# What is no mistake: subclasses of plain types, a text as an item.
KEPT = (
    "        class Text(str): pass",
    "        if path == '/text':",
    "            return Text('only text')",
    "        record = {**record, 'text': Text('t'), 'n': [type('Int', (int,), {})(3)]}",
)
STAGE = """import urllib.parse
from crawler import Drop, Stage, To
async def helper(): ...
class Enrich(Stage):
    def process(self, record: dict):
"""


def written() -> tuple[str, dict[str, str]]:
    """Return a stage with all mistakes, and the expected reasons by path."""
    lines = [*STAGE.splitlines(), "        path = urllib.parse.urlsplit(record['url']).path"]
    reasons = {}
    for path, (code, reason) in MISTAKES.items():
        lines += [f"        if path == {path!r}:", f"            {code}"]
        reasons[path] = reason.replace("LINE", str(len(lines)))
    return "\n".join([*lines, *KEPT, "        return record"]), reasons


@pytest.mark.parametrize("chain", ["true", "false"])
def test_each_mistake_is_told_with_its_place(shell: Shell, chain: str) -> None:
    code, reasons = written()
    (shell.directory / "enrich.py").write_text(code)
    (shell.directory / "crawler.toml").write_text(BETWEEN)

    pages = [*MISTAKES, "/text"]
    with Site({"/": "".join(f"<a href={path}>{path}</a>" for path in pages), **dict.fromkeys(pages, "<p>")}) as site:
        options = ("-s", "hub.max_attempts=2", "-s", f"stages.enrich.chain={chain}", "-o", "out.jsonl")
        done = shell.run("run", site.url, *FAST, *options)

    assert done.returncode == 3, done.stderr
    numbers = [line.split("\t")[0] for line in shell.run("dead", "list").stdout.splitlines() if "\t" in line]
    shown = map(json.loads, shell.run("dead", "show", *numbers).stdout.replace("\n}\n{", "\n}\0{").split("\0"))
    found = {f"/{dead['item']['url'].rpartition('/')[2]}": dead["reason"] for dead in shown}
    assert {path: found[path][: len(reason)] for path, reason in reasons.items()} == reasons
    assert set(found) == set(reasons)
    rows = shell.rows("out.jsonl")
    assert {row.get("value") for row in rows} == {None, "only text"}
    assert [(row["text"], row["n"]) for row in rows if "text" in row] == [("t", [3])]
    told = """enrich gave 'only text', which is stored as {"value": …}; give a dict for a row with columns"""
    assert done.stderr.count(told) == 1
