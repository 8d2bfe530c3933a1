"""A stage that forks and comes back twice: the copy is ended, the worker goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from crawler import Stage
from crawler.items import Lease
from crawler.pipeline.build import StageSpec
from crawler.pipeline.plugins import item_schema
from crawler.run.trial import attempt
from crawler.stage import Drop, GiveUp, Retry
from crawler.worker import forked
from crawler.worker.chain import Chain
from crawler.worker.chain_link import Link
from crawler.worker.handler import Handler
from crawler.worker.routing import Router

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


def returns() -> Any:
    return 1


def gives_nothing() -> Any:
    return None


def fails() -> Any:
    raise KeyError("x")


def exits() -> Any:
    sys.exit(0)


def drops() -> Any:
    raise Drop("x")


def retries() -> Any:
    raise Retry(after=1)


def gives_up() -> Any:
    raise GiveUp("x")


WAYS = [returns, gives_nothing, fails, exits, drops, retries, gives_up]


class Forks(Stage):
    """Fork for each item. `way`: how the copy leaves `process`."""

    way: Callable[[], Any] = staticmethod(returns)

    def process(self, number: int) -> Any:
        self.child = os.fork()
        if self.child == 0:
            return self.way()
        return number + 1


class Yields(Forks):
    def process(self, number: int) -> Any:
        yield 7
        self.child = os.fork()
        yield self.way() if self.child == 0 else number + 1


class Waits(Forks):
    async def process(self, number: int) -> Any:
        self.child = os.fork()
        return self.way() if self.child == 0 else number + 1


class First(Stage):
    def process(self, number: int) -> int:
        return number


def by_handler(stage: Stage) -> None:
    lease = Lease(1, 1, 1, "q", msgspec.msgpack.encode(1), None, "", 0)
    (outcome,) = Handler(stage, item_schema(type(stage))[0], Router("it", ("out",), {})).handle([lease])
    assert outcome.done is not None


def by_chain(stage: Stage) -> None:
    forked.watch()  # as the handler of the chain does
    chain = Chain([Link("first", First(), ("between",), "between"), Link("it", stage, ("out",), "")])
    assert [msgspec.msgpack.decode(new.item) for new in chain.process(1)][-1] == 2


def by_trial(stage: Stage) -> None:
    spec = StageSpec(name="it", use="", input="q", outputs=("out",), processes=1, concurrency=1, chain=None, options_table={})
    assert attempt(spec, stage, 1).given[-1] == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("run", "kind"), [
    (by_handler, Forks), (by_handler, Yields), (by_chain, Forks), (by_chain, Yields), (by_trial, Forks), (by_trial, Yields),
    (by_trial, Waits),
])  # fmt: skip
def test_a_copy_that_leaves_the_stage_is_ended_and_the_worker_goes_on(run, kind, way):
    stage = kind()
    stage.way = way
    here = os.getpid()
    try:
        run(stage)
    finally:
        if os.getpid() != here:
            os._exit(9)  # the copy has come back to this test

    assert os.waitstatus_to_exitcode(os.waitpid(stage.child, 0)[1]) == forked.CODE


@pytest.mark.parametrize("run", [by_handler, by_chain, by_trial])
def test_a_copy_that_ends_by_itself_has_its_own_exit_code(run):
    stage = Forks()
    stage.way = lambda: os._exit(5)

    run(stage)

    assert os.waitstatus_to_exitcode(os.waitpid(stage.child, 0)[1]) == 5
