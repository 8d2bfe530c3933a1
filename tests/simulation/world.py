"""One run: a small web, a hub, workers of three stages, and what goes wrong with them, all from one seed.

    faults for a while ──▶ all is well ──▶ everything must end: drained, and stored what can be reached

The workers, the client, the broker and its writer are the package's own; only time, chance, network and disk are not.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import msgspec

from crawler import broker
from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite import schema
from crawler.errors import CallRefused, HubError, StorageError
from crawler.hub import client
from crawler.items import New
from crawler.worker import held, loop, pool
from crawler.worker.loop import StageHung, Worker
from crawler.worker.routing import Router
from crawler.worker.shared_notes import SharedNotes
from tests.simulation.crawl import Fetch, Parse, Store, draw_site
from tests.simulation.faults import Faults
from tests.simulation.machine import Ballast, Hub
from tests.simulation.network import Client, Network, Odds
from tests.simulation.primitives import installed, stand_ins
from tests.simulation.referee import Referee, Violation
from tests.simulation.scheduler import Process, Scheduler

LEASE = 6.0  # s
DELAY = 0.5  # s between two fetches of one host
MAX_ATTEMPTS = 5
PATIENCE = 600.0  # s in which everything must have ended once all is well
POLL = 3.0  # s of a long poll: the package's own is shorter, and costs a run most of its time
BAD_BOOTS = 0.1  # of the hub's starts end at once in a power cut
BROKER = [import_module(found.name) for found in walk_packages(broker.__path__, "crawler.broker.") if not found.ispkg]
SIMULATED = [loop, held, pool, client, *BROKER]

QUEUES = (
    QueueSpec("urls", keyed=True, polite=True, is_read=True, feeds=("pages",), max_attempts=MAX_ATTEMPTS),
    QueueSpec("pages", is_read=True, feeds=("records",), high_water=4, max_attempts=MAX_ATTEMPTS),
    QueueSpec("records", is_read=True, high_water=6, max_attempts=MAX_ATTEMPTS),
)
STAGES: dict[str, tuple[type[Fetch | Parse | Store], str, tuple[str, ...]]] = {
    "fetch": (Fetch, "urls", ("pages",)), "parse": (Parse, "pages", ("records", "urls")), "store": (Store, "records", ()),
}  # fmt: skip


class World:
    """A run in the making; `run` makes it, and raises Violation."""

    longest_freeze = 3 * LEASE

    def __init__(self, seed: int, folder: Path, bad_boots: float = BAD_BOOTS) -> None:
        """bad_boots: how often the power goes again right after a start."""
        self.scheduler = Scheduler(seed)
        self.random = self.scheduler.random
        self.site = draw_site(self.random)
        self.hosts = self.random.randint(1, 4)
        self.visited: set[int] = set()
        self.referee = Referee(self.site, DELAY, MAX_ATTEMPTS, lambda: self.scheduler.now)
        durability = self.random.choice(["normal", "normal", "full"])
        self.hub = Hub(self.scheduler, self.referee, folder, QUEUES, DELAY, durability)
        self.hub.bad_boots = bad_boots
        self.network = Network(self.scheduler, self.hub)
        self.workers: dict[Process, tuple[str, Worker]] = {}
        self._born = 0
        self.is_well = False

    def run(self) -> None:
        self.hub.start()
        producer = Process("producer")
        self.scheduler.spawn(producer, self._produce)
        for kind in STAGES:
            for _ in range(self.random.randint(1, 2)):
                self.start_worker(kind)
        Faults(self).begin()
        end = self.random.uniform(1, 40)
        self.scheduler.run(end, self._is_over)
        self.is_well = True
        self.network.odds = Odds()
        self.hub.free_disk()
        self.hub.bad_boots = 0.0
        self.referee.note("all is well from here on")
        self.scheduler.run(end + PATIENCE, self._is_over)
        if not self.referee.violation:
            self.referee.must(self._has_ended(), f"not drained {PATIENCE} s after the last fault")
            self.referee.finish()
        if self.referee.violation:
            raise Violation(self.referee.violation)

    def _is_over(self) -> bool:
        self.referee.must(not self.scheduler.is_spinning, "something spins: much happens, and no time passes")
        return bool(self.referee.violation) or (self.is_well and self._has_ended())

    def _has_ended(self) -> bool:
        return self.referee.is_drained and self.referee.acked.issuperset(self.site.seeds)

    # ---- who takes part

    def host(self, n: int) -> str:
        return f"h{n % self.hosts}"

    def _gatekeeper(self, n: int) -> New:
        return New("urls", msgspec.msgpack.encode(n), key=b"%016d" % n, host=self.host(n))

    def _produce(self) -> None:
        for n in self.site.seeds:
            while True:
                try:
                    Client(self.network).put([self._gatekeeper(n)])
                    break
                except (HubError, StorageError) as error:
                    self.referee.note(f"producer: {error}")
                    self.scheduler.sleep(self.random.uniform(0, 1))

    def start_worker(self, kind: str) -> None:
        self._born += 1
        process = Process(f"{kind}-{self._born}")
        self.scheduler.spawn(process, self._work, process, kind)

    def _work(self, process: Process, kind: str) -> None:
        stage, input, outputs = STAGES[kind]
        side = Client(self.network)
        made = Worker(
            stage(self), int, False, Router(kind, outputs, {"urls": self._gatekeeper}), broker=Client(self.network, process.name),
            side=side, input=input, shared=SharedNotes(side), worker=process.name, lease=LEASE,
        )  # fmt: skip
        self.workers[process] = (kind, made)
        self.referee.note(f"{process.name} starts")
        try:
            made.run()
        except (HubError, StorageError, StageHung) as error:
            self.referee.note(f"{process.name} ends: {error}")
            self.referee.must(not isinstance(error, CallRefused), f"{process.name} was refused: {error}")
            self.kill(process)
        else:
            self.referee.note(f"{process.name} ends in peace")
            self.bury(process)

    def kill(self, process: Process) -> None:
        """It ends at once; the hub hears of it soon, or never."""
        if not process.is_dead:
            self.referee.note(f"{process.name} dies")
            self.bury(process)
            if self.random.random() < 0.7:
                self.scheduler.at(self.random.uniform(0, 0.2), lambda: self.hub.lost(process.name))

    def bury(self, process: Process) -> None:
        """Another takes its place, as the supervisor of the package has it."""
        self.scheduler.kill(process)
        kind, _ = self.workers.pop(process)
        self.scheduler.at(self.random.uniform(0.1, 3.0), lambda: self.start_worker(kind))


class _Ear(logging.Handler):
    """What the broker calls a fault of its own is one, however well the run ends."""

    def __init__(self, referee: Referee) -> None:
        super().__init__(logging.ERROR)
        self._referee = referee

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._referee.fail(f"{record.getMessage()}: {record.exc_info[1]!r}")


def replay(seed: int, bad_boots: float = BAD_BOOTS) -> tuple[list[str], str | None]:
    """Run one seed: what happened, and the promise that was broken with the command that shows it."""
    command = f"python -m tests.simulation --seed {seed} -v"
    if bad_boots != BAD_BOOTS:
        command += f" --bad-boots {bad_boots}"
    shm = Path("/dev/shm")  # noqa: S108  (memory, where there is such a thing: a run syncs nothing for real)
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=shm if shm.is_dir() else None))
    world = World(seed, folder, bad_boots)
    names = stand_ins(world.scheduler, world.hub.disk) | {"Ballast": lambda _: Ballast(world.hub)}
    try:
        with (
            _listening(world.referee), installed(SIMULATED, names), installed([schema], {"sqlite3": world.hub.sqlite}),
            installed([loop], {"POLL": POLL}),
        ):  # fmt: skip
            try:
                world.run()
            finally:
                world.scheduler.shut()
                world.hub.shut()
    except Violation as violation:
        return world.referee.lines, f"{violation}\n    {command}"
    except Exception as error:
        error.add_note(command)
        raise
    finally:
        shutil.rmtree(folder)
    return world.referee.lines, None


def outcome(seed: int, bad_boots: float = BAD_BOOTS) -> str | None:
    """What was broken in this run, if anything."""
    return replay(seed, bad_boots)[1]


@contextmanager
def _listening(referee: Referee) -> Iterator[None]:
    log = logging.getLogger("crawler")
    level, propagates, ear = log.level, log.propagate, _Ear(referee)
    log.setLevel(logging.ERROR)
    log.propagate = False
    log.addHandler(ear)
    try:
        yield
    finally:
        log.removeHandler(ear)
        log.setLevel(level)
        log.propagate = propagates
