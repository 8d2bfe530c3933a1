"""Which group of a robots.txt binds an agent, and whose a Crawl-delay is."""

from __future__ import annotations

import pytest

from crawler.web.robots import Robots, product_token

# User-Agent value: the name by which robots.txt knows it (RFC 9309 §2.2.1)
TOKENS = {
    "ExampleBot": "ExampleBot",
    "ExampleBot/1.0": "ExampleBot",
    "ExampleBot/1.0 (+https://bot.test/)": "ExampleBot",
    "ExampleBot (+https://bot.test/)": "ExampleBot",
    "ExampleBot 2.1": "ExampleBot",
    "ExampleBot\t2.1": "ExampleBot",
    "ExampleBot;v=1": "ExampleBot",
    "ExampleBot(1)": "ExampleBot",
    "ExampleBot, a robot": "ExampleBot",
    "ExampleBot:1": "ExampleBot",
    "ExampleBot+x": "ExampleBot",
    "ExampleBot.x": "ExampleBot",
    "ExampleBot@x": "ExampleBot",
    "ExampleBot2": "ExampleBot",
    "example_bot-x/1": "example_bot-x",
    "_/1": "_",
    "Mozilla/5.0 (compatible; ExampleBot/1.0)": "Mozilla",
    "Bötchen/1.0": "B",
    "": "",
    " ExampleBot/1.0": "",
    "/1.0": "",
    "(bot)": "",
    "1.0": "",
    "360Spider/1.0": "",
    "+https://bot.test/": "",
    "\xdcberbot/1.0": "",
}


@pytest.mark.parametrize(("agent", "token"), TOKENS.items())
def test_the_product_token_is_the_run_of_letters_that_a_user_agent_begins_with(agent: str, token: str) -> None:
    assert product_token(agent) == token


@pytest.mark.parametrize("agent", [agent for agent, token in TOKENS.items() if token == "ExampleBot"])
def test_a_user_agent_is_bound_by_the_group_of_its_name(agent: str) -> None:
    robots = Robots("User-agent: examplebot\nDisallow: /\n\nUser-agent: *\nDisallow:\n")

    assert not robots.allowed(agent, "/x")


# agent, its name in the file, whether the group binds it
@pytest.mark.parametrize(
    ("agent", "named", "is_bound"),
    [
        ("ExampleBotty/1.0", "ExampleBot", False),
        ("ExampleBot/1.0", "ExampleBotty", False),
        ("Example/1.0", "Example-Bot", False),
        ("Example-Bot/1.0", "Example", False),
        ("crawler/0.1", "crawler4j", False),  # a robot of that name is another one
        ("crawler4j/5", "crawler4j", True),
        ("MJ12bot/v1", "MJ12bot", True),
        ("360Spider/1.0", "360Spider", True),
        ("crawler4j/5", "crawler", True),  # its token as the RFC has it, where its whole name is not in the file
        ("ExampleBot/1.0", "ExampleBot/2.0", True),  # a version in the file is ignored
        ("ExampleBot/1.0", "EXAMPLEBOT (any)", True),
        ("ExampleBot/1.0", "*", True),
        ("ExampleBot/1.0", "* # all", True),
        ("ExampleBot/1.0", "*bot", False),
        ("ExampleBot/1.0", "", False),
    ],
)
def test_which_names_in_the_file_bind_an_agent(agent: str, named: str, is_bound: bool) -> None:
    assert Robots(f"User-agent: {named}\nDisallow: /").allowed(agent, "/x") is not is_bound


def test_the_whole_name_goes_before_the_name_without_digits() -> None:
    robots = Robots("User-agent: crawler\nDisallow: /\n\nUser-agent: crawler4j\nDisallow: /x\n\nUser-agent: *\nDisallow:")

    assert [robots.allowed("crawler4j/5", path) for path in ("/", "/x")] == [True, False]


