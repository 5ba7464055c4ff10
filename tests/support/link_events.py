"""Wait for what a link to the broker tells. On a busy machine, an attempt to connect may time out first."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from agent.cloud.messages import Connected, Disconnected
from tests.support.waiting import HANG_TIMEOUT_S

LinkEvent = TypeVar("LinkEvent", Connected, Disconnected)


async def next_event(events: AsyncIterator[Connected | Disconnected], kind: type[LinkEvent]) -> LinkEvent:
    """Return the next event of a kind."""
    async with asyncio.timeout(HANG_TIMEOUT_S):
        while not isinstance(event := await anext(events), kind):
            pass
        return event
