"""Count what one worker has done so far, from the hub's answers."""

from __future__ import annotations

from crawler.items import Stepped, Verdict

FAILED = (Verdict.RETRY, Verdict.DEAD)


class Tally:
    """The counts of one worker. The worker's loop writes them; other threads may read them."""

    def __init__(self) -> None:
        self.done = 0
        self.failed = 0            # attempts, not tasks
        self.is_idle = True        # the hub had no task at the last request, and the worker holds none
        self.trouble = ""          # what keeps it from working: a full disk

    def see(self, answer: Stepped, held: int, trouble: str = "") -> None:
        """Add the hub's answer. held: tasks that the worker holds after it. trouble: see `Tally.trouble`."""
        if answer.verdicts:
            verdicts = list(answer.verdicts)
            self.done += verdicts.count(Verdict.DONE)
            self.failed += sum(map(verdicts.count, FAILED))
        self.is_idle = not held
        self.trouble = trouble
