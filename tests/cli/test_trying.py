"""crawler parse, try and shell on pages and items in files: what is typed, and what is shown."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from crawler import To
from crawler.cli import main, shown
from crawler.web import article
from crawler.web.page import Visits
from tests.e2e.conftest import BETWEEN
from tests.site import Site

LINKS = "".join(f'<a href="http://a.example/{n}">{n}</a>' for n in range(12))
PAGE = f'<title>Tea</title><h1>Green</h1><p class="price">3.50</p>{LINKS}'
STAGE = """
from typing import Any
from crawler import Drop, GiveUp, Retry, Stage, To

class Enrich(Stage):
    def process(self, record: dict[str, Any]) -> Any:
        print("printed")
        match record.get("n", 0):
            case 1: raise Drop("no title")
            case 2: raise Retry("later", after=60)
            case 3: raise GiveUp("never")
            case 4: return record["ttle"]
            case 5: return To("recrods", record)
            case 6: return object()
            case 7: return None
        return {**record, "extra": 1}

class Waits(Stage):
    batch = 2

    async def process(self, records: list[dict[str, Any]]) -> Any:
        for record in records:
            yield {**record, "extra": 2}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "enrich_of_one_page.py").write_text(STAGE)
    (tmp_path / "crawler.toml").write_text(BETWEEN.replace("enrich:Enrich", "enrich_of_one_page:Enrich"))
    return tmp_path


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    sys.modules.pop("enrich_of_one_page", None)


def rows(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


def test_elsewhere_than_on_a_terminal_a_page_is_json_lines(capsys):
    assert main(["parse", "page.html"]) == 0

    record, *links = rows(capsys.readouterr().out)
    assert record["title"] == "Tea"
    assert len(links) == 12


def test_on_a_terminal_a_record_is_to_be_read(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")  # no colours, 80 columns
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    assert main(["parse", "page.html"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["title", "Tea"] for line in lines)
    assert any(line.split() == ["links", "12", "of", "them:"] for line in lines)
    assert any("… and 2 more" in line for line in lines)
    assert lines[-1].strip() == "12 URLs for the queue urls"  # they are those of the record
    assert max(map(len, lines)) <= 80


def test_json_can_be_had_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    assert main(["parse", "page.html", "--json"]) == 0

    assert rows(capsys.readouterr().out)[0]["title"] == "Tea"


@pytest.mark.parametrize("command", ["parse page.html", "try enrich page.html", "shell page.html"])
@pytest.mark.parametrize(("setting", "words"), [
    ("stages.parse.text=article", "needs trafilatura, which is not installed; pip install"),
    ("stages.parse.fields={p='h1['}", "stages.parse.fields.p: cannot use the selector 'h1['"),
    ("stages.parse.fields={url='h1'}", "every record has a 'url' already; choose another name"),
])  # fmt: skip
def test_options_that_a_crawl_refuses_are_refused_before_a_page_is_read(capsys, monkeypatch, command, setting, words):
    monkeypatch.setattr(article, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO("record\n"))

    assert main([*command.split(), "-s", setting]) == 2

    out, err = capsys.readouterr()
    assert words in err
    assert "Traceback" not in err
    assert out == ""


def test_declared_fields_alone(capsys):
    price = "stages.parse.fields.price={css='.price', type='float'}"

    assert main(["parse", "page.html", "--fields", "-s", price]) == 0
    assert rows(capsys.readouterr().out) == [{"price": 3.5}]

    assert main(["parse", "page.html", "--fields"]) == 2
    assert "no fields are declared" in capsys.readouterr().err


def test_long_texts_are_cut_and_pages_do_not_steer_the_terminal(capsys):
    shown.show_readable([{"text": "x" * 500, "title": "a\x1b[2Jb"}, To("urls", Visits(["http://a/", "http://b/"], 1, ""))])

    out = capsys.readouterr().out
    assert "… (500 characters)" in out
    assert "\x1b" not in out
    assert "2 URLs for the queue urls:" in out


@pytest.mark.parametrize("arguments", [["enrich", "page.html"], ["enrich", "items.jsonl"]])
def test_a_stage_is_tried_on_a_page_or_on_items_of_its_own(here, capsys, arguments):
    (here / "items.jsonl").write_text('{"title": "Tea"}\n\n')

    assert main(["try", *arguments]) == 0

    done = capsys.readouterr()
    [row] = rows(done.out)
    assert (row["title"], row["extra"]) == ("Tea", 1)
    assert "printed" in done.err


def test_async_and_batch_stages_are_tried_as_well(here, capsys):
    (here / "crawler.toml").write_text(BETWEEN.replace("enrich:Enrich", "enrich_of_one_page:Waits"))

    assert main(["try", "enrich", "page.html"]) == 0

    assert rows(capsys.readouterr().out)[0]["extra"] == 2


@pytest.mark.parametrize(
    ("n", "code", "says"),
    [
        (1, 0, ["enrich drops this item: no title"]),
        (2, 3, ["enrich wants to try this item again in 60 s: later"]),
        (3, 3, ["enrich gives this item up: never"]),
        (4, 3, ["Traceback (most recent call last):", 'return record["ttle"]', "enrich failed at this item: KeyError: 'ttle'"]),
        (5, 3, ["recrods", "records"]),
        (6, 3, ["an object of type object; give plain data", "(at enrich_of_one_page.py:"]),
        (7, 0, ["enrich gives nothing for this item"]),
    ],
)
def test_how_else_a_stage_ends_is_told_in_words(here, capsys, n, code, says):
    (here / "items.jsonl").write_text(f'{{"n": {n}}}\n')

    assert main(["try", "enrich", "items.jsonl"]) == code

    done = capsys.readouterr()
    assert done.out == ""
    for words in says:
        assert words in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["enrch", "page.html"], "did you mean 'enrich'?"),
        (["store", "page.html"], "store gives nothing to show"),
        (["square", "page.html"], "give it its own items: FILE.jsonl"),
        (["enrich", "nofile.html"], "there is no file nofile.html"),
        (["enrich", "nofile.jsonl"], "nofile.jsonl cannot be read"),
        (["enrich", "bad.jsonl"], "bad.jsonl, line 2: not JSON"),
    ],
)
def test_what_cannot_be_tried_is_told(here, capsys, arguments, says):
    (here / "bad.jsonl").write_text("{}\n{\n")

    assert main(["try", *arguments]) == 2

    assert says in capsys.readouterr().err


