from __future__ import annotations

from crawler_stages.square import Square


def test_a_number_is_squared_in_the_classic_words():
    assert Square().process(3) == "3的平方是9"
    assert [Square().process(number) for number in (0, -4)] == ["0的平方是0", "-4的平方是16"]
