"""Graph of queues: an edge goes from a queue to those that its reader puts to. Their contents do not matter here."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping

Edges = Mapping[str, Collection[str]]


def flow(edges: Edges, sources: Iterable[str]) -> list[str]:
    """The queues that work on the sources may come to, each once, breadth first from one source after the other."""
    order: dict[str, None] = {}
    for source in sources:
        waiting = deque([source])
        while waiting:
            queue = waiting.popleft()
            if queue not in order:
                order[queue] = None
                waiting.extend(edges.get(queue, ()))
    return list(order)


def gates(edges: Edges, bounded: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return, for each queue, the queues that hold back its reader while they are full.

    Only a bounded queue is a gate, and none that would close a cycle: then of all full queues one has no full gate, its
    reader is given work, and the pipeline moves. Give the queues in the order of the flow: then the edge that leads back is left
    out.
    """
    found: dict[str, tuple[str, ...]] = dict.fromkeys(edges, ())
    for queue, outputs in edges.items():
        for output in outputs:
            if output in bounded and output not in found[queue] and queue not in flow(found, [output]):
                found[queue] = (*found[queue], output)
    return found


def cycle(edges: Edges) -> list[str]:
    """Return the queues of one cycle in order, the first again at the end; [] if the graph has none."""
    for start in edges:
        before: dict[str, str] = {}
        for queue in flow(edges, [start]):
            for output in edges.get(queue, ()):
                before.setdefault(output, queue)
        if start in before:
            path = [start]
            while len(path) == 1 or path[-1] != start:
                path.append(before[path[-1]])
            return path[::-1]
    return []
