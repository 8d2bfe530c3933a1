"""What is crawled in a run, and the stages that do it: as short as a stage can be, and as unlucky as the site has it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any

from crawler.stage import GiveUp, Pace, Retry, Stage, To
from tests.simulation.referee import Site

if TYPE_CHECKING:
    from tests.simulation.world import World

HANG = 12.0  # s in process after which an item counts as hung


def draw_site(random: Random) -> Site:
    """A few hosts, links at random, and some pages that are no good to who fetches them."""
    size = random.randint(4, 24)
    links = {n: sorted(random.sample(range(size), random.randint(0, min(4, size)))) for n in range(size)}
    kinds = ["gone", "flaky", "resting", "hanging", "poison"]
    trouble = {n: random.choice(kinds) for n in range(size) if random.random() < 0.12}
    return Site(links, trouble, sorted(random.sample(range(size), random.randint(1, 3))))


class Fetch(Stage):
    hang = HANG

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.concurrency = world.random.randint(1, 3)  # type: ignore[misc]  # of this one worker

    def process(self, n: int) -> Iterator[Any]:
        world, random = self.world, self.world.random
        world.scheduler.sleep(random.uniform(0, 0.3))
        kind = world.site.trouble.get(n, "")
        if kind == "poison":
            world.kill(world.scheduler.process)
            world.scheduler.sleep(0.0)
        if kind == "gone":
            raise GiveUp("410")
        if kind and n not in world.visited:  # what helps against the others is to try again
            world.visited.add(n)
            if kind == "hanging":
                world.scheduler.sleep(10 * HANG)
            raise Retry("503", after=1.0, rest=2.0) if kind == "resting" else ConnectionError("reset")
        if random.random() < 0.1:
            yield Pace(world.host(n), rest=random.uniform(0, 2))
        yield n


class Parse(Stage):
    hang = HANG

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def process(self, n: int) -> Iterator[Any]:
        self.world.scheduler.sleep(self.world.random.choice([0.0, 0.01, 0.5]))
        yield n
        yield from (To("urls", link) for link in self.world.site.links[n])


class Store(Stage):
    batch = 4
    hang = HANG

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def process(self, records: list[int]) -> None:
        self.world.scheduler.sleep(self.world.random.uniform(0, 0.1))
        self.world.referee.sink.update(records)  # keyed: twice is once
