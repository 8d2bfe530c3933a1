"""crawler why and crawler status tell what the stages behind parse did with a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.cli import main
from tests.e2e.conftest import BETWEEN, FAST, Shell
from tests.site import Site

STAGE = """
from crawler import Drop, GiveUp, Report, Retry, Stage

class Enrich(Stage):
    def process(self, record: dict):
        self.count("seen")
        match record["url"].rpartition("/")[2]:
            case "drops": raise Drop("no title")
            case "gives_up": raise GiveUp("never")
            case "fails": return record["ttle"]
            case "nothing": return
            case "reports": yield Report("three prices")
        yield record
"""
PATHS = ("drops", "gives_up", "fails", "reports", "plain", "nothing", "noindex")


# Which of the stages behind fetch are in processes of their own.
APART = {"none apart": (), "enrich apart": ("enrich",), "all apart": ("enrich", "parse")}


@pytest.fixture(params=APART)
def crawled(request: pytest.FixtureRequest, shell: Shell, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crawl that has ended, in the working directory."""
    for path in PATHS:
        site.pages[f"/{path}"] = f"<title>{path}</title>" + "<meta name=robots content=noindex>" * (path == "noindex")
    (shell.directory / "enrich.py").write_text(STAGE)
    (shell.directory / "crawler.toml").write_text(f"{BETWEEN}[hub]\nmax_attempts = 1\n[frontier]\nmax_depth = 0\n")
    chains = (word for name in APART[request.param] for word in ("-s", f"stages.{name}.chain=false"))
    done = shell.run("run", *(site.link(f"/{path}") for path in PATHS), "-o", "pages.jsonl", *FAST, *chains)
    assert done.returncode == 3, done.stderr
    monkeypatch.chdir(shell.directory)


@pytest.mark.slow
@pytest.mark.usefixtures("crawled")
def test_why_knows_what_happened_behind_parse(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    told = {}
    for path in PATHS:
        assert main(["why", site.link(f"/{path}")]) == 0
        told[path] = capsys.readouterr().out
    main(["status"])
    status = capsys.readouterr().out

    assert "its record: pages.jsonl" in told["plain"]
    assert "without a record" not in told["plain"]
    assert "dead on parsed: never; see 'crawler dead show" in told["gives_up"]
    assert "dead on parsed: KeyError: 'ttle' at enrich.py:" in told["fails"]
    assert "enrich counted seen" in status
    assert "dropped by enrich: no title" in told["drops"]
    assert "enrich: three prices" in told["reports"]
    assert "not recorded: it says noindex" in told["noindex"]
    assert f"'crawler parse {site.link('/nothing')}' fetches it again and shows what parse makes of it" in told["nothing"]
    assert "left the queues without a record: a stage dropped it or gave nothing for it" in told["nothing"]
    assert "1 item was dropped by enrich: no title" in told["nothing"]
    assert Path("pages.jsonl").is_file()
