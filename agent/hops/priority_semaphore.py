"""Limit how many hops run at a time on this agent; the hop of highest priority runs first."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.pull.bandwidth import WEIGHTS
from events.options import Priority


class PrioritySemaphore:
    """A semaphore of `limit` slots. Waiters of equal priority are served first come, first served."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = itertools.count()

    @asynccontextmanager
    async def acquired(self, priority: Priority) -> AsyncIterator[None]:
        """Hold a slot for the length of the `async with`."""
        await self._acquire(priority)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, priority: Priority) -> None:
        if self._free:
            self._free -= 1
            return
        slot = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-WEIGHTS[priority], next(self._count), slot))
        try:
            await slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled():  # granted in the same moment
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            *_, slot = heapq.heappop(self._waiting)
            if not slot.done():
                slot.set_result(None)
                return
        self._free += 1
