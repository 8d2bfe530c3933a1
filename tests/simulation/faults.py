"""What goes wrong in a run, until all is well: some kinds of it, each more or less often, as the seed has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.network import Odds
from tests.simulation.scheduler import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

SHARE = 0.4  # of the kinds of faults, in one run: what happens alone is understood, what happens together is found


class Faults:
    def __init__(self, world: World) -> None:
        self.world = world

    def begin(self) -> None:
        world, random = self.world, self.world.random
        world.network.odds = Odds(
            lost_request=self._some(0.1), lost_answer=self._some(0.1), twice=self._some(0.2), late=self._some(0.1),
            silent=random.random(), latency=random.choice([0.002, 0.05, 1.0]),
        )  # fmt: skip
        for fault in (
            self.worker_dies, self.worker_freezes, self.worker_stops, self.hub_dies, self.power_cut, self.disk_full,
            self.sync_fails, self.wall_clock_jumps, self.false_alarm,
        ):  # fmt: skip
            if random.random() < SHARE:
                self._again(fault, random.choice([2.0, 8.0]))

    def _some(self, most: float) -> float:
        return self.world.random.choice([0.0, 0.0, self.world.random.uniform(0, most)])

    def _again(self, fault: Callable[[], None], every: float) -> None:
        def happen() -> None:
            if not self.world.is_well:
                self.world.referee.note(f"FAULT  {fault.__name__}")
                fault()
                self._again(fault, every)

        self.world.scheduler.at(self.world.random.expovariate(1 / every), happen)

    def _worker(self) -> Process | None:
        return self.world.random.choice(list(self.world.workers)) if self.world.workers else None

    def worker_dies(self) -> None:
        if process := self._worker():
            self.world.kill(process)

    def worker_freezes(self) -> None:
        if process := self._worker():
            self.world.scheduler.freeze(process, self.world.random.uniform(0, self.world.longest_freeze))

    def worker_stops(self) -> None:
        if process := self._worker():
            self.world.workers[process][1].stop()

    def false_alarm(self) -> None:
        """A worker's connections break and it lives."""
        if process := self._worker():
            self.world.hub.lost(process.name)

    def hub_dies(self) -> None:
        self.world.hub.crash()

    def power_cut(self) -> None:
        if self.world.random.random() < 0.5:
            self.world.hub.crash(loses_power=True)
        else:
            self.world.hub.cut_power_after_a_step()

    def disk_full(self) -> None:
        self.world.hub.fill_disk()
        self.world.scheduler.at(self.world.random.uniform(0, 5), self.world.hub.free_disk)

    def sync_fails(self) -> None:
        self.world.hub.disk.is_broken = True

    def wall_clock_jumps(self) -> None:
        self.world.hub.clock.jump(self.world.random.choice([-1, 1]) * self.world.random.choice([60, 3600, 3e8]))
