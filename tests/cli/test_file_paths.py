"""Relative paths in a configuration file start from its directory, wherever a command is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crawler.cli import main
from crawler.config.load import load
from tests.e2e.conftest import FAST
from tests.site import Site


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("[stages.store]\noutput = 'out/x.jsonl'", "output", "../there/out/x.jsonl"),
        ("[stages.store]\noutput = '../x.jsonl'", "output", "../there/../x.jsonl"),
        ("[stages.store]\noutput = '-'", "output", "-"),
        ("[stages.store]\noutput = '/srv/x.jsonl'", "output", "/srv/x.jsonl"),
        ("[stages.store]\noutput = 's3://bucket/x.jsonl'", "output", "s3://bucket/x.jsonl"),
        ("data = 'd'", "data", "../there/d"),
        ("[hub]\ncerts = 'certs'", "certs", "../there/certs"),
        ("[hub]\nauthkey_file = 'key'", "authkey_file", "../there/key"),
        ("[hub]\naddress = 'unix:hub.sock'", "address", "unix:hub.sock"),
    ],
)
def test_a_path_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, name: str, value: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "there/c.toml").write_text(line)
    monkeypatch.chdir(tmp_path / "here")

    settings = load(Path("../there/c.toml"), [], {}).settings
    found = {"output": settings.stages.get("store", {}).get("output"), "data": settings.data,
             "certs": settings.hub.certs, "authkey_file": settings.hub.authkey_file, "address": settings.hub.address}  # fmt: skip

    assert found[name] == value
    monkeypatch.chdir(tmp_path / "there")
    assert load(Path("c.toml"), [], {}).settings == load(Path("./c.toml"), [], {}).settings
    assert "there" not in str(load(Path("c.toml"), [], {}).settings)


@pytest.mark.slow
def test_a_crawl_with_an_output_in_its_file_is_resumed_from_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there/out").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "there/c.toml").write_text("[stages.store]\noutput = 'out/x.jsonl'\n")
    with Site({"/": "<a href=/a>a</a>", "/a": "a"}) as site:
        monkeypatch.chdir(tmp_path / "there")
        assert main(["run", site.url, "-c", "c.toml", *FAST, "--debug"]) == 0
        monkeypatch.chdir(tmp_path / "here")
        assert main(["run", "--fresh", "--data", "../there/crawler-data", *FAST, "--debug"]) == 0
        assert main(["why", site.url, "--data", "../there/crawler-data"]) == 0

    assert "its record: ../there/out/x.jsonl, line 1" in capsys.readouterr().out
    assert list((tmp_path / "here").iterdir()) == []


def test_a_page_in_a_file_has_the_address_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.html").write_text("<a href=/x>x</a><a href=y>y</a><img src=i.png>")
    field = ["-s", 'stages.parse.fields.img={css="img::attr(src)",type="url"}']

    for command in (["parse"], ["try", "parse"]):
        assert main([*command, "p.html", "--url", "https://a.test/d/", *field, "--json"]) == 0
        record = json.loads(capsys.readouterr().out.splitlines()[0])
        assert (record["url"], record["img"]) == ("https://a.test/d/", "https://a.test/d/i.png")
        assert record["links"] == ["https://a.test/x", "https://a.test/d/y"]
    assert main(["parse", "p.html", "--url", "http://a b/"]) == 2
    assert main(["parse", "http://127.0.0.1:9/", "--url", "http://a/"]) == 2
    assert "--url is for a page in a file" in capsys.readouterr().err
