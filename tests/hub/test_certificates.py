"""The directory of certificates: what is made, what is kept, and what is said of files that do not fit."""

from __future__ import annotations

import logging
import os
import shutil
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crawler.errors import UsageError
from crawler.hub.certificates import make
from crawler.hub.tls import for_client, for_hub, refuse_unusable

NAMES = ("ca", "hub", "admin", "producer", "worker")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_directory_has_a_pair_for_each_and_only_the_owner_reads_the_keys(tmp_path: Path) -> None:
    made = make(tmp_path / "certs", ["hub.example", "10.0.0.7"], datetime(2030, 1, 1, tzinfo=UTC))

    files = sorted((tmp_path / "certs").iterdir())
    assert [path.name for path in files] == sorted(f"{name}.{suffix}" for name in NAMES for suffix in ("pem", "key"))
    assert {path.suffix: path.stat().st_mode & 0o777 for path in files} == {".pem": 0o644, ".key": 0o600}
    assert (tmp_path / "certs").stat().st_mode & 0o777 == 0o700
    assert made.hosts[:5] == ["hub.example", "10.0.0.7", "localhost", "127.0.0.1", "::1"]
    assert made.until == datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=825)


def test_nothing_is_made_again_and_what_was_moved_away_is(tmp_path: Path) -> None:
    make(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "worker.pem").unlink()
    (tmp_path / "worker.key").unlink()

    made = make(tmp_path)

    after = contents(tmp_path)
    assert (made.made, made.kept) == (["worker"], ["ca", "hub", "admin", "producer"])
    assert {name for name in before if before[name] != after[name]} == {"worker.pem", "worker.key"}
    for_client(tmp_path, "worker")


def test_without_the_cas_key_all_that_is_there_can_be_used_and_nothing_be_made(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "ca.key").unlink()

    assert make(tmp_path).made == []
    (tmp_path / "hub.pem").unlink()
    (tmp_path / "hub.key").unlink()

    with pytest.raises(UsageError, match=r"there is no .*ca\.key, without which its CA signs nothing; put it back"):
        make(tmp_path)


@pytest.mark.parametrize("name", ["worker.pem", "worker.key", "ca.pem"])
def test_a_half_pair_is_not_completed(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).unlink()
    before = contents(tmp_path)

    with pytest.raises(UsageError, match="one is missing; put it back, or move the other away"):
        make(tmp_path)

    assert contents(tmp_path) == before


@pytest.mark.parametrize(("name", "body"), [("ca.key", b"no key"), ("ca.pem", b"no certificate")])
def test_a_ca_that_cannot_be_read_is_named(tmp_path: Path, name: str, body: bytes) -> None:
    make(tmp_path)
    for path in (tmp_path / "hub.pem", tmp_path / "hub.key"):
        path.unlink()
    (tmp_path / name).write_bytes(body)

    with pytest.raises(UsageError, match=r"no certificate can be made: .*must be those that were made here"):
        make(tmp_path)


def test_the_cas_key_must_be_that_of_its_certificate(tmp_path: Path) -> None:
    make(tmp_path / "ours")
    make(tmp_path / "others")
    for path in (tmp_path / "ours" / "hub.pem", tmp_path / "ours" / "hub.key"):
        path.unlink()
    os.replace(tmp_path / "others" / "ca.key", tmp_path / "ours" / "ca.key")

    with pytest.raises(UsageError, match="the key is that of another certificate"):
        make(tmp_path / "ours")


def test_what_is_no_host_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--names takes host names and addresses"):
        make(tmp_path, ["x" * 70])


@pytest.mark.parametrize("host", ["https://hub.example/", "hub.example:8000", "hub example", "a,b", "x..y", "me@hub", "10.0.0.0/8"])
def test_a_url_or_a_port_is_no_name_and_nothing_is_made(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError, match="is not a host's name or address; --names takes them without scheme and port"):
        make(tmp_path / "certs", [host])

    assert not (tmp_path / "certs").exists()


@pytest.mark.parametrize("host", ["hub.example", "HUB.example.", "10.0.0.7", "fe80::1", "bücher.example", "my_hub", "*.example"])
def test_names_for_a_certificate_that_is_there_are_compared_with_its_own(tmp_path: Path, host: str) -> None:
    make(tmp_path, [host])

    assert make(tmp_path, [host, "localhost"]).made == []
    with pytest.raises(UsageError, match=r"hub\.pem is there already, and it is not for other\.example but for .*; remove it"):
        make(tmp_path, [host, "other.example"])
    (tmp_path / "hub.pem").unlink()
    (tmp_path / "hub.key").unlink()
    assert make(tmp_path, [host, "other.example"]).made == ["hub"]


