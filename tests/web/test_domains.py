"""Registered domains and public suffixes."""

from __future__ import annotations

import pytest

from crawler.web.domains import is_public_suffix, registered_domain


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("example.org", "example.org"),
        ("www.example.org", "example.org"),
        ("a.b.c.example.org:8080", "example.org"),
        ("www.example.org.", "example.org"),
        ("WWW.Example.ORG", "example.org"),
        ("shop.example.co.uk", "example.co.uk"),
        ("co.uk", None),
        ("org", None),
        ("me.github.io", "me.github.io"),
        ("a.me.github.io", "me.github.io"),
        ("github.io", None),
        ("www.city.kobe.jp", "city.kobe.jp"),  # an exception of the list
        ("a.b.c.kobe.jp", "b.c.kobe.jp"),  # a wildcard of the list
        ("www.ck", "www.ck"),
        ("www.xn--85x722f.com.cn", "xn--85x722f.com.cn"),
        ("site.test", "site.test"),  # a top-level domain that is not listed
        ("www.site.test", "site.test"),
        ("localhost", None),
        ("localhost:8080", None),
        ("127.0.0.1", None),
        ("127.0.0.1:80", None),
        ("[::1]", None),
        ("[2001:db8::1]:8080", None),
    ],
)
def test_registered_domain(host: str, domain: str | None) -> None:
    assert registered_domain(host) == domain


SUFFIXES = ("org", "co.uk", "co.uk.", "github.io", "c.kobe.jp", "test", "localhost", "xn--55qx5d.cn")
OTHERS = ("example.org", "city.kobe.jp", "www.ck", "127.0.0.1", "[::1]", "me.github.io", "a..org")


@pytest.mark.parametrize("host", SUFFIXES)
def test_public_suffixes(host: str) -> None:
    assert is_public_suffix(host)


@pytest.mark.parametrize("host", OTHERS)
def test_names_of_one_owner_and_addresses_are_no_public_suffixes(host: str) -> None:
    assert not is_public_suffix(host)
