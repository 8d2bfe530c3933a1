"""The ways out for tasks that no stage reads."""

from __future__ import annotations

from crawler.run.report.stranded import described


def test_under_a_hub_the_way_is_not_one_that_needs_the_store_for_itself() -> None:
    assert described("parsed", 268, is_hub=True) == (
        "268 tasks on queue parsed, which no stage reads: put the table [stages.NAME] of its stage back, restart the hub, "
        "then 'crawler stage NAME', or drop them with 'crawler take parsed -n 268'"
    )
    assert "go on with 'crawler run --change', or drop it with" in described("parsed", 1)


def test_of_a_queue_that_people_read_no_stage_is_missing() -> None:
    assert (
        described("result", 2, is_by_hand=True)
        == "2 tasks on queue result, which people read: 'crawler take result -n 2' prints them"
    )
