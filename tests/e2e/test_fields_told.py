"""The summary of fields whose texts were no numbers."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import FAST, Shell
from tests.site import Site

pytestmark = pytest.mark.slow

FIELDS = '[stages.parse.fields]\nprice = { css = ".price", type = "float" }\nparts = { css = "li", type = "int", many = true }\n'


def test_texts_that_were_no_number_are_counted_with_an_example(shell: Shell) -> None:
    (shell.directory / "crawler.toml").write_text(FIELDS)
    with Site({
        "/": '<a href="/2">x</a><b class=price>call \x1b[mus</b><b class=price>12</b><ul><li>1<li>?<li>3</ul>',
        "/2": "<b class=price>$.50</b>",
    }) as site:  # fmt: skip
        done = shell.run("run", site.url, *FAST, "-o", "p.jsonl")

    assert done.returncode == 0, done.stderr
    assert {row["price"] for row in shell.rows("p.jsonl")} == {None, 0.5}
    assert sorted(row["parts"] for row in shell.rows("p.jsonl")) == [[], [1, None, 3]]
    assert "price: 1 text was no number, for example 'call \\x1b[mus'" in done.stdout + done.stderr
    report = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
    assert report["fields"] == {
        "parts": {"unread": 1, "type": "int", "example": "?", "failed": 0, "reason": "", "cut": 0},
        "price": {"unread": 1, "type": "float", "example": "call \x1b[mus", "failed": 0, "reason": "", "cut": 0},
    }
