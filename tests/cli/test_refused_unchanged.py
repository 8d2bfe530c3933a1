"""A `crawler run` that is refused changes nothing: the last crawl can still be looked at."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from crawler.cli import main
from tests.site import Site

FAST = ("-s", "frontier.delay=0")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that was crawled in the working directory."""
    monkeypatch.chdir(tmp_path)
    with Site({"/": "<title>tea</title>"}) as site:
        assert main(["run", "--debug", site.url, "-o", "a.jsonl", *FAST]) == 0
        yield site


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["hub.address=localhost"], "its port is missing"),
        (["hub.address=0.0.0.0:0"], "can be reached from other machines and is not encrypted"),
        (["hub.address=nosuch.invalid:8000"], "the host of nosuch.invalid:8000 is not known here"),
        (["hub.address={taken}"], "{taken} is in use, perhaps by another hub"),
        (["hub.address=unix:gone/hub.sock"], "a hub cannot listen at unix:gone/hub.sock: No such file or directory"),
        (["hub.address=unix:a.jsonl"], "a.jsonl exists and is not a socket"),
        (["hub.address=127.0.0.1:0", "hub.tls=true"], "there is no crawler-data/certs/ca.pem"),
        (["hub.authkey_file=nope.key"], "the authkey file nope.key cannot be read"),
    ],
)
@pytest.mark.parametrize("fresh", [(), ("--fresh",)])
def test_the_last_crawl_is_left_as_it_is(
    site: Site, capsys: pytest.CaptureFixture[str], settings: list[str], says: str, fresh: tuple[str, ...]
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        options = [word for setting in settings for word in ("-s", setting.replace("{taken}", taken))]

        assert main(["run", site.url, *FAST, *options, *fresh]) == 2

    assert says.replace("{taken}", taken) in capsys.readouterr().err
    assert not Path("crawler-data/hub.sqlite3.previous").exists()
    assert main(["why", site.link("/")]) == 0
    assert "its record: a.jsonl, line 1" in capsys.readouterr().out
