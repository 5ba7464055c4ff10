"""The keys of a running agent are replaced: asked for, or because they are old. What runs is not interrupted.

New keys are made here, their certificate is asked for with the API key, all is written to the disk; then the
link connects anew, with them. Once the broker has taken a Hello so, the old ones are forgotten. As long as it
has not, the old ones are tried in turn: whichever works keeps the agent at work.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.cloud.messages import BrokerConnection, BrokerEndpoint, LinkError
from agent.errors import HostError
from agent.identity.keys import Generation, Keyring

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RotationTimeouts:
    """Seconds."""

    trial: float = 60.0
    """Until keys with which no Hello was taken are given up for the others."""
    again: float = 600.0
    """Until new keys that did not work are tried again, and the age is looked at again."""
    tries: int = 3
    """How often new keys are tried, while the old ones work, before they are given up for good."""


DEFAULT_TIMEOUTS = RotationTimeouts()


class Rotation:
    """One agent's. `run` is a task of the service."""

    def __init__(
        self,
        ring: Keyring,
        link: BrokerConnection,
        *,
        endpoint: Callable[[Generation], BrokerEndpoint],
        renew: Callable[[Keyring], Generation],
        registered_at: datetime,
        age: timedelta,
        patience: RotationTimeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        """`renew` makes a new generation, in a thread; HostError, OSError or ValueError if it cannot be had
        now."""
        self._ring = ring
        self._link = link
        self._endpoint = endpoint
        self._renew = renew
        self._registered_at = registered_at
        self._age = age
        self._patience = patience
        self._asked = asyncio.Event()
        self._heard = asyncio.Event()
        self._over: str | None = None
        self._used = ring.current

    @property
    def lane_certificate(self) -> str:
        """PEM, of the generation that the link connects with."""
        return self._used.lane.certificate.read_text()

    def request(self) -> None:
        """Replace the keys now; once is enough while that is going on."""
        if self._ring.unproven is None:
            self._asked.set()

    def confirm(self, certificate: str) -> None:
        """The broker has taken a Hello over this certificate."""
        self._over = certificate
        self._heard.set()

    def tidy(self, lanes_in_use: set[str]) -> None:
        self._ring.tidy(lanes_in_use)

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._prove()
            await self._wait(self._patience.again)
            if self._asked.is_set() or self._is_old():
                await self._rotate()
                self._asked.clear()

    def _is_old(self) -> bool:
        return datetime.now(UTC) - (self._ring.current.made_at or self._registered_at) > self._age

    async def _rotate(self) -> None:
        try:
            made = await asyncio.to_thread(self._renew, self._ring)
        except (HostError, OSError, ValueError) as error:
            log.warning("keys not replaced", extra={"reason": str(error)})
            return
        self._ring.use(made)
        log.info("keys made", extra={"certificate": made.fingerprint})

    async def _prove(self) -> None:
        """Returns when there is only one generation left that is known to work, or has to."""
        vain = 0
        while pair := self._ring.unproven:
            new, old = pair
            if await self._works(new):
                self._ring.use(new)
                self._ring.forget_old()
                log.info("keys replaced", extra={"certificate": new.fingerprint})
            elif await self._works(old):
                vain += 1
                log.warning("new keys do not work yet", extra={"tries": vain})
                if vain >= self._patience.tries:
                    self._ring.drop(new)
                else:
                    await asyncio.sleep(self._patience.again)

    async def _works(self, keys: Generation) -> bool:
        """Is a Hello taken over a connection with these?"""
        await self._reconnect(keys)
        try:
            async with asyncio.timeout(self._patience.trial):
                while self._over != keys.fingerprint:
                    await self._heard.wait()
                    self._heard.clear()
        except TimeoutError:
            return False
        return True

    async def _reconnect(self, keys: Generation) -> None:
        if keys == self._used:
            return
        self._over, self._used = None, keys
        try:
            await self._link.reconnect(self._endpoint(keys))
        except LinkError as error:
            log.warning("keys cannot be used", extra={"reason": str(error)})

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._asked.wait(), seconds)
        except TimeoutError:
            return
