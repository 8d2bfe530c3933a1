"""The summary of fields that could not be read."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import FAST, Shell
from tests.site import Site

pytestmark = pytest.mark.slow

FIELDS = '[stages.parse.fields]\nprice = { css = ".price", type = "float" }\nparts = { css = "li", type = "int", many = true }\n'
FIELDS += 'odd = "//i[re:test(., @data-re)]"\nday = { css = "time", type = "date" }\n'


def test_fields_that_could_not_be_read_are_counted_with_an_example_and_cost_no_page(shell: Shell) -> None:
    (shell.directory / "crawler.toml").write_text(FIELDS)
    with Site({
        "/": '<a href="/2">x</a><b class=price>call \x1b[mus</b><b class=price>12</b><ul><li>1<li>?<li>3</ul><i data-re="[">x</i>',
        "/2": "<b class=price>$.50</b><i data-re=x>x</i><time>Sun, 12 May 2024 10:15:00 GMT</time>",
    }) as site:  # fmt: skip
        done = shell.run("run", site.url, *FAST, "-o", "p.jsonl")

    assert done.returncode == 0, done.stderr
    assert {row["price"] for row in shell.rows("p.jsonl")} == {None, 0.5}
    assert sorted(row["parts"] for row in shell.rows("p.jsonl")) == [[], [1, None, 3]]
    assert {(row["odd"], row["day"]) for row in shell.rows("p.jsonl")} == {(None, None), ("x", "2024-05-12T10:15:00+00:00")}
    assert "odd: the selector failed on 1 page: unterminated character set" in done.stdout + done.stderr
    assert "price: 1 text was no number, for example 'call \\x1b[mus'" in done.stdout + done.stderr
    report = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
    failed = report["fields"].pop("odd")
    assert (failed["failed"], failed["reason"]) == (1, "unterminated character set at position 0")
    assert report["fields"] == {
        "parts": {"unread": 1, "type": "int", "example": "?", "failed": 0, "reason": "", "cut": 0},
        "price": {"unread": 1, "type": "float", "example": "call \x1b[mus", "failed": 0, "reason": "", "cut": 0},
    }
