"""A crawl on this machine: hub and stages as processes of ours, until nothing is left to do.

    begin ──▶ start hub ──▶ put seeds ──▶ start stages ──▶ watch … drained ──▶ stop stages, then hub ──▶ report

A crawl that was interrupted is resumed from the hub's store; after a finished one the store is set aside and a fresh one made.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite.place import store_path
from crawler.errors import HubError, HubUnreachable, KeyRefused, StorageError, StorageFull, UsageError
from crawler.hub.client import HubClient
from crawler.hub.ready import wait_for
from crawler.items import Stats
from crawler.run.processes.process import Bell, Fork
from crawler.run.processes.supervisor import FROZEN, ORPHANED, STOPPING, Child, Supervisor

if TYPE_CHECKING:
    from crawler.broker.sqlite.broker import SqliteBroker
    from crawler.run.processes.probes import Probed, Probes

log = logging.getLogger(__name__)

OLD = ".previous"  # new name of a finished crawl's store
STATUS = "/status/"  # in the names of counters: an answer was received
T = TypeVar("T")

READY = 15.0  # s a hub may take to answer for the first time


class Beginning(StrEnum):
    """Way a crawl starts."""

    FIRST = "first"  # nothing was here
    RESUMED = "resumed"  # the last one was interrupted
    FRESH = "fresh"  # the last one was finished, or shall be forgotten


def begin(
    data: Path, queues: Sequence[QueueSpec], stages_read: Sequence[str], is_fresh: bool, politeness: Politeness,
    correct: Callable[[SqliteBroker], None] = lambda _: None, *, goes_on: bool = False,
) -> Beginning:  # fmt: skip
    """Look at the store in `data` and make way for a new one unless there is work left in it.

    Tasks leased when the last run died are released: no worker can hold one now. stages_read: the queues of the crawl's stages.
    correct: called with the store of a crawl that is resumed. goes_on: it is resumed even if no work is left.
    Raises UsageError while another hub uses the store.
    """
    path = store_path(data)
    if not path.exists():
        return Beginning.FIRST
    from crawler.broker.sqlite.broker import SqliteBroker  # here, because a first crawl has no use for it in this process

    try:
        broker = SqliteBroker(str(path), queues, politeness)
        try:
            queues_now = broker.stats().queues
            accepted = sum(queue.accepted for queue in queues_now)
            has_fetched = _has_fetched(broker.stats().counters)
            read = [queue for queue in queues_now if queue.name in stages_read]
            has_work = goes_on or any(queue.ready + queue.delayed + queue.leased for queue in read)
            if has_work and not is_fresh:
                broker.expire(None)
                correct(broker)
        finally:
            broker.close()
    except StorageError:
        if not is_fresh:
            raise
        accepted, has_work, has_fetched = 1, False, True  # whatever its content, it shall be set aside
    if has_work and not is_fresh:
        return Beginning.RESUMED
    if not accepted:
        return Beginning.FIRST
    if not has_fetched and Path(f"{path}{OLD}").exists():  # a typo is not to displace a crawl
        for suffix in ("", "-wal"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return Beginning.FRESH
    for suffix in ("", "-wal"):
        part, kept = Path(f"{path}{suffix}"), Path(f"{path}{OLD}{suffix}")
        if part.exists():
            part.rename(kept)
        else:
            kept.unlink(missing_ok=True)  # the log of an older store must not be read into this one
    return Beginning.FRESH


def _has_fetched(counters: Mapping[str, int]) -> bool:
    return any(STATUS in name for name in counters)


class Crawl:
    """The processes of one crawl. Use it in a `with`: they end with it, in order."""

    def __init__(
        self, hub: HubClient, address: str, hub_arguments: Sequence[str], on_line: Callable[[str], None] | None = None,
        fork: Fork | None = None, frozen: float = FROZEN,
    ) -> None:  # fmt: skip
        """hub: a client for `address`, where the hub is to be started with `hub_arguments`.

        on_line, fork, frozen: see `supervisor.Child`.
        """
        self.hub = hub
        self._address = address
        self._hub_arguments = list(hub_arguments)
        self._supervisor = Supervisor(self._died, on_line, fork, frozen)
        self._probed: list[Probed] = []
        self._probes: Probes | None = None  # from the first quarantined task on
        self._hub: Child | None = None
        self._stages: dict[str, list[Child]] = {}
        self.restarts: dict[str, int] = {}
        self.pages = 0  # answers that the hub had counted when it was last asked

    def __enter__(self) -> Crawl:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_hub(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start the hub and wait until it answers; what is called meanwhile may start stages, which wait for it as well.

        Raises ChildFailed when it gives up, UsageError when it stays silent or the address is taken.
        """
        self._refuse_another()
        self._hub = self._supervisor.start("hub", self._hub_arguments, is_endless=True)
        meanwhile()
        try:
            wait_for(self.hub, [], READY, self._supervisor.watch)
        except HubError as error:
            raise UsageError(f"the hub at {self._address} did not answer within {READY:g} s: {error}") from error

    def start_stage(self, name: str, processes: int, arguments: Sequence[str], probed: str = "") -> None:
        """Start a stage's workers, beside those it may have. probed: the queue it reads, if it may have a probe."""
        if probed:
            self._probed = [each for each in self._probed if each[0] != name] + [(name, probed, arguments)]
        workers = self._stages.setdefault(name, [])
        is_alone = processes == 1 and not workers
        for _ in range(processes):
            label = name if is_alone else f"{name} {len(workers) + 1}"
            workers.append(self._supervisor.start(label, ["stage", name, *arguments], is_endless=True))

    def cpu(self, name: str) -> float | None:
        """Return the s of CPU that the workers of a stage have used until now; None if it is not known of all."""
        used = [worker.cpu() for worker in self._stages.get(name, ())]
        known = [seconds for seconds in used if seconds is not None]
        return sum(known) if len(known) == len(used) else None

    def watch(self) -> Stats | None:
        """Look after the processes; the hub's counts, or None while it is being started again. Raises ChildFailed."""
        self._supervisor.watch()
        try:
            stats = self.hub.stats()
        except HubError as error:
            log.debug("no counts this time: %s", error)
            return None
        self.pages = sum(n for name, n in stats.counters.items() if STATUS in name)
        if any(queue.quarantined for queue in stats.queues):
            self._probe(stats)
        return stats

    def insist(self, question: Callable[[], T]) -> T:
        """Return the hub's answer, after a new start of the hub if need be. Raises ChildFailed, and HubError after READY s."""
        give_up = time.monotonic() + READY
        while True:
            self._supervisor.watch()
            if self._hub is not None and self._hub.has_ended:  # for good, which was raised before
                raise HubUnreachable(self._address)
            try:
                return question()
            except HubError as error:
                if time.monotonic() > give_up:
                    raise
                log.debug("no answer this time: %s", error)

    def wait(self, seconds: float, bell: Bell) -> None:
        """Wait until a process ends, the bell is rung, or the time is over."""
        self._supervisor.wait(seconds, bell)

    def is_drained(self, queues: Sequence[str], wait: float = 0.0) -> bool:
        """Look after the processes; whether nothing is left on these queues, as far as can be told. Cheap. Raises ChildFailed.

        wait: s to wait for that; meanwhile the processes are not looked after.
        """
        self._supervisor.watch()
        try:
            return self.hub.drained(queues, wait)
        except (HubError, StorageFull) as error:  # the latter: its disk filled up while it waited
            log.debug("no answer this time: %s", error)
            return False

    def stop_stages(self, *, are_idle: bool = False, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Stop the stages, which finish or release their tasks; if the hub has given up, they cannot release any.

        are_idle: there was nothing left that they could hold. meanwhile: called again and again until they have ended.
        """
        stages, self._stages = [worker for workers in self._stages.values() for worker in workers], {}
        stages += self._probes.children if self._probes is not None else []
        self._probes = None
        self.restarts.update(self._supervisor.restarts())
        has_hub = self._hub is not None and not self._hub.has_ended

        def each_time() -> None:
            if are_idle and has_hub:
                self._end_waits(stages)
            meanwhile()

        self._supervisor.stop(stages, STOPPING if has_hub else ORPHANED, each_time)

    def interrupt(self) -> None:
        """Do nothing: what stages wait for ends when they are stopped. See `DebugCrawl`."""

    def kill(self) -> None:
        """End all processes at once. Nothing is lost: the next run finds what was done. May be called from a signal handler."""
        self._supervisor.kill()

    def stop(self) -> None:
        """Stop all processes, stages first."""
        try:
            self.stop_stages()
        finally:
            self.restarts.update(self._supervisor.restarts())
            self._supervisor.stop()
            self.hub.close()

    def _refuse_another(self) -> None:
        """Raise an error if a hub answers before ours is started: its tasks belong to another crawl."""
        patience, self.hub.patience = self.hub.patience, 0.0
        try:
            self.hub.drained([])
        except KeyRefused:
            log.debug("whoever is at %s has another key", self._address)
        except HubError:
            return
        finally:
            self.hub.patience = patience
        raise UsageError(f"a hub is running at {self._address}; stop it, or give this crawl another hub.address")

    def _probe(self, stats: Stats) -> None:
        """Start what tries quarantined tasks."""
        from crawler.run.processes.probes import Probes  # here, because most crawls have no use for it

        self._probes = self._probes or Probes(self._supervisor, self._probed)
        self._probes.look(stats)

    def _died(self, child: Child, pid: int) -> str | None:
        """Release the tasks of a dead worker. Returns the URLs of these tasks in words; None if it had none."""
        if child is self._hub:
            return None
        from crawler.run.processes.deaths import report_death  # here, because most crawls have no use for it

        try:
            return report_death(self.hub, child, pid)
        except (HubError, StorageFull) as error:
            log.debug("%s died and the hub could not be told (%s); its leases run out by themselves", child.name, error)
            return None

    def _end_waits(self, stages: Sequence[Child]) -> None:
        """Let the hub answer idle workers, which wait there and check only after an answer whether to stop."""
        from crawler.run.processes.deaths import workers_in

        try:
            for name in workers_in(self.hub, [child.pid for child in stages if not child.has_ended]):
                self.hub.expire(name)
        except (HubError, StorageFull) as error:
            log.debug("the workers wait for their answers: %s", error)


def socket_address(data: Path) -> str:
    """Return the address of the hub of `crawler run`: a socket in the data directory, reachable by this user alone."""
    return f"unix:{os.path.abspath(data / 'hub.sock')}"
