"""Pool for the tasks of an async stage: one event loop in a thread of its own. Only such a stage imports it: asyncio is large."""

from __future__ import annotations

import asyncio
import threading
import time

from crawler.items import Lease
from crawler.stage import Slow
from crawler.worker.handler import Handler
from crawler.worker.held import Held
from crawler.worker.pool import Finished, Tempo, started


class TaskPool:
    """`concurrency` asyncio tasks on one event loop in a thread of its own."""

    def __init__(self, handler: Handler, held: Held, finished: Finished, tempo: Tempo, concurrency: int) -> None:
        self._handler = handler
        self._held = held
        self._finished = finished
        self._tempo = tempo
        self._room = asyncio.Semaphore(concurrency)
        self._unstarted: dict[int, list[Lease]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="stage", daemon=True)
        self._thread.start()

    def submit(self, leases: list[Lease]) -> None:
        self._unstarted[leases[0].token] = leases
        asyncio.run_coroutine_threadsafe(self._work(leases), self._loop)

    def resume(self) -> None:
        """Do nothing: tasks of this pool wait only for room."""

    def widen(self, slow: Slow) -> None:
        """Do nothing: an async stage has no threads."""

    def waiting(self) -> int:
        return 0

    def withdraw(self) -> list[Lease]:
        """Take back the tasks that have not been started."""
        tokens = list(self._unstarted)  # the loop's thread may be starting one of them: who pops it, has it
        return [lease for token in tokens for lease in self._unstarted.pop(token, [])]

    def close(self, seconds: float) -> bool:
        """Cancel what is still running. Returns False if after `seconds` something is still in `process`."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    async def _end(self) -> None:
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        self._loop.stop()

    async def _work(self, leases: list[Lease]) -> None:
        async with self._room:
            if self._unstarted.pop(leases[0].token, None) is None:
                return  # withdrawn
            ready, late = started(self._held, leases)
            began = time.monotonic()
            outcomes = await self._handler.handle_async(ready) if ready else []
            self._tempo.note(leases, time.monotonic() - began)
            self._finished.add(late + outcomes)
