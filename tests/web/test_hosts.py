"""Settings of single hosts: which table is for which host, and which tables are refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from crawler.config.load import load
from crawler.config.settings import HostSettings
from crawler.errors import ConfigError
from crawler.web.hosts import Hosts, check, of_other_ports

TABLES = {
    "example.org": {"delay": 1.0, "headers": {"X-A": "1"}},
    "Example.ORG:8080": {"delay": 2.0},
    "*.example.org": {"delay": 3.0, "max_pages": 9, "headers": {"X-A": "wild", "X-B": "wild"}},
    "*.www.example.org": {"delay": 4.0},
    "shop.example.org": {"per_host": 2, "headers": {"x-a": "shop"}},
    "bücher.example": {"delay": 6.0},
    "a.test:443": {"delay": 7.0},
    "[::1]:8000": {"delay": 8.0},
    "127.0.0.1:8000": {"delay": 9.0},
    "*.wild.test:81": {"delay": 10.0},
}


def hosts(tables: Any = TABLES) -> Hosts:
    return Hosts(msgspec.convert(tables, dict[str, HostSettings]))


@pytest.mark.parametrize(("host", "delay"), [
    ("example.org", 1.0), ("example.org:8080", 2.0), ("example.org:8081", None), ("www.example.org", 3.0),
    ("a.b.example.org", 3.0), ("a.www.example.org", 4.0), ("a.b.www.example.org", 4.0), ("www.example.org:8080", None),
    ("shop.example.org", 3.0), ("notexample.org", None), ("example.org.test", None), ("xn--bcher-kva.example", 6.0),
    ("a.test", 7.0), ("[::1]:8000", 8.0), ("127.0.0.1:8000", 9.0), ("127.0.0.1", None), ("a.wild.test:81", 10.0),
    ("a.wild.test", None), ("other.test", None),
])  # fmt: skip
def test_the_most_specific_table_is_for_a_host(host: str, delay: float | None) -> None:
    found = hosts().of(host)

    assert (None if found is None else found.delay) == delay


def test_of_several_tables_each_key_is_that_of_the_most_specific_one() -> None:
    assert hosts().of("shop.example.org") == HostSettings(
        delay=3.0, per_host=2, max_pages=9, headers={"X-B": "wild", "x-a": "shop"}
    )


def test_a_zero_is_a_value() -> None:
    found = hosts({"*.a.test": {"delay": 5, "max_pages": 3}, "b.a.test": {"delay": 0, "max_pages": 0}}).of("b.a.test")

    assert found is not None
    assert (found.delay, found.max_pages) == (0.0, 0)


@pytest.mark.parametrize(("name", "table", "words"), [
    ("https://example.org/x", {}, '[hosts."https://example.org/x"] is not a host; write [hosts."example.org"]'),
    ("http://example.org:8080", {}, 'write [hosts."example.org:8080"]'),
    ("example.org/docs/", {}, 'write [hosts."example.org"]'),
    ("https://*.example.org/", {}, "is not a host; write it as in URLs"),
    ("user:word@example.org", {}, 'write [hosts."example.org"]'),
    ("ex*mple.org", {}, "a * stands only at the beginning"),
    ("*example.org", {}, "a * stands only at the beginning"),
    ("*", {}, "a * stands only at the beginning"),
    ("*.*.example.org", {}, "a * stands only at the beginning"),
    ("a b", {}, "is not a host; write it as in URLs"),
    ("", {}, "is not a host"),
    ("a.test?x", {}, "is not a host"),
    ("a.test:port", {}, "is not a host"),
    ("*.a.test", {"auth": "me:word"}, "auth would go to every host below a.test; write a table for each of them"),
    ("*.a.test", {"headers": {"authorization": "x"}}, "authorization would go to every host below a.test"),
    ("*.a.test", {"headers": {"Cookie": "x"}}, "Cookie would go to every host below a.test"),
    ("a.test", {"auth": "word"}, "auth is neither user:password nor a scheme and a token"),
    ("a.test", {"headers": {"X Y": "1"}}, "'X Y' cannot name a header"),
    ("a.test", {"headers": {"X": "1\r\nY: 2"}}, "the value of X has a line break"),
    ("a.test", {"headers": {"User-Agent": "x"}}, "User-Agent is not set for one host; see stages.fetch.user_agent"),
    ("a.test", {"headers": {"Proxy-Authorization": "x"}}, "see stages.fetch.proxy"),
])  # fmt: skip
def test_a_table_that_cannot_be_used_is_refused_with_what_to_write(name: str, table: Any, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        check({name: msgspec.convert(table, HostSettings)})

    assert words in str(error.value)
    assert "word@" not in str(error.value)


def test_all_mistakes_are_told_and_one_host_has_one_table() -> None:
    with pytest.raises(ConfigError) as error:
        check({"a b": HostSettings(), "A.test": HostSettings(), "a.test:80": HostSettings()})

    assert "a b" in str(error.value)
    assert "are the same host; keep one" in str(error.value)


@pytest.mark.parametrize(("sets", "expected"), [
    (["hosts.example.org.delay=2"], {"example.org": HostSettings(delay=2.0)}),
    (["hosts.\"example.org\".delay=2", "hosts.example.org.per-host=3"], {"example.org": HostSettings(delay=2.0, per_host=3)}),
    (["hosts.a-b.example.org:80.delay=2"], {"a-b.example.org:80": HostSettings(delay=2.0)}),
    (["hosts.localhost.delay=2"], {"localhost": HostSettings(delay=2.0)}),
    (["hosts.*.a.test.max_pages=2"], {"*.a.test": HostSettings(max_pages=2)}),
    (["hosts.a.test.headers.X-A=b"], {"a.test": HostSettings(headers={"X-A": "b"})}),
    (["hosts.a.test.headers={X-A='b', delay='c'}"], {"a.test": HostSettings(headers={"X-A": "b", "delay": "c"})}),
    (["hosts.a.test={delay=1, auth='a:b'}"], {"a.test": HostSettings(delay=1.0, auth="a:b")}),
])  # fmt: skip
def test_a_host_is_named_with_its_dots(sets: list[str], expected: dict[str, HostSettings]) -> None:
    assert load(None, sets, {}).settings.hosts == expected


@pytest.mark.parametrize("heading", ['[hosts."a.test"]', "[hosts.a.test]"])
def test_a_table_in_the_file_may_have_quotes_or_not(tmp_path: Any, heading: str) -> None:
    file = tmp_path / "crawler.toml"
    file.write_text(f"{heading}\ndelay = 4\n")

    config = load(file, [], {})

    assert config.settings.hosts == {"a.test": HostSettings(delay=4.0)}
    assert config.origin("hosts.a.test.delay") == str(file)


@pytest.mark.parametrize(("setting", "words"), [
    ("hosts.a.test.dealy=1", "hosts.a.test.dealy is not a setting; did you mean 'hosts.a.test.delay'?"),
    ("hosts.a.test.delay=-1", "hosts.a.test.delay is -1; expected a number from 0"),
    ("hosts.a.test.per_host=0", "hosts.a.test.per_host is 0; expected a whole number from 1"),
    ("hosts.a.test.headers={Cookie=7}", "hosts.a.test.headers.Cookie is '(hidden)'; expected a string"),
    ("hosts=1", "expected a table"),
])  # fmt: skip
def test_a_key_that_is_none_is_told_as_anywhere(setting: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(None, [setting], {})

    assert words in str(error.value)


@pytest.mark.parametrize(("table", "seeds", "port"), [
    ("a.test", ["http://a.test:8080/x"], "a.test:8080"),
    ("127.0.0.1", ["http://b.test/", "http://127.0.0.1:81/"], "127.0.0.1:81"),
    ("a.test:81", ["http://a.test/"], "a.test"),
    ("a.test", ["http://a.test/", "http://a.test:8080/"], ""),
    ("*.a.test", ["http://a.test:8080/"], ""),
    ("b.test", ["http://a.test:8080/", "no url"], ""),
])  # fmt: skip
def test_a_table_for_another_port_of_a_seed_is_told(table: str, seeds: list[str], port: str) -> None:
    told = [f'warning: [hosts."{table}"] is not for {port}: a host has its port; write [hosts."{port}"]'] if port else []

    assert of_other_ports({table: HostSettings(delay=1.0)}, seeds) == told
