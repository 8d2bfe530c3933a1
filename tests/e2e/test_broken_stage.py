"""A stage of one's own that fails in the default crawl: what a person is told, and what is done again."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import BETWEEN, FAST, Shell
from tests.site import Site

ENRICH = """\
from crawler import Stage, To

class Enrich(Stage):
    def process(self, record: dict):
        with open("calls", "a") as file:
            print(record["url"], file=file)
        if record["url"].endswith("/key"):
            yield {**record, "words": len(record["ttle"])}
        elif record["url"].endswith("/object"):
            yield object()
        elif record["url"].endswith("/queue"):
            yield To("recrods", record)
        else:
            yield {**record, "words": 1}
"""
PATHS = ("/", "/key", "/object", "/queue")


@pytest.fixture
def links() -> Iterator[Site]:
    with Site(dict.fromkeys(PATHS, "".join(f"<a href={path}>{path}</a>" for path in PATHS))) as site:
        yield site


@pytest.mark.slow  # a crawl
def test_a_stage_that_fails_is_named_with_url_and_line_and_no_page_is_fetched_again(shell: Shell, links: Site) -> None:
    (shell.directory / "enrich.py").write_text(ENRICH, "utf-8")
    (shell.directory / "crawler.toml").write_text(BETWEEN, "utf-8")
    url = links.url.rstrip("/")

    done = shell.run("run", links.url, *FAST, "-s", "hub.max_attempts=2", "-s", "stages.fetch.processes=1", "-o", "out.jsonl")
    listed = shell.run("dead", "list").stdout.splitlines()
    numbers = [line.split("\t")[0] for line in listed if url in line]
    texts = shell.run("dead", "show", *numbers).stdout.replace("\n}\n{", "\n}\0{").split("\0")
    shown = {dead["item"]["url"]: dead for dead in map(json.loads, texts)}

    assert done.returncode == 3
    assert [row["words"] for row in shell.rows("out.jsonl")] == [1]
    assert Counter(hit.path for hit in links.log if hit.path in PATHS) == dict.fromkeys(PATHS, 1)
    assert re.search(rf"enrich failed at {url}/key \(attempt 1\): .* at enrich.py:\d+ in process", done.stderr)
    assert f"enrich failed at {url}/key (attempt 2, the last): KeyError: 'ttle' at enrich.py:8 in process" in done.stderr
    assert done.stderr.count("it is put back on parsed, for enrich alone") == 1  # a warning once
    reasons = {path: shown[f"{url}{path}"]["reason"] for path in PATHS[1:]}
    assert reasons["/key"] == "KeyError: 'ttle' at enrich.py:8 in process"
    assert reasons["/object"].startswith("stage 'enrich' gave an item that cannot be sent: an object of type object")
    assert reasons["/object"].endswith("(at enrich.py:10 in process)")
    assert reasons["/queue"].startswith("stage 'enrich' sent an item to 'recrods'; its outputs are records: did you mean 'records'")
    assert reasons["/queue"].endswith("add it to stages.enrich.outputs (at enrich.py:12 in process)")
    trace = shown[f"{url}/key"]["trace"]
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[-1] == "KeyError: 'ttle'"
    assert any('enrich.py", line 8, in process' in line for line in trace)
    calls = Counter((shell.directory / "calls").read_text("utf-8").split())
    assert calls == {f"{url}/": 1, f"{url}/key": 2, f"{url}/object": 1, f"{url}/queue": 1}  # those end the same each time


@pytest.mark.slow  # a crawl
@pytest.mark.parametrize(
    ("raises", "code", "words"),
    [
        ('raise ConfigError("stages.enrich.key is empty; name one")', 2, "crawler: stages.enrich.key is empty; name one"),
        (
            "import sys; sys.exit(3)",
            1,
            "crawler: stage enrich cannot be opened: it calls sys.exit(3) at enrich.py:5 in open; "
            "let it raise an exception instead",
        ),
        ('{}["key"]', 1, "crawler: stage enrich cannot be opened: KeyError: 'key' at enrich.py:5 in open"),
    ],
)
def test_a_stage_that_cannot_be_opened_says_so(shell: Shell, raises: str, code: int, words: str) -> None:
    (shell.directory / "enrich.py").write_text(
        "from crawler import ConfigError, Stage\n\nclass Enrich(Stage):\n    def open(self):\n"
        f"        {raises}\n    def process(self, record: dict): ...\n"
    )
    (shell.directory / "crawler.toml").write_text(BETWEEN, "utf-8")

    done = shell.run("run", "http://127.0.0.1:1/", "-o", "p.jsonl")

    assert done.returncode == code, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("crawler: ")] == [words]
    assert "internal error" not in done.stderr
    assert "WARNING" not in done.stderr
