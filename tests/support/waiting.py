"""Wait for a condition. How long it may take only guards against hanging: no test asserts a speed."""

import asyncio
from collections.abc import Callable

HANG_TIMEOUT_S = 600.0
"""Seconds after which what a test waits for hangs: far more than it takes on the busiest machine."""


async def until(true: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(HANG_TIMEOUT_S):
        while not true():  # noqa: ASYNC110 - threads change it, who know of no event
            await asyncio.sleep(0.01)
