"""What may be connected to."""

from __future__ import annotations

import socket

import pytest

from crawler.errors import AddressRefused, BadUrl
from crawler.web import urls
from crawler.web.addresses import METADATA, Guard, lookup, refusal
from tests.spellings import LOOPBACK, OTHERS

PRIVATE = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.1.1", "172.16.0.1", "172.31.255.255",
    "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1",
    "2002:7f00:1::", "2002:808:808::", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%lo",
    "fec0::1", "ff02::1", "2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:192.168.0.1", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_no_special_address_is_taken_for_the_web(address: str) -> None:
    assert refusal(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "172.32.0.1", "192.0.1.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_public_addresses_pass(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "::ffff:169.254.169.254"]
)
def test_metadata_services_are_known(address: str) -> None:
    assert refusal(address) == METADATA


@pytest.mark.parametrize("spelling", LOOPBACK + OTHERS)
def test_every_spelling_of_a_private_address_is_refused(spelling: str) -> None:
    url = urls.parse(f"http://{spelling}:8080/")

    with pytest.raises(AddressRefused, match="allow_private"):
        Guard(lambda host: False).resolve(url.hostname, 8080, url.host)


def test_there_are_enough_of_them() -> None:
    assert len(set(LOOPBACK + OTHERS)) >= 60


@pytest.mark.parametrize("name", ["127.0.0.1", "[::1]", "localhost", "localhost.", "a.localhost", "169.254.169.254", "10.0.0.1"])
def test_what_a_proxy_would_connect_to_is_refused_as_far_as_it_can_be_told_without_a_resolver(name: str) -> None:
    guard = Guard(lambda host: host == "10.0.0.1:81")

    with pytest.raises(AddressRefused):
        guard.check(name, name)
    guard.check("example.org", "example.org")
    guard.check("8.8.8.8", "8.8.8.8")
    guard.check("10.0.0.1", "10.0.0.1:81")


class Names:
    """A name server of our own: what it says next is ours to decide."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[str] = []
        self.questions = 0
        self.asked = b""
        monkeypatch.setattr(socket, "getaddrinfo", self.answer)

    def answer(self, name: bytes, port: int, type: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        self.questions += 1
        self.asked = name
        return [(socket.AF_INET, type, 6, "", (address, port)) for address in self.answers]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


def test_one_private_address_among_public_ones_refuses_the_name(names: Names) -> None:
    names.answers = ["8.8.8.8", "10.0.0.1"]

    for guard in (Guard(lambda host: False), Guard(lambda host: True)):
        with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
            guard.resolve("mixed.example", 80, "mixed.example")


def test_a_name_is_resolved_once_a_connection(names: Names) -> None:
    names.answers = ["8.8.8.8", "8.8.4.4"]

    found = Guard(lambda host: False).resolve("public.example", 81, "public.example:81")

    assert found == [(socket.AF_INET, ("8.8.8.8", 81)), (socket.AF_INET, ("8.8.4.4", 81))]
    assert names.questions == 1


def test_a_private_host_that_a_person_named_is_allowed_with_its_port_only(names: Names) -> None:
    guard = Guard(lambda host: host == "intranet.example:8080")
    names.answers = ["10.0.0.1"]

    assert guard.resolve("intranet.example", 8080, "intranet.example:8080")
    with pytest.raises(AddressRefused):
        guard.resolve("intranet.example", 22, "intranet.example:22")


def test_a_seeded_name_cannot_be_rebound_inwards(names: Names) -> None:
    guard = Guard(lambda host: True)
    names.answers = ["8.8.8.8"]
    guard.resolve("seed.example", 80, "seed.example")

    names.answers = ["127.0.0.1"]

    with pytest.raises(AddressRefused, match="public addresses too"):
        guard.resolve("seed.example", 80, "seed.example")


def test_a_metadata_service_must_be_named_by_its_address(names: Names) -> None:
    guard = Guard(lambda host: True)
    names.answers = ["169.254.169.254"]

    assert guard.resolve("169.254.169.254", 80, "169.254.169.254")
    with pytest.raises(AddressRefused, match="metadata"):
        guard.resolve("seed.example", 80, "seed.example")


def test_a_name_that_is_none_has_no_address() -> None:
    with pytest.raises(BadUrl, match=r"'a\.\.b' is not a host name"):
        Guard(lambda host: True).resolve("a..b", 80, "a..b")


@pytest.mark.parametrize(
    ("name", "asked"),
    [("example.org", b"example.org"), ("example.org.", b"example.org."), ("::1", b"::1"),
     ("xn--bcher-kva.example", b"xn--bcher-kva.example"), ("bücher.example", b"xn--bcher-kva.example"),
     (f"{'a' * 63}.example", b"a" * 63 + b".example"), ("a_b-c", b"a_b-c")],
)  # fmt: skip
def test_the_resolver_is_asked_for_the_ascii_form_of_a_name(names: Names, name: str, asked: bytes) -> None:
    names.answers = ["8.8.8.8"]

    lookup(name, 80)

    assert names.asked == asked


@pytest.mark.parametrize("name", ["a..b", ".a", "a..", f"{'a' * 64}.example", f"a.{'b' * 64}", f"a.{'b' * 64}.", "ü" * 64])
def test_a_name_with_a_part_that_is_empty_or_too_long_is_no_name(names: Names, name: str) -> None:
    with pytest.raises(BadUrl, match="each part between dots must have 1 to 63 characters"):
        lookup(name, 80)

    assert names.questions == 0
