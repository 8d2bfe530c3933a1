"""`crawler status` of a crawl that has ended."""

from __future__ import annotations

import pytest

from crawler.cli.status import show
from crawler.items import QueueStats, Stats
from crawler.run.next_commands import hints


@pytest.mark.parametrize(
    ("dead", "told"),
    [(0, "drained: nothing is left to do\n"), (1, "drained: 1 dead: 'crawler dead retry --all --data d' tries it again\n")],
)
def test_dead_tasks_are_named_with_the_command_that_tries_them_again(
    dead: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    queue = QueueStats("urls", 3, 0, 0, 0, dead, 3 - dead, 0, keyed=True, polite=True, is_read=True)

    show(Stats(1.0, 2.0, (queue,), [], [], 0, {}, is_drained=True), "", hints(["--data", "d"]))

    assert told in capsys.readouterr().out


def test_a_command_in_a_sentence_is_not_wrapped_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    queue = QueueStats("urls", 3, 3, 0, 0, 0, 0, 0, keyed=True, polite=True, is_read=True)
    reason = "3 URLs wait on urls: no worker reads it; start 'crawler stage fetch --hub hub.example:8000 --certs certs'"

    show(Stats(1.0, 2.0, (queue,), [], [], 0, {}, is_drained=False), reason, hints([]))

    assert f"{reason}\n" in capsys.readouterr().out