# lines, delay by agent
DELAYS = {
    "each its own": (
        "User-agent: bixo", "Crawl-delay: 10", "User-agent: foobot", "Crawl-delay: 20", {"bixo": 10, "foobot": 20, "c": None},
    ),
    "a group with only a delay": ("User-agent: c", "Crawl-delay: 1", "", "User-agent: *", "Crawl-delay: 30", {"c": 1, "x": 30}),
    "the other order": ("User-agent: *", "Crawl-delay: 30", "", "User-agent: c", "Crawl-delay: 1", {"c": 1, "x": 30}),
    "three in a row": (
        "User-agent: a", "Crawl-delay: 1", "User-agent: b", "Crawl-delay: 2", "User-agent: c", "Crawl-delay: 3",
        {"a": 1, "b": 2, "c": 3, "x": None},
    ),
    "one for two agents": ("User-agent: a", "User-agent: b", "Crawl-delay: 5", {"a": 5, "b": 5}),
    "one for two agents, with a sitemap between": (
        "User-agent: a", "Sitemap: http://h/s", "User-agent: b", "Crawl-delay: 5", {"a": 5, "b": 5},
    ),
    "before the rules": ("User-agent: a", "Crawl-delay: 5", "Disallow: /x", {"a": 5}),
    "after the rules": ("User-agent: a", "Disallow: /x", "Crawl-delay: 5", "User-agent: b", "Crawl-delay: 7", {"a": 5, "b": 7}),
    "between the rules": ("User-agent: a", "Disallow: /x", "Crawl-delay: 5", "Allow: /x/y", {"a": 5}),
    "with an empty rule": ("User-agent: c", "Crawl-delay: 1", "Disallow:", "User-agent: *", "Crawl-delay: 30", {"c": 1, "x": 30}),
    "two in one group: the longer": ("User-agent: a", "Crawl-delay: 5", "Crawl-delay: 3", {"a": 5}),
    "two groups of one agent: the longer": (
        "User-agent: a", "Crawl-delay: 5", "Disallow: /", "User-agent: a", "Crawl-delay: 9", {"a": 9},
    ),
    "an agent twice before one": ("User-agent: a", "User-agent: a", "Crawl-delay: 5", {"a": 5}),
    "none of its own": ("User-agent: a", "Disallow: /x", "User-agent: *", "Crawl-delay: 5", {"a": None, "x": 5}),
    "no number, then another group's": (
        "User-agent: a", "Crawl-delay: soon", "User-agent: b", "Crawl-delay: 5", {"a": None, "b": 5},
    ),
    "without an agent": ("Crawl-delay: 5", "User-agent: a", "Crawl-delay: 7", {"a": 7, "x": None}),
    "zero": ("User-agent: a", "Crawl-delay: 0", "User-agent: *", "Crawl-delay: 5", {"a": 0, "x": 5}),
    "a fraction, mistyped name": ("User-agent: a", "crawldelay: 0.5", "User agent: b", "CRAWL-DELAY : 2", {"a": 0.5, "b": 2}),
    "rules after a delay are for both, delays are not": (
        "User-agent: a", "Crawl-delay: 4", "User-agent: b", "Disallow: /x", "Crawl-delay: 8", {"a": 4, "b": 8},
    ),
    "an agent named again between": (
        "User-agent: a", "Crawl-delay: 4", "User-agent: b", "Crawl-delay: 6", "User-agent: a", "Disallow: /", {"a": 4, "b": 6},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DELAYS)
def test_a_group_s_delay_is_its_own(name: str) -> None:
    *lines, wanted = DELAYS[name]
    assert isinstance(wanted, dict)

    robots = Robots("\n".join(map(str, lines)))

    assert {agent: robots.delay(agent) for agent in wanted} == wanted


def test_rules_after_a_delay_bind_all_agents_named_before_them() -> None:
    robots = Robots("User-agent: a\nCrawl-delay: 4\nUser-agent: b\nCrawl-delay: 6\nDisallow: /x\nUser-agent: c\nDisallow: /y")

    assert [robots.allowed(agent, "/x") for agent in "abc"] == [False, False, True]
    assert [robots.allowed(agent, "/y") for agent in "abc"] == [True, True, False]


def test_the_same_rules_for_a_second_list_of_agents_are_told_by_their_own_line() -> None:
    robots = Robots("User-agent: a\nDisallow: /x\n\nUser-agent: b\nDisallow: /x\n\nUser-agent: a\nDisallow: /x\nDisallow: /y")

    assert [robots.why(agent, "/x").number for agent in "ab"] == [2, 5]
    assert robots.why("a", "/y").number == 9
