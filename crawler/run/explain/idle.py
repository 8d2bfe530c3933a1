"""Explain in one sentence why little happens in a crawl; "" while it works. Takes counts, returns text, opens nothing.

    full disk · full queue · queue without reader · back-off · waiting for hosts · a task that does not end

The first cause that applies is reported. Each stands before the ones that it may produce.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from crawler.config.load import Config
from crawler.items import QueueStats, Stats, WorkerStats
from crawler.machine.room import AT_WORK, LACKS, PLACES, is_note
from crawler.run.explain.waits import SLOW, not_answered, short, slowest, why_hosts_wait
from crawler.run.next_commands import PLAIN, Hint
from crawler.wording.counting import agree, counted

STUCK: Final = 10.0  # s; a task that has been in process for longer is reported, because few pages take so long
NEWS: Final = 3.0  # s after the hub's start before a queue that no worker has read is reported
SILENT: Final = 5.0  # s without a call after which a worker that holds tasks is reported: it calls several times a second
ASKED: Final = 30.0  # s; a worker that is alive has called within this time
READERS: Final = {"urls": "fetch", "pages": "parse", "records": "store", "task": "square"}  # used if no pipeline is given
_SIGN = "+"  # between the names of chained stages


Explain = Callable[[Stats], str]


def explainer(config: Config, hint: Hint, *, starts_stages: bool = False, is_by_hand: bool = False) -> Explain:
    """Return `idle_reason` bound to the pipeline of this configuration.

    starts_stages: the command that asks starts them itself, so a person need not be told to. is_by_hand: see `why_hosts_wait`.
    """
    from crawler.pipeline.build import build

    stages = [] if starts_stages else list(build(config).stages.values())
    readers = {stage.input: stage.name for stage in reversed(stages)}
    return lambda stats: idle_reason(stats, hint, readers, is_by_hand=is_by_hand)


def at_rest(stats: Stats, hint: Hint, *, is_of_run: bool) -> str:
    """Return what goes on with a crawl that no hub runs; "" if nothing is left to do. is_of_run: `crawler run` began it."""
    if limit := next((queue.spent for queue in stats.queues if queue.spent and queue.ready), ""):
        again = hint(f"run -s {limit.partition(' ')[0]}=N --change")
        return f"stopped: the limit {limit} is reached; '{again}' goes on with a higher one"
    if stats.is_drained:
        return ""
    return f"interrupted; '{hint('run')}' goes on" if is_of_run else f"no hub runs; '{hint('hub')}' goes on, with its stages"


def idle_reason(
    stats: Stats, hint: Hint = PLAIN, readers: dict[str, str] | None = None, *, is_by_hand: bool = False
) -> str:  # fmt: skip
    """Return the reason, or "". hint: completes commands. readers: the stage that reads each queue. is_by_hand: of the hub."""
    rules: tuple[Callable[[], str], ...] = (
        lambda: _disk(stats),
        lambda: _no_room(stats),
        lambda: _spent(stats),
        lambda: _full(stats, hint, READERS if readers is None else readers),
        lambda: _unread(stats, hint, READERS if readers is None else readers),
        lambda: _slow_hosts(stats),
        lambda: _at_work(stats),
        lambda: _frontier(stats, hint, is_by_hand=is_by_hand),
        lambda: _stuck(stats),
        lambda: _back_off(stats.queues),
    )
    return next((reason for rule in rules if (reason := rule())), "")


def why_frontier_waits(stats: Stats, hint: Hint = PLAIN, *, is_by_hand: bool = False) -> str:
    """Return why the stage that reads the frontier has nothing to do, or "". What other queues wait for is left out."""
    frontier = [queue for queue in stats.queues if queue.polite]
    rules: tuple[Callable[[], str], ...] = (
        lambda: _disk(stats),
        lambda: _spent(stats),
        lambda: _slow_hosts(stats),
        lambda: _at_work(stats),
        lambda: _frontier(stats, hint, is_by_hand=is_by_hand),
        lambda: _back_off(frontier),
    )
    return next((reason for rule in rules if (reason := rule())), "")


def _disk(stats: Stats) -> str:
    full = "no room on the hub's disk: no task is started until there is; nothing is lost, free some space and it goes on by itself"
    return full if stats.is_short else ""


def _no_room(stats: Stats) -> str:
    """Report a worker that waits for room on the disk of its output, or whose machine lacks something."""
    waiting = next((worker for worker in _troubled(stats) if not is_note(worker.trouble)), None)
    if waiting is None:
        return ""
    stage = waiting.name.partition("@")[0].replace(_SIGN, " + ")
    return f"{stage} {waiting.trouble}" if waiting.trouble.startswith(LACKS) else f"{stage} waits for room: {waiting.trouble}"


def _slow_hosts(stats: Stats) -> str:
    """Report workers most of whose places are held by slow hosts."""
    worker = next((worker for worker in _troubled(stats) if PLACES in worker.trouble), None)
    return "" if worker is None else f"{worker.name.partition('@')[0].replace(_SIGN, ' + ')}: {worker.trouble}"


def at_work(stats: Stats) -> str:
    """Return which stage has been at one item for some seconds, or which worker does not call; "" if there is none."""
    slow = next((worker.trouble for worker in _troubled(stats) if AT_WORK in worker.trouble), "")
    return _silent(stats) or slow


def _silent(stats: Stats) -> str:
    """Report a worker that holds tasks and does not call: its process is stopped, or busy with one long piece of work."""
    worker = next((worker for worker in stats.workers if worker.leased and worker.is_heard and SILENT < worker.seen < ASKED), None)
    if worker is None:
        return ""
    stage = worker.name.partition("@")[0].replace(_SIGN, " + ")
    return f"{stage} has given no sign of life for {worker.seen:.0f} s and holds {counted(worker.leased, 'task')}"


def _at_work(stats: Stats) -> str:
    """Report a slow stage where it would look as if its host did not answer."""
    return at_work(stats) if slowest(stats.hosts, SLOW) else ""


def _troubled(stats: Stats) -> list[WorkerStats]:
    return [worker for worker in stats.workers if worker.trouble and worker.seen < ASKED]


def _spent(stats: Stats) -> str:
    """Report a limit of the whole crawl that is reached."""
    queue = next((queue for queue in stats.queues if queue.spent and queue.ready), None)
    return "" if queue is None else f"{queue.name} waits: the limit {queue.spent} is reached"


def disk_trouble(stats: Stats) -> str:
    """Return what a crawl that is stopped could not do for lack of room; "" if there was room."""
    if stats.is_short:
        return "there was no room on the hub's disk"
    return _no_room(stats).replace(" waits for room", " waited for room").replace(" is short of", " was short of")


def _full(stats: Stats, hint: Hint, readers: dict[str, str]) -> str:
    """Report a full queue downstream and, if known, why it is not emptied."""
    queues = {queue.name: queue for queue in stats.queues}
    for queue in stats.queues:
        full = queues.get(queue.full)
        if not queue.ready or full is None:
            continue
        why = _nobody(full, stats.workers, hint, readers) if stats.uptime > NEWS else ""
        return f"{queue.name} waits: {queue.full} is full" + (f"; {why}" if why else _held(full, "; "))
    return ""


def _unread(stats: Stats, hint: Hint, readers: dict[str, str]) -> str:
    """Report a queue that has ready tasks and a stage that reads it, but no worker has asked for them."""
    if stats.uptime <= NEWS:
        return ""
    for queue in stats.queues:
        if not queue.is_read or not queue.ready or _is_in_hand(queue, stats.workers):
            continue
        if why := _nobody(queue, stats.workers, hint, readers):
            return why
    return ""


def _is_in_hand(queue: QueueStats, workers: Sequence[WorkerStats]) -> bool:
    """Tell whether tasks of the queue are leased, other than to workers that have not called since the hub was started."""
    return queue.leased > sum(worker.leased for worker in workers if not worker.is_heard)


def _nobody(queue: QueueStats, workers: Sequence[WorkerStats], hint: Hint, readers: dict[str, str]) -> str:
    """Report that no worker reads this queue, with the command to start one; "" if a worker reads it."""
    if any(worker.queue == queue.name and worker.seen < ASKED for worker in workers):
        return ""
    stage = readers.get(queue.name, "")
    start = f"; start '{hint(f'stage {stage}')}'" if stage else ""
    noun = _noun(queue)
    return f"{counted(queue.ready, noun)} {agree(queue.ready, 'waits', 'wait')} on {queue.name}: no worker reads it{start}"


def _frontier(stats: Stats, hint: Hint, *, is_by_hand: bool) -> str:
    """Report why no host may be asked now, by `waits`."""
    frontier = next((queue for queue in stats.queues if queue.polite and (queue.ready or queue.leased)), None)
    return "" if frontier is None or stats.hosts_open else why_hosts_wait(stats, hint, is_by_hand=is_by_hand)


def _stuck(stats: Stats) -> str:
    """Report a task that has been in process for very long while nothing else is ready on its queue."""
    if host := slowest(stats.hosts, STUCK):
        return not_answered(host)
    queues = [queue for queue in stats.queues if queue.longest > STUCK]
    if not queues:
        return ""
    oldest = max(queues, key=lambda queue: queue.longest)
    if any(worker.name == oldest.holder and not worker.is_heard for worker in stats.workers):
        what = f"1 {_noun(oldest)} of the queue {oldest.name}"
        return f"{what} is held by {oldest.holder}, which is gone; another worker gets it soon"
    return at_work(stats) or _held(oldest, "")


def _held(queue: QueueStats, sign: str) -> str:
    """Describe the oldest lease of a queue; "" if it is not old enough to mention."""
    if queue.longest <= STUCK:
        return ""
    stage, _, where = queue.holder.partition("@")
    who = f" in {stage.replace(_SIGN, ' + ')} (worker {queue.holder})" if where else ""
    return f"{sign}1 {_noun(queue)} of the queue {queue.name} has been in process for {queue.longest:.0f} s{who}"


def _back_off(queues: Sequence[QueueStats]) -> str:
    """Report that all remaining tasks of a queue wait for their next attempt."""
    for queue in queues:
        if queue.delayed == queue.suspects and queue.delayed and not queue.ready and not queue.leased:
            why = f": {short(queue.failure)}" if queue.failure else ""
            noun = _noun(queue)
            return f"{counted(queue.delayed, noun)} {agree(queue.delayed, 'waits', 'wait')} to be tried again by itself{why}"
        if queue.delayed and not queue.ready and not queue.leased:
            when = f"in {queue.due:.0f} s" if queue.due >= 1 else "within 1 s"
            why = f": {short(queue.failure)}" if queue.failure else ""
            noun = _noun(queue)
            return f"{counted(queue.delayed, noun)} {agree(queue.delayed, 'waits', 'wait')} to be tried again {when}{why}"
    return ""


def _noun(queue: QueueStats) -> str:
    return "URL" if queue.polite else "task"
