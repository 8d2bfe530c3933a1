"""A data directory of somebody else, and links in it, are refused; what is made there can be read by this user alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.cli import main
from crawler.errors import UsageError
from crawler.hub.key import authkey
from crawler.machine import private
from crawler_stages.sinks.files import make_private
from tests.site import Site

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    return capsys.readouterr().err


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "crawler-data"
    path.mkdir(mode=0o700)
    return path


@root
@pytest.mark.parametrize("command", [("run", "http://127.0.0.1:9/"), ("hub",), ("status",), ("check",), ("dead", "list")])
def test_a_data_directory_of_somebody_else_is_refused(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(data.parent)
    os.chown(data, NOBODY, NOBODY)

    assert "belongs to nobody, not to you (root)" in refused(capsys, *command)


@root
def test_a_link_of_somebody_else_to_a_directory_of_ours_is_refused(data: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(data)
    private.check_directory(link, "the data directory", "choose another one")
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)

    with pytest.raises(UsageError, match="belongs to nobody, not to you"):
        private.check_directory(link, "the data directory", "choose another one")


def test_a_data_directory_that_everybody_may_write_to_is_refused(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    data.chmod(0o777)

    assert "run: chmod go-w crawler-data" in refused(capsys, "hub")


@pytest.mark.parametrize(
    "name", ["hub.sqlite3", "hub.address", "authkey", "authkey.worker", "report.json", "sinks", "fetched.sqlite"]
)
def test_a_link_with_the_name_of_a_file_of_ours_is_refused_and_its_target_untouched(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(data.parent)
    target = data.parent / "precious"
    target.write_text("precious")
    (data / name).symlink_to("../precious")

    assert "is a link to '../precious'" in refused(capsys, "hub")
    assert target.read_text() == "precious"


@pytest.mark.slow
def test_all_that_a_crawl_leaves_in_its_directory_is_for_this_user_alone_whatever_the_umask(data: Path) -> None:
    data.chmod(0o755)
    with Site({"/": "<title>x</title>"}) as site:
        command = [sys.executable, "-m", "crawler", "run", site.url, "-o", "p.jsonl"]
        done = subprocess.run(command, cwd=data.parent, capture_output=True, text=True, umask=0, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    found = {str(path.relative_to(data)): mode(path) for path in data.rglob("*")}
    assert {"authkey", "hub.address", "hub.sqlite3", "report.json", "sinks"} <= found.keys()
    assert {name: oct(bits) for name, bits in found.items() if bits & 0o077} == {}


@root
def test_a_planted_key_of_another_owner_is_refused(data: Path) -> None:
    (data / "authkey").write_text("planted")
    (data / "authkey").chmod(0o666)
    os.chown(data / "authkey", NOBODY, NOBODY)

    with pytest.raises(UsageError, match="authkey belongs to nobody"):
        authkey(data, "", {})


def test_a_key_file_that_a_person_has_named_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("k" * 64)
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "named").symlink_to("secret")

    assert authkey(tmp_path, str(tmp_path / "named"), {}) == b"k" * 64


@root
def test_a_directory_or_key_of_another_user_is_not_trusted_with_certificates(tmp_path: Path) -> None:
    private.check_trusted(tmp_path)
    os.chown(tmp_path, NOBODY, NOBODY)
    with pytest.raises(UsageError, match="belongs to nobody, who is neither you"):
        private.check_trusted(tmp_path)
    os.chown(tmp_path, 0, 0)
    tmp_path.chmod(0o777)
    with pytest.raises(UsageError, match="everybody on this machine may write to"):
        private.check_trusted(tmp_path)


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "report.json").symlink_to("precious")
    private.write(tmp_path / "report.json", b"{}")

    assert ((tmp_path / "precious").read_text(), (tmp_path / "report.json").read_bytes()) == ("precious", b"{}")
    assert not (tmp_path / "report.json").is_symlink()


def test_what_cannot_be_written_leaves_no_draft_behind(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()

    with pytest.raises(OSError, match="directory"):
        private.write(tmp_path / "report.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_file_that_is_made_for_a_database_is_private_and_one_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "sinks" / "x.index"
    before = os.umask(0)
    try:
        make_private(path)
    finally:
        os.umask(before)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)

    path.write_bytes(b"content")
    make_private(path)
    assert path.read_bytes() == b"content"
