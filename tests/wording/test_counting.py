from __future__ import annotations

from crawler.errors import Mistakes
from crawler.wording.counting import agree, counted, together


def test_a_noun_agrees_with_its_number():
    assert [counted(n, "URL") for n in (0, 1, 2, 12_000)] == ["0 URLs", "1 URL", "2 URLs", "12,000 URLs"]
    assert [counted(n, "process", "processes") for n in (1, 2)] == ["1 process", "2 processes"]


def test_a_verb_agrees_with_its_number():
    assert [f"{counted(n, 'host')} {agree(n, 'rests', 'rest')}" for n in (1, 2)] == ["1 host rests", "2 hosts rest"]


def test_names_are_a_list_in_a_sentence():
    assert [together("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_one_mistake_needs_no_list():
    assert str(Mistakes(["delay is -1"])) == "delay is -1"
    assert str(Mistakes(["delay is -1", "scope is x"])) == "2 mistakes in the configuration\n  delay is -1\n  scope is x"
