"""What one worker has done so far, counted from the hub's answers."""

from __future__ import annotations

from crawler.items import Stepped, Verdict

FAILED = (Verdict.RETRY, Verdict.DEAD)


class Tally:
    """Counts of one worker. The worker's loop writes them; other threads may read them."""

    def __init__(self) -> None:
        self.done = 0
        self.failed = 0            # attempts, not tasks
        self.is_idle = True        # the hub had no task for it when it last asked, and it holds none

    def see(self, answer: Stepped, held: int) -> None:
        """held: tasks in the worker's hands after this answer."""
        if answer.verdicts:
            verdicts = list(answer.verdicts)
            self.done += verdicts.count(Verdict.DONE)
            self.failed += sum(map(verdicts.count, FAILED))
        self.is_idle = not held
