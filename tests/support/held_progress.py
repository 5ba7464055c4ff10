"""Hold a transfer in its middle, so that a test acts there however fast the transfer and slow the test is."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from agent.pull.mover import HopResult
from agent.pull.progress import ProgressCounter
from events.progress import Progress
from tests.support.waiting import HANG_TIMEOUT_S, until

Reached = Callable[[Progress], object]


class HeldProgress(ProgressCounter):
    """Holds each worker that counts bytes or a file, from the count that is `reached` until `release`."""

    def __init__(self, reached: Reached) -> None:
        super().__init__()
        self._reached = reached
        self._held = threading.Event()
        self._released = threading.Event()

    @property
    def is_held(self) -> bool:
        """Whether the point is reached, also without a count: then nothing needs to be held."""
        return self._held.is_set() or bool(self._reached(self.snapshot()))

    def release(self) -> None:
        self._released.set()

    def add_bytes(self, size: int) -> None:
        super().add_bytes(size)
        self._hold()

    def finish_file(self, path: str) -> None:
        super().finish_file(path)
        self._hold()

    def add_file(self, path: str, size: int) -> None:
        super().add_file(path, size)
        self._hold()

    def _hold(self) -> None:
        if not self._released.is_set() and self.is_held:
            self._held.set()
            assert self._released.wait(HANG_TIMEOUT_S), "nothing released the transfer"


@asynccontextmanager
async def held(
    start: Callable[[ProgressCounter], Coroutine[Any, Any, HopResult]], reached: Reached
) -> AsyncIterator[asyncio.Task[HopResult]]:
    """Start a move and hold it once `reached`; yield its task, and let it go on at the end of the block."""
    progress = HeldProgress(reached)
    moving = asyncio.create_task(start(progress))
    try:
        await until(lambda: moving.done() or progress.is_held)
        if moving.done():
            raise AssertionError(f"it ended before it was to be held: {await moving}")
        yield moving
    finally:
        progress.release()


async def pause(moving: asyncio.Task[HopResult]) -> None:
    """Cancel a held move, and return once its workers are told to stop."""
    moving.cancel()
    for _ in range(5):  # the cancellation passes through a task and a future, one turn of the loop each
        await asyncio.sleep(0)
