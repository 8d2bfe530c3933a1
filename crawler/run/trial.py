"""Run one item through one stage without a hub, and show the stage's output or why there is none.

item ──encode, decode as the stage annotates──▶ process ──▶ its output, checked as for a queue
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from msgspec import Struct, field

from crawler.codec.bodies import decoder, encode, unfit
from crawler.errors import UsageError
from crawler.pipeline import graph
from crawler.pipeline.build import Pipeline, StageSpec
from crawler.pipeline.plugins import item_schema
from crawler.stage import Retry, Stage, To
from crawler.wording import places
from crawler.worker import forked
from crawler.worker.routing import Misgiven, Router, many, misgiven, seconds


class Trial(Struct):
    """The result of one item. `given` holds what the stage gave, also if it failed afterwards."""

    given: list[Any] = field(default_factory=list)
    failure: BaseException | None = None  # may be Drop, Retry or GiveUp


def attempt(spec: StageSpec, stage: Stage, item: Any) -> Trial:
    """Let an opened stage process one item."""
    trial = Trial()
    forked.watch()
    schema, is_async = item_schema(type(stage))
    router = Router(spec.name, spec.outputs, {}, input=spec.input)
    try:
        found = _converted(item, spec.name, schema)
        result = stage.process([found] if stage.facts.batch else found)
        for each in _waited_for(result, stage.process) if is_async else many(result, stage.process):
            if each is not None:
                try:
                    router.take(each)  # raises for an item that its queue cannot take
                except Exception as error:
                    wrong = misgiven(error, result, stage.process)
                    if not wrong.is_of_item:
                        raise wrong from error
                    trial.failure = trial.failure or wrong
                    continue
                trial.given.append(each)
    except KeyboardInterrupt:
        raise
    except Retry as retry:
        trial.failure = _checked(retry)
    except BaseException as error:  # noqa: BLE001  any exception of a stage is shown
        trial.failure = error
    finally:
        forked.end_if_copy(spec.name)
    return trial


def _checked(retry: Retry) -> BaseException:
    """Return the failure that a Retry is: itself, or the mistake in its times."""
    try:
        seconds("Retry with an after", retry.after)
        seconds("Retry with a rest", retry.rest)
    except ValueError as wrong:
        return Misgiven(wrong, places.place(retry))
    return retry


def _converted(item: Any, stage: str, schema: Any) -> Any:
    """Return the item as the stage gets it from a queue. Raises Unfit if it does not fit the annotation."""
    body = encode(item)
    try:
        return decoder(schema).decode(body)
    except Exception as error:
        raise unfit(error, stage, schema, body) from error


def route(pipeline: Pipeline, start: str, name: str) -> list[StageSpec]:
    """Return the shortest list of stages from a queue to this stage, including it. Raises UsageError if none leads there."""
    goal = pipeline.stage(name)
    if goal.input == start:
        return [goal]
    if (before := _before(pipeline, start, goal.input)) is not None:
        return [*route(pipeline, start, before.name), goal]
    raise UsageError(f"{name} reads {goal.input!r}, which cannot be reached from {start!r}; give it its own items: FILE.jsonl")


def for_queue(given: Sequence[Any], spec: StageSpec, queue: str) -> list[Any]:
    """Return the items that a stage gave for this queue."""
    first = spec.outputs[0] if spec.outputs else ""
    found = [each if isinstance(each, To) else To("", each) for each in given]
    return [to.item for to in found if (to.queue or first) == queue]


def _before(pipeline: Pipeline, start: str, queue: str) -> StageSpec | None:
    """Return the stage nearest to the start that fills this queue; None if no stage does."""
    edges: dict[str, list[str]] = {}
    for spec in pipeline.stages.values():
        edges.setdefault(spec.input, []).extend(spec.outputs)
    order = graph.flow(edges, [start])
    if queue not in order:
        return None
    nearer = order[: order.index(queue)]  # breadth first: at least one of them leads to `queue`
    return min((spec for spec in pipeline.writers(queue) if spec.input in nearer), key=lambda spec: nearer.index(spec.input))


def _waited_for(result: Any, process: Callable[..., Any]) -> list[Any]:
    import asyncio  # here, because only async stages use it

    async def all_of_it() -> list[Any]:
        if isinstance(result, AsyncIterator):
            return [item async for item in result]
        return list(many(await result, process))

    return asyncio.run(all_of_it())
