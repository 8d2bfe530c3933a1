"""Tasks on queues that no stage reads any more, because a stage was removed or renamed while it had work."""

from __future__ import annotations

from collections.abc import Iterable

from crawler.items import QueueStats
from crawler.run.next_commands import PLAIN, Hint
from crawler.wording.counting import agree, counted


def stranded(queues: Iterable[QueueStats]) -> dict[str, int]:
    """Return the number of unfinished tasks on each queue outside the pipeline."""
    found = {queue.name: queue.ready + queue.delayed + queue.leased for queue in queues if queue.is_outside}
    return {name: n for name, n in found.items() if n}


def described(name: str, n: int, hint: Hint = PLAIN, *, is_hub: bool = False, is_by_hand: bool = False) -> str:
    """Describe the tasks on one such queue and the commands that help. hint: completes commands.

    is_hub: a hub uses the store, so `crawler run` cannot. is_by_hand: people read the queue.
    """
    take = hint(f"take {name} -n {n}")
    if is_by_hand:
        return f"{counted(n, 'task')} on queue {name}, which people read: '{take}' prints {agree(n, 'it', 'them')}"
    if is_hub:
        way = f"put the table [stages.NAME] of its stage back, restart the hub, then '{hint('stage NAME')}'"
    else:
        way = f"add the stage again and go on with '{hint('run --change')}'"
    drop = f"drop {agree(n, 'it', 'them')} with '{take}'"
    return f"{counted(n, 'task')} on queue {name}, which no stage reads: {way}, or {drop}"
