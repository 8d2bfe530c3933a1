from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from crawler.errors import UsageError
from crawler.hub.address import Address, check_exposure, connect, listen
from crawler.hub.key import authkey

LONG_KEY = b"k" * 32


@pytest.fixture
def folder():
    """A folder with a short path: the limit of a socket's name is part of what is tested."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


@pytest.mark.parametrize("text", ["127.0.0.1:8000", "[::1]:8000", "localhost:0", "unix:data/hub.sock", "unix:/run/hub.sock"])
def test_an_address_is_written_as_it_is_read(text):
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "8000", ":8000", "host:", "host:port", "host:99999", "host:-1", "host:８", "::1:8000", "unix:", "unix:a\0b"]
)
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"write|stands in brackets") as refusal:
        Address.parse(text)
    assert repr(text) in str(refusal.value)


def test_the_standard_librarys_forms_are_understood():
    assert Address.of(("127.0.0.1", 8000)) == Address.parse("127.0.0.1:8000")
    assert Address.of(("::1", 8000)) == Address.parse("[::1]:8000")
    assert Address.of("/run/hub.sock") == Address.parse("unix:/run/hub.sock")
    with pytest.raises(UsageError):
        Address.of(8000)


@pytest.mark.parametrize("text", ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1", "unix:x"])
def test_an_address_of_this_machine_needs_no_leave(text):
    check_exposure(Address.parse(text), LONG_KEY)


@pytest.mark.parametrize("text", ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"])
def test_an_address_others_can_reach_needs_leave_and_a_long_key(text):
    with pytest.raises(UsageError, match=r"hub\.insecure = true"):
        check_exposure(Address.parse(text), LONG_KEY)
    with pytest.raises(UsageError, match="3 bytes is too short"):
        check_exposure(Address.parse(text), b"abc", insecure=True)

    check_exposure(Address.parse(text), LONG_KEY, insecure=True)


def test_a_short_key_on_loopback_is_warned_about(caplog):
    check_exposure(Address.parse("127.0.0.1:1"), b"abc")

    assert "the authkey has 3 bytes" in caplog.text


def test_port_0_becomes_a_free_port():
    sock, place = listen(Address.parse("127.0.0.1:0"))
    with sock:
        assert place.port > 0
        connect(place, 1.0).close()


def test_a_port_in_use_is_a_clear_error():
    sock, place = listen(Address.parse("127.0.0.1:0"))
    with sock, pytest.raises(UsageError, match="is in use, perhaps by another hub"):
        listen(place)


def test_a_unix_socket_is_its_owners_alone(folder):
    sock, place = listen(Address(path=f"{folder}/hub.sock"))
    with sock:
        assert stat.S_IMODE(os.stat(place.path).st_mode) == 0o600
        connect(place, 1.0).close()


def test_a_second_hub_on_a_unix_socket_is_refused_and_a_dead_ones_file_replaced(folder):
    place = Address(path=f"{folder}/hub.sock")
    first, _ = listen(place)

    with pytest.raises(UsageError, match="another hub listens at unix:"):
        listen(place)
    first.close()  # as a kill does: the file stays

    second, _ = listen(place)
    second.close()


def test_a_file_that_is_no_socket_is_left_alone(folder):
    (folder / "hub.sock").write_text("precious")

    with pytest.raises(UsageError, match="is not a socket"):
        listen(Address(path=f"{folder}/hub.sock"))

    assert (folder / "hub.sock").read_text() == "precious"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_a_path_longer_than_a_socket_address_works_all_the_same(tmp_path):
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    place = Address(path=f"{deep}/hub.sock")

    sock, _ = listen(place)

    with sock:
        connect(place, 1.0).close()
        with pytest.raises(UsageError, match="another hub listens"):
            listen(place)
    assert stat.S_ISSOCK(os.stat(place.path).st_mode)


def test_nobody_at_an_address_is_an_os_error(folder):
    with pytest.raises(OSError, match="No such file"):
        connect(Address(path=f"{folder}/none"), 1.0)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        place = Address("127.0.0.1", sock.getsockname()[1])
    with pytest.raises(ConnectionRefusedError):
        connect(place, 1.0)


def test_the_environment_goes_before_the_file_and_the_file_before_the_data_directory(tmp_path):
    (tmp_path / "key").write_text("from-the-file\n")
    (tmp_path / "authkey").write_text("from-the-data")
    for name in ("key", "authkey"):
        (tmp_path / name).chmod(0o600)

    assert authkey(tmp_path, str(tmp_path / "key"), {"CRAWLER_AUTHKEY": "from-the-environment"}) == b"from-the-environment"
    assert authkey(tmp_path, str(tmp_path / "key"), {}) == b"from-the-file"
    assert authkey(tmp_path, "", {}) == b"from-the-data"


def test_a_hub_makes_a_key_once_that_only_its_owner_can_read(tmp_path):
    data = tmp_path / "new" / "data"

    first = authkey(data, "", {}, create=True)

    assert len(bytes.fromhex(first.decode())) == 32
    assert stat.S_IMODE((data / "authkey").stat().st_mode) == 0o600
    assert authkey(data, "", {}, create=True) == authkey(data, "", {}) == first
    assert [path.name for path in data.iterdir()] == ["authkey"]


def test_a_client_without_a_key_hears_the_three_places(tmp_path):
    with pytest.raises(UsageError, match=r"CRAWLER_AUTHKEY .* hub.authkey_file .*authkey does not exist"):
        authkey(tmp_path, "", {})


def test_an_unusable_key_file_is_named(tmp_path):
    (tmp_path / "empty").write_text("\n")

    with pytest.raises(UsageError, match="missing cannot be read"):
        authkey(tmp_path, str(tmp_path / "missing"), {})
    with pytest.raises(UsageError, match="empty is empty"):
        authkey(tmp_path, str(tmp_path / "empty"), {})


def test_a_key_that_others_can_read_is_warned_about(tmp_path, caplog):
    (tmp_path / "authkey").write_text("k" * 32)
    (tmp_path / "authkey").chmod(0o644)

    authkey(tmp_path, "", {})

    assert "chmod 600" in caplog.text