def test_a_certificate_that_no_client_would_accept_is_refused_when_the_hub_starts(tmp_path: Path) -> None:
    make(tmp_path / "good")
    refuse_unusable(for_hub(tmp_path / "good"))
    make(tmp_path / "old", today=datetime.now(UTC) - timedelta(days=900))
    make(tmp_path / "mixed")
    (tmp_path / "mixed" / "ca.pem").write_bytes((tmp_path / "good" / "ca.pem").read_bytes())

    for directory, why in (("old", "certificate has expired"), ("mixed", "no client would accept .*hub.pem: ")):
        with pytest.raises(UsageError, match=f"{why}.*; remove it .* --make-certs .*{directory} --names HOST,…' makes"):
            refuse_unusable(for_hub(tmp_path / directory))


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match=r"no certificates can be made in .*file/certs: Not a directory; choose another"):
        make(tmp_path / "file" / "certs")


def test_without_the_library_the_extra_is_named_and_no_file_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "crawler.hub.authority", raising=False)
    monkeypatch.setitem(sys.modules, "cryptography", None)

    with pytest.raises(UsageError, match=r"cryptography.*; pip install .*\[tls\]"):
        make(tmp_path)

    assert contents(tmp_path) == {}


def test_a_client_has_the_certificate_of_its_role_and_else_the_strongest_there_is(tmp_path: Path) -> None:
    make(tmp_path)
    chosen = [for_client(tmp_path, "worker").certificate.name]
    for name in ("worker", "admin"):
        (tmp_path / f"{name}.pem").unlink()
        chosen.append(for_client(tmp_path, "worker").certificate.name)

    assert chosen == ["worker.pem", "admin.pem", "producer.pem"]


@pytest.mark.parametrize("name", ["ca.pem", "hub.pem", "hub.key"])
def test_a_missing_file_is_named_with_the_command_that_makes_it(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).unlink()

    with pytest.raises(UsageError, match=rf"there is no .*{name}; with --certs DIR .*--make-certs DIR"):
        for_hub(tmp_path)


@pytest.mark.parametrize(("name", "body"), [("ca.pem", b""), ("hub.pem", b"no certificate"), ("hub.key", b"no key")])
def test_a_file_that_is_no_pem_is_a_usage_error(tmp_path: Path, name: str, body: bytes) -> None:
    make(tmp_path)
    (tmp_path / name).write_bytes(body)

    with pytest.raises(UsageError, match=r"hub\.pem, its key and ca\.pem cannot be used"):
        for_hub(tmp_path)


def test_the_key_must_be_that_of_the_certificate(tmp_path: Path) -> None:
    make(tmp_path)
    os.replace(tmp_path / "worker.key", tmp_path / "hub.key")

    with pytest.raises(UsageError, match="KEY_VALUES_MISMATCH"):
        for_hub(tmp_path)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    make(tmp_path)
    key = load_pem_private_key((tmp_path / "hub.key").read_bytes(), None)
    (tmp_path / "hub.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))

    with pytest.raises(UsageError, match="has a password, and nobody is there to type it"):
        for_hub(tmp_path)


def test_a_private_key_that_others_can_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path)
    (tmp_path / "hub.key").chmod(0o640)

    with caplog.at_level(logging.WARNING):
        for_hub(tmp_path)

    assert "others on this machine can read the private key" in caplog.text


@pytest.mark.slow
def test_certificates_of_openssl_commands_serve_as_well(tmp_path: Path) -> None:
    """Those that the README has, for whoever has no `cryptography`."""
    if shutil.which("openssl") is None:
        pytest.skip("optional: install openssl to try the README's commands for certificates")
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    script = next(block.split("\n```")[0] for block in readme.split("```sh\n") if "openssl req" in block)

    subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True, capture_output=True, timeout=30)

    assert for_hub(tmp_path / "certs").context.verify_mode == ssl.CERT_REQUIRED
    assert for_client(tmp_path / "certs", "worker").certificate.name == "worker.pem"
