from __future__ import annotations

from crawler.counting import agree, counted


def test_a_noun_agrees_with_its_number():
    assert [counted(n, "URL") for n in (0, 1, 2, 12_000)] == ["0 URLs", "1 URL", "2 URLs", "12,000 URLs"]
    assert [counted(n, "process", "processes") for n in (1, 2)] == ["1 process", "2 processes"]


def test_a_verb_agrees_with_its_number():
    assert [f"{counted(n, 'host')} {agree(n, 'rests', 'rest')}" for n in (1, 2)] == ["1 host rests", "2 hosts rest"]
