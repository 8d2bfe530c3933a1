"""What the summary and the report say of fields that could not be read."""

from __future__ import annotations

from crawler.run.report.unread import nowhere, tally, told, unmatched


def test_troubles_of_fields_are_counted_and_told_with_examples() -> None:
    counters = {
        "parse/fields/price": 3, "parse/fields/day": 1, "parse/fields/day/failed": 2, "parse/fields/body/cut": 1,
        "shop/fields/odd/else": 5, "parse/links/cut": 7,
    }  # fmt: skip

    found = tally(counters, {"price": "float call us", "day": "date soon", "day/failed": "failed no such thing"})

    assert found == {
        "body": {"unread": 0, "type": "", "example": "", "failed": 0, "reason": "", "cut": 1},
        "day": {"unread": 1, "type": "date", "example": "soon", "failed": 2, "reason": "no such thing", "cut": 0},
        "price": {"unread": 3, "type": "float", "example": "call us", "failed": 0, "reason": "", "cut": 0},
    }
    assert told(found) == [
        "body: 1 value was cut",
        "day: 1 text was no unambiguous date, for example 'soon'; the selector failed on 2 pages: no such thing",
        "price: 3 texts were no number, for example 'call us'",
    ]


def test_a_field_that_matched_on_no_page_is_named() -> None:
    counters = {
        "parse/fields/typo/missed": 3,                                          # nothing else is known of it
        "parse/fields/name/found": 3, "parse/fields/name/missed": 2,
        "parse/fields/price/missed": 3, "parse/fields/price": 9,                # it matched, and was no number
        "parse/fields/slow/missed": 3, "parse/fields/slow/failed": 9,
        "shop/fields/a/missed": 1, "parse/links/cut": 7,
    }  # fmt: skip

    assert unmatched(counters) == ["a", "typo"]
    assert nowhere(["a", "typo"]) == ["a, typo: matched on no page; 'crawler shell URL' is for trying selectors"]
    assert nowhere([]) == []
    assert nowhere([f"f{n}" for n in range(12)])[0].startswith("f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 and 2 more: matched")
