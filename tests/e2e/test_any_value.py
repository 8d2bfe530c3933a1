"""Records of a stage of one's own with values that JSON or a database has not: stored alike, and no page is fetched twice."""

from __future__ import annotations

import json
import sqlite3

import pytest

from tests.e2e.conftest import FAST, Shell
from tests.site import Site

STAGE = """
import datetime, math
from crawler_stages.parse import Parse

ODD = {
    "/half": {"name": "a\\ud83d", "k\\ud83d": 1}, "/big": {"n": 10**30}, "/nan": {"n": math.nan, "m": [math.inf]},
    "/bytes": {"raw": b"\\xff"}, "/when": {"at": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)}, "/keys": {1: "a", "1": "b"},
}

class Odd(Parse):
    def records(self, page, html):
        path = "/" + page.url.rpartition("/")[2]
        yield {"path": path, **ODD.get(path, {})}
        if path in ("/object", "/deep"):
            bad = []
            bad.append(bad)
            yield {"path": "bad", "price": object() if path == "/object" else bad}
            yield {"path": path + " again"}
"""
PATHS = ["/half", "/big", "/nan", "/bytes", "/when", "/keys", "/object", "/deep"]
ROWS = [
    {"path": "/"}, {"path": "/after"}, {"path": "/half", "name": "a\ufffd", "k\ufffd": 1}, {"path": "/big", "n": str(10**30)},
    {"path": "/nan", "n": None, "m": [None]}, {"path": "/bytes", "raw": "/w=="}, {"path": "/when", "at": "2026-01-02T00:00:00Z"},
    {"path": "/keys", "1": "a", "1_2": "b"}, {"path": "/object"}, {"path": "/object again"}, {"path": "/deep"},
    {"path": "/deep again"},
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("chain", "output"), [("true", "out.jsonl"), ("false", "out.sqlite")])
def test_what_can_be_stored_is_and_what_cannot_costs_one_item(shell: Shell, chain: str, output: str) -> None:
    (shell.directory / "odd.py").write_text(STAGE)
    (shell.directory / "crawler.toml").write_text('[stages.parse]\nuse = "odd:Odd"\n')
    links = "".join(f"<a href={path}>x</a>" for path in PATHS)
    with Site({"/": links, **dict.fromkeys(PATHS, "<a href=/after>x</a>"), "/after": "<p>"}) as site:
        done = shell.run("run", site.url, *FAST, "-s", f"stages.parse.chain={chain}", "-o", output)
        asked = site.counts

    assert done.returncode == 3, done.stderr
    assert {path: n for path, n in asked.items() if n > 1} == {}
    assert asked["/after"] == 1
    if output.endswith("jsonl"):
        assert sorted(shell.rows(output), key=str) == sorted(ROWS, key=str)
    else:
        db = sqlite3.connect(shell.directory / output)
        assert sorted(path for (path,) in db.execute("SELECT path FROM records")) == sorted(row["path"] for row in ROWS)
        assert db.execute("SELECT raw FROM records WHERE raw IS NOT NULL").fetchall() == [(b"\xff",)]
        db.close()
    assert "given up: 2 tasks" in done.stderr
    report = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
    assert report["replaced"] == {
        "half characters": 2, "numbers that are not finite": 2, "integers over 64 bits": 1, "equal keys": 1,
    }  # fmt: skip
    assert "replaced in records: half characters (2), numbers that are not finite (2)" in done.stderr
    dead = shell.run("dead", "list").stdout
    assert "/object\tstage 'parse' gave an item that cannot be sent: at key 'price': an object of type object; give plain" in dead
    assert "/deep\tstage 'parse' gave an item that cannot be sent: it contains itself, or is nested more than 400" in dead
    assert dead.count("(at odd.py:17 in records)") == 2
