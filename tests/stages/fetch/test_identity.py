"""Who we are to a site, and to no other."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from crawler import AUTH, ConfigError, Hosts, LocalShared, Url, Visit
from crawler.config.load import HIDDEN, shown
from crawler.config.settings import HostSettings
from crawler_stages.clients.contract import Reply
from crawler_stages.fetch.identity import Identity
from crawler_stages.fetch.redirects import LOOP


def identity(cookies: bool = False, **auth: str) -> Identity:
    return Identity("tea/1", {"X-All": "1"}, {name.replace("_", "."): value for name, value in auth.items()}, has_cookies=cookies)


def sent(who: Identity, url: str) -> dict[str, str]:
    headers = who.headers(Url.parse(url))
    return {name: value for name, value in headers.items() if name in ("Authorization", "Cookie")}


def setting(who: Identity, url: str, *cookies: str) -> list[str]:
    headers = [("Set-Cookie", cookie) for cookie in cookies]
    return list(who.learn(Url.parse(url), Reply(status=200, headers=headers, content=b"", received=0, seconds=0.1)))


def test_a_password_goes_to_its_host_and_port_and_nowhere_else() -> None:
    who = Identity("tea/1", {}, {"example.org": "me:wo:rd", "http://h.example:8080": "Bearer abc"}, has_cookies=False)

    assert sent(who, "https://example.org/a") == {"Authorization": "Basic bWU6d286cmQ="}
    assert sent(who, "http://h.example:8080/") == {"Authorization": "Bearer abc"}
    for stranger in ("https://www.example.org/", "https://example.org:8443/", "https://h.example:8080/", "http://h.example/"):
        assert sent(who, stranger) == {}


def test_an_origin_is_meant_with_its_scheme_so_that_nothing_goes_without_tls() -> None:
    who = Identity("tea/1", {}, {"https://example.org": "me:word"}, has_cookies=False)

    assert sent(who, "https://example.org/") == {"Authorization": "Basic bWU6d29yZA=="}
    assert sent(who, "http://example.org/") == {}


def test_what_stands_in_the_url_goes_before() -> None:
    assert sent(identity(example_org="a:b"), "http://me:word%21@example.org/") == {"Authorization": "Basic bWU6d29yZCE="}


@pytest.mark.parametrize("auth", [{"example.org/path": "a:b"}, {"ftp://example.org": "a:b"}, {"example.org": "secret"}])
def test_what_cannot_be_used_is_named_and_not_shown(auth: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"stages\.fetch\.auth") as error:
        Identity("tea/1", {}, auth, has_cookies=False)

    assert "secret" not in str(error.value)


@pytest.mark.parametrize("name", ["Authorization", "cookie"])
def test_a_secret_among_the_headers_for_all_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="would go to every site"):
        Identity("tea/1", {name: "x"}, {}, has_cookies=False)


def test_secrets_are_not_shown_and_switches_are() -> None:
    assert shown("stages.fetch.auth", {"example.org": "me:word"}) == {"example.org": HIDDEN}
    assert shown("stages.fetch.proxy", {"https": "http://me:word@proxy:1"}) == {"https": f"http://{HIDDEN}@proxy:1"}
    assert shown("stages.fetch.cookies", True) is True


def test_cookies_go_back_as_the_jar_says_and_news_of_them_are_told() -> None:
    who = identity(cookies=True)

    assert setting(who, "https://example.org/", "a=1; Secure", "b=2; Path=/b", "x=1; Domain=other.test") != []
    assert setting(who, "https://example.org/", "a=1; Secure") == []
    assert setting(who, "https://example.org/") == []

    assert sent(who, "https://example.org/b/") == {"Cookie": "b=2; a=1"}
    assert sent(who, "http://example.org/") == {}
    assert sent(who, "https://example.com/") == {}


def test_cookies_are_off_unless_asked_for() -> None:
    who = identity()

    assert setting(who, "https://example.com/", "a=1") == []
    assert sent(who, "https://example.com/") == {}


def test_a_password_of_a_seed_goes_to_its_origin_alone_and_is_found_when_the_seed_is_met() -> None:
    shared = LocalShared()
    who = Identity("tea/1", {}, {"example.org": "a:b"}, has_cookies=False, shared=shared)
    assert sent(who, "https://example.org/") == {"Authorization": "Basic YTpi"}
    shared.set(f"{AUTH}https://example.org", b"me:wo%3Ard%21")

    headers = who.headers(Url.parse("https://example.org/"), is_seed=True)

    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:wo:rd!").decode()
    assert sent(who, "https://example.org/later")["Authorization"] == headers["Authorization"]
    assert sent(who, "http://example.org/") == {"Authorization": "Basic YTpi"}
    assert sent(who, "https://example.org:8443/") == {}


def test_the_notes_are_not_read_for_each_page() -> None:
    class Counted(LocalShared):
        asked = 0

        def find(self, prefix: str) -> Mapping[str, bytes]:
            self.asked += 1
            return super().find(prefix)

    shared = Counted()
    who = Identity("tea/1", {}, {}, has_cookies=False, shared=shared)

    for number in range(1_000):
        sent(who, f"https://example.org/{number}")

    assert shared.asked < 100


HOSTS = Hosts({
    "a.test": HostSettings(auth="me:word", headers={"x-all": "one", "cookie": "fixed=1", "X-Own": "2"}),
    "*.a.test": HostSettings(headers={"X-Own": "below"}),
    "b.test": HostSettings(headers={"authorization": "Bearer abc"}),
})  # fmt: skip


@pytest.mark.parametrize(("url", "expected"), [
    ("https://a.test/", {"X-All": None, "x-all": "one", "X-Own": "2", "Cookie": "fixed=1", "Authorization": "Basic bWU6d29yZA=="}),
    ("http://a.test/", {"Authorization": "Basic bWU6d29yZA=="}),
    ("https://a.test:8443/", {"X-All": "1", "X-Own": None, "Cookie": None, "Authorization": None}),
    ("https://w.a.test/", {"X-All": "1", "X-Own": "below", "Cookie": None, "Authorization": None}),
    ("https://a.test.evil.test/", {"X-All": "1", "X-Own": None, "Authorization": None}),
    ("https://b.test/", {"X-All": "1", "Authorization": "Bearer abc"}),
    ("https://you:seen@b.test/", {"Authorization": "Basic eW91OnNlZW4="}),
])  # fmt: skip
def test_the_table_of_a_host_is_for_that_host_alone(url: str, expected: dict[str, str | None]) -> None:
    who = Identity("tea/1", {"X-All": "1"}, {}, has_cookies=False, hosts=HOSTS)

    headers = who.headers(Url.parse(url))

    assert {name: headers.get(name) for name in expected} == expected
    assert who.headers(Url.parse(url)) == headers


def test_a_cookie_of_a_table_goes_with_those_of_the_jar_and_is_no_reason_to_follow_a_loop() -> None:
    who = Identity("tea/1", {}, {}, has_cookies=True, hosts=HOSTS)
    url = "https://a.test/"
    cookie = who.headers(Url.parse(url))["Cookie"]
    assert who.follow(Visit(url), url, 9, cookie, ()) == LOOP

    news = setting(who, url, "jar=2")

    assert isinstance(who.follow(Visit(url), url, 9, cookie, news), Visit)
    assert who.headers(Url.parse(url))["Cookie"] == "jar=2; fixed=1"
