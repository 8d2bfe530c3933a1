"""A configuration that cannot work is refused before anything is started: by `check` and `run` in the same words."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.cli import main

MODULE = """
from crawler import ConfigError, Stage

class Enrich(Stage):
    def process(self, record: dict) -> dict:
        return record

class Misspelt(Stage):
    def proces(self, record): ...

class Empty(Stage):
    pass

class NoItem(Stage):
    def process(self): ...

class TwoItems(Stage):
    def process(self, record, other): ...

class Loose(Stage):
    class Options:
        limit = 3
    def process(self, record): ...

class Picky(Stage):
    class Options(Stage.Options, frozen=True, kw_only=True):
        limit: int = 0

    @classmethod
    def check(cls, options, table):
        if options.limit > 3:
            raise ConfigError(f"{table}.limit is {options.limit}; use 3 at most")
        if options.limit < 0:
            {}["missing"]

    def process(self, record): ...

class Other:
    pass
"""
STAGE = '[stages.parse]\noutputs = ["parsed", "urls"]\n[stages.enrich]\ninput = "parsed"\noutputs = ["records"]\n'
ENRICH = STAGE + 'use = "enrich:Enrich"\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "enrich.py").write_text(MODULE, encoding="utf-8")
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):  # others may be in use by other tests
            del sys.modules[name]


def shared(stage: str) -> str:
    return (
        f"crawler.toml: stages.{stage}.input is 'records', which store reads as well: each item goes to one of them, "
        f"so rows would be missing; give {stage} a queue of its own, such as 'parsed', and name that in the outputs of the stage "
        "before it; its outputs = ['records']"
    )


def by_hand(does: str, queue: str) -> str:
    """The end of a message about a queue that no stage reads or fills."""
    if does == "reads":
        where, command = "as the input of the stage that reads it", "take"
    else:
        where, command = "in the outputs of the stage that fills it", "put"
    return f"{does}; name it {where}, or, if people do so with 'crawler {command} {queue}', set queues.{queue}.by_hand = true"


def refusals(here: Path, capsys: pytest.CaptureFixture[str], toml: str, *more: str) -> list[str]:
    """What check and run say of it: the same, with exit code 2, and no trace is left in the directory."""
    (here / "crawler.toml").write_text(toml, encoding="utf-8")
    before = {path.name for path in here.iterdir()}
    told = []
    for command in (["check"], ["run", "http://127.0.0.1:1/"]):
        assert main([*command, *more]) == 2, command
        told.append(capsys.readouterr().err)
    assert told[0] == told[1]
    assert {path.name for path in here.iterdir()} - {"__pycache__"} == before
    first, *others = told[0].removeprefix("crawler: ").splitlines()
    return [line.strip() for line in others] if others else [first]


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (
            ENRICH.replace('"parsed"\noutputs', '"prased"\noutputs'),
            ["crawler.toml: stages.enrich.input is 'prased', which no stage fills; did you mean 'parsed'?"],
        ),
        (
            '[stages.parse]\noutputs = ["recrods", "urls"]\n',
            ["crawler.toml: stages.parse.outputs has 'recrods', which no stage reads; did you mean 'records'?"],
        ),
        (
            '[stages.parse]\noutputs = ["records", "side", "urls"]\n',
            ["crawler.toml: stages.parse.outputs has 'side', which no stage " + by_hand("reads", "side")],
        ),
        (
            '[stages.enrich]\nuse = "enrich:Enrich"\ninput = "elsewhere"\noutputs = ["records"]\n',
            ["crawler.toml: stages.enrich.input is 'elsewhere', which no stage " + by_hand("fills", "elsewhere")],
        ),
        (
            '[stages.enrich]\nuse = "enrich:Enrich"\ninput = "records"\noutputs = ["records2"]\n',
            [
                "crawler.toml: stages.enrich.outputs has 'records2', which no stage " + by_hand("reads", "records2"),
                shared("enrich"),
            ],
        ),
        (
            '[stages.parse]\noutputs = ["parsed", "urls"]\n'
            '[stages.enrich]\nuse = "enrich:Enrich"\ninput = "parsed"\noutputs = ["record"]\n',
            ["crawler.toml: stages.enrich.outputs has 'record', which no stage reads; did you mean 'records'?"],
        ),
        (
            '[stages.parse]\noutputs = ["parsed", "urls"]\n[stages.enrich]\nuse = "enrich:Enrich"\ninput = "parsed"\n',
            ["stages.store.input is 'records', which no stage " + by_hand("fills", "records")],
        ),
        (
            '[stages.parse]\noutputs = ["records"]\n',
            [
                "crawler.toml: stages.parse.outputs lacks 'urls', where parse sends links and redirects; "
                'write outputs = ["records", "urls"]'
            ],
        ),
        (
            '[stages.fetch]\noutputs = "pages"\n',
            [
                "crawler.toml: stages.fetch.outputs lacks 'urls', where fetch sends links and redirects; "
                'write outputs = ["pages", "urls"]'
            ],
        ),
        (
            '[hub]\naddress = "localhost"\n',
            ["'localhost' is not a hub's address, its port is missing; write localhost:8000 for the default port"],
        ),
        ('data = ""\n', ['crawler.toml: data is empty; name a directory, or "." for this one']),
        (
            "[stages.store]\nenabled = false\n",
            ["stages.parse.outputs has 'records', which no stage " + by_hand("reads", "records")],
        ),
        (
            '[stages.enrich]\nuse = "enrich:Enrich"\ninput = "records"\noutputs = ["records"]\n',
            [shared("enrich"), "records ──[enrich]──▶ records: tasks there never end; give the stage another input or output"],
        ),
        (
            '[stages.parse]\noutputs = ["parsed", "urls"]\n'
            '[stages.enrich]\nuse = "enrich:Enrich"\ninput = "parsed"\noutputs = ["records", "parsed"]\n',
            [
                "parsed ──[enrich]──▶ parsed: tasks there never end; give the stage another input or output, or set "
                "queues.parsed.keyed = true, so that no task is done twice"
            ],
        ),
        (
            ENRICH + '[stages.back]\nuse = "enrich:Enrich"\ninput = "records"\noutputs = ["parsed"]\n',
            [
                shared("back"),
                "records ──[back]──▶ parsed ──[enrich]──▶ records: tasks there never end; give the stage another input or output",
            ],
        ),
        (STAGE + 'use = "enrich:Misspelt"\n', ["enrich:Misspelt has no method process; it has proces: did you mean process?"]),
        (
            STAGE + 'use = "enrich:Empty"\n',
            ["enrich:Empty has no method process; write def process(self, item), which is given each item"],
        ),
        (STAGE + 'use = "enrich:NoItem"\n', ["enrich:NoItem.process takes no item; write process(self, item)"]),
        (
            STAGE + 'use = "enrich:TwoItems"\n',
            ["enrich:TwoItems.process asks for other as well; it is given one item: process(self, item)"],
        ),
        (
            STAGE + 'use = "enrich:Loose"\n',
            ["enrich:Loose.Options is not what [stages.enrich] can fill; write class Options(Stage.Options, frozen=True)"],
        ),
        (STAGE + 'use = "enrich:Enirch"\n', ["'enrich:Enirch': module enrich has no class 'Enirch'; did you mean 'Enrich'?"]),
        (
            STAGE + 'use = "enrich:Other"\n',
            ["'enrich:Other': Other is there but is not a Stage; write class Other(Stage), with Stage from crawler"],
        ),
        (
            STAGE + 'use = "enrich:Otehr"\n',
            [
                "'enrich:Otehr': module enrich has no class 'Otehr'; Other is there but is not a Stage; write class Other(Stage), "
                "with Stage from crawler"
            ],
        ),
        (STAGE + 'use = "enrich:Picky"\nlimit = 4\n', ["crawler.toml: stages.enrich.limit is 4; use 3 at most"]),
        (
            STAGE + 'use = "enrich:Picky"\nlimit = -1\n',
            ["crawler.toml: stages.enrich: enrich:Picky cannot check its options: KeyError: 'missing' at enrich.py:34 in check"],
        ),
        (
            '[frontier]\nallow = ["abc("]\n',
            ["crawler.toml: frontier.allow: 'abc(' is not a regular expression: missing ), unterminated subpattern at position 3"],
        ),
        (
            '[stages.parse]\noutputs = ["records", "side", "urls"]\nmax_lnks = 3\n[stages.fetch]\ntimout = 3\n',
            [
                "crawler.toml: stages.parse.outputs has 'side', which no stage " + by_hand("reads", "side"),
                "crawler.toml: stages.fetch.timout is not a setting; did you mean 'stages.fetch.timeout'?",
                "crawler.toml: stages.parse.max_lnks is not a setting; did you mean 'stages.parse.max_links'?",
            ],
        ),
        (
            "[stages.fetch]\ninput = 3\n[stages.parse]\nprocesses = 0\n",
            [
                "crawler.toml: stages.fetch.input is 3; expected a string",
                "crawler.toml: stages.parse.processes is 0; expected a whole number from 1 to 256",
            ],
        ),
    ],
)
def test_check_and_run_refuse_it_in_the_same_words(
    here: Path, capsys: pytest.CaptureFixture[str], toml: str, words: list[str]
) -> None:
    assert refusals(here, capsys, toml) == words


@pytest.mark.parametrize(
    "toml",
    [
        ENRICH,
        '[stages.parse]\noutputs = ["records", "side", "urls"]\n[queues.side]\nby_hand = true\n',
        '[stages.enrich]\nuse = "enrich:Enrich"\ninput = "elsewhere"\noutputs = ["records"]\n[queues.elsewhere]\nby_hand = true\n',
        '[stages.square]\ninput = "numbers"\noutputs = ["squares"]\n',
        '[stages.parse]\noutputs = ["parsed", "urls"]\n'
        '[stages.enrich]\nuse = "enrich:Enrich"\ninput = "parsed"\noutputs = ["records", "parsed"]\n'
        "[queues.parsed]\nkeyed = true\n",
        "[stages.square]\nenabled = false\n",
    ],
)
def test_what_can_work_is_drawn(here: Path, capsys: pytest.CaptureFixture[str], toml: str) -> None:
    (here / "crawler.toml").write_text(toml, encoding="utf-8")

    assert main(["check"]) == 0

    captured = capsys.readouterr()
    assert "──[fetch]──" in captured.out
    assert captured.err == ""


def test_a_broken_pipeline_is_drawn_as_well(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "crawler.toml").write_text('[stages.parse]\noutputs = ["records", "side", "urls"]\n', encoding="utf-8")

    assert main(["check"]) == 2

    assert "side     filled by parse; no stage reads it" in capsys.readouterr().out


def test_a_stage_is_refused_with_its_own_mistakes_and_those_of_the_pipeline(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "crawler.toml").write_text(STAGE + 'use = "enrich:Misspelt"\n', encoding="utf-8")

    assert main(["stage", "enrich"]) == 2

    assert capsys.readouterr().err == "crawler: enrich:Misspelt has no method process; it has proces: did you mean process?\n"


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (
            "[stages.store]\nchain = true\n",
            "fetch+parse+store: store takes items in batches or is async; run it as a stage of its own",
        ),
        (
            "[stages.fetch]\nchain = true\n",
            "crawler.toml: stages.fetch.chain: it is the first stage, there is none for it to share a process with",
        ),
    ],
)
def test_stages_that_cannot_share_a_process(here: Path, capsys: pytest.CaptureFixture[str], toml: str, words: str) -> None:
    assert refusals(here, capsys, toml) == [words]


def test_a_chain_that_cannot_be_is_refused_without_a_hub(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stage", "parse+store"]) == 2
    assert main(["stage", "fetch+store"]) == 2

    assert capsys.readouterr().err.splitlines() == [
        "crawler: parse+store: store takes items in batches or is async; run it as a stage of its own",
        "crawler: fetch+store: store reads 'records', which fetch does not fill",
    ]


def test_a_machine_that_fetches_needs_no_other_stage(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.cli.worker.HUB_PATIENCE", 0.0)
    (here / "crawler.toml").write_text(STAGE + 'use = "absent:Thing"\n', encoding="utf-8")

    assert main(["stage", "fetch", "--hub", "unix:nowhere.sock"]) in (2, 5)

    assert "absent" not in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["parse", "fetch+parse", "square"])
@pytest.mark.parametrize("option", ["-o", "-O"])
def test_an_output_for_a_stage_that_stores_nothing_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], stage: str, option: str
) -> None:
    assert main(["stage", stage, option, "x.jsonl"]) == 2

    assert capsys.readouterr().err == (
        f"crawler: {option} says where stage 'store' writes, and {stage!r} stores nothing; give it to 'crawler stage store'\n"
    )


def test_modules_are_found_beside_the_configuration(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = here / "shop"
    folder.mkdir()
    (folder / "beside_it.py").write_text(MODULE, encoding="utf-8")
    (folder / "my.toml").write_text(STAGE + 'use = "beside_it:Enrich"\n', encoding="utf-8")

    assert main(["check", "-c", "shop/my.toml"]) == 0
    assert "beside_it:Enrich" in capsys.readouterr().out


def test_a_module_named_without_its_class_is_shown_with_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "near_me.py").write_text("from crawler import Stage\nclass NearMe(Stage): ...\nclass Helper: ...\n", encoding="utf-8")

    assert refusals(here, capsys, STAGE + 'use = "near_me"\n') == [
        "no stage 'near_me' is installed, but there is a module near_me.py with class NearMe: write use = \"near_me:NearMe\""
    ]


def test_a_class_named_as_in_an_import_is_shown_as_it_is_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "near_me.py").write_text("from crawler import Stage\nclass NearMe(Stage): ...\n", encoding="utf-8")

    assert refusals(here, capsys, STAGE + 'use = "near_me.NearMe"\n') == [
        "no stage 'near_me.NearMe' is installed; did you mean the class NearMe of near_me.py? write use = \"near_me:NearMe\""
    ]