def test_a_shell_has_the_page_its_links_and_its_record_at_hand(capsys, monkeypatch):
    typed = """
print(css("h1"), css(".price::text"), xpath("//h1/text()"))
print(len(links), page.status_code, record["title"], soup.h1)
def heading(): return record["title"].upper()

print(heading(), [css(s) for s in ("h1",)])
1/0
print("goes on")
"""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))

    assert main(["shell", "page.html"]) == 1  # something failed

    done = capsys.readouterr()
    for words in ("['Green'] ['3.50'] ['Green']", "12 200 Tea <h1>Green</h1>", "TEA [['Green']]", "goes on"):
        assert words in done.out
    assert "page.html: 200, text/html" in done.err
    assert "ZeroDivisionError" in done.err
    for name in ("css(S)", "xpath(S)", "links", "record", "soup", "fetch(U)", "view()"):
        assert name in done.err


@pytest.mark.parametrize(
    ("typed", "code", "out", "err"),
    [
        ("exit()", 0, "", ""),
        ("import sys; sys.exit(4)", 4, "", ""),
        ("raise SystemExit('no price')", 1, "", "no price"),
        ("print(1", 1, "", "SyntaxError"),
        ("if links:\n    print('last')", 0, "last", ""),
        ("len(", 1, "", "SyntaxError"),
        ("css('h1:text')", 1, "", "\nValueError: cannot use the selector 'h1:text': :text is not known; did you mean ::text?\n"),
        ("xpath('//p[')", 1, "", "\nValueError: cannot use the selector '//p[': "),
        ("page", 0, f"page.html text/html, {len(PAGE)} bytes>", ""),
        ("print('soup' in dir(), record['title'])", 0, "True Tea", ""),
    ],
)  # fmt: skip
def test_a_shell_ends_as_it_is_told_to(capsys, monkeypatch, typed, code, out, err):
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))

    assert main(["shell", "page.html"]) == code

    done = capsys.readouterr()
    assert out in done.out
    assert err in done.err
    assert "the code of a stage" not in done.err


def test_a_shell_goes_on_to_other_pages_and_shows_them_in_a_browser(tmp_path, capsys, monkeypatch):
    from crawler.cli import shell
    from crawler.cli.pages import from_file
    from crawler.config.load import load

    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    (tmp_path / "other.html").write_text("<title>Coffee</title>")
    names = shell.Names(load(None, [], {}))
    names.work_on(from_file(tmp_path / "page.html"))
    assert names["record"]["title"] == "Tea"

    names.work_on(from_file(tmp_path / "other.html"))
    names["view"]()

    assert names["record"]["title"] == "Coffee"
    assert names["links"] == []
    assert "Coffee" in Path(opened[0].removeprefix("file://")).read_text()
    assert capsys.readouterr().out.strip().endswith("page.html")


def test_an_item_that_does_not_fit_is_told_in_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "items.jsonl").write_text('"text"\n')

    assert main(["try", "enrich", "items.jsonl"]) == 3

    told = capsys.readouterr().err
    assert "enrich cannot take this item: not an item of stage 'enrich': Expected `dict`, got `str`" in told
    assert "Traceback" not in told


def test_a_host_needs_no_scheme(here, capsys):
    assert main(["try", "enrich", "127.0.0.1:9/index.html"]) == 4

    assert "://127.0.0.1:9/index.html could not be fetched" in capsys.readouterr().err


def test_one_page_is_shown_without_what_is_known_anyway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with Site({"/": PAGE}) as site, caplog.at_level("INFO"):
        for command in ("fetch", "parse"):
            assert main([command, site.url]) == 0
        assert main(["try", "parse", site.url]) == 0
        assert [message for message in caplog.messages if "fetching with" in message] == []
