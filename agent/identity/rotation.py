"""Replace the keys of a running agent, on request or because they are old, without interrupting hops.

New keys are created here, their certificate is requested with the API key, and all is written to the disk;
then the link reconnects with them. Once the broker has accepted a Hello over that connection, the old keys
are deleted. Until then old and new keys are tried in turn, so that the agent keeps working.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509

from agent.cloud.messages import BrokerConnection, BrokerEndpoint, LinkError
from agent.errors import HostError
from agent.identity.key_files import KeyFileError, read_key_file
from agent.identity.keys import Generation, Keyring

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RotationSchedule:
    """When keys are replaced, and how long new ones are tried."""

    max_age: timedelta
    """Age at which keys are replaced."""
    trial_timeout_s: float = 60.0
    """Seconds until keys with which no Hello was accepted are replaced by the others."""
    retry_interval_s: float = 600.0
    """Seconds until new keys that did not work are tried again, and between two checks of the age."""
    max_attempts: int = 3
    """Attempts with new keys, while the old ones work, before they are deleted."""


class Rotation:
    """One agent's key rotation. `run` is a task of the service."""

    def __init__(
        self,
        keyring: Keyring,
        link: BrokerConnection,
        *,
        endpoint: Callable[[Generation], BrokerEndpoint],
        renew: Callable[[Keyring], Generation],
        registered_at: datetime,
        schedule: RotationSchedule,
    ) -> None:
        """Create a rotation.

        `renew` creates a new generation, in a thread; it raises HostError, OSError or ValueError if that is
        not possible now.
        """
        self._keyring = keyring
        self._link = link
        self._endpoint = endpoint
        self._renew = renew
        self._registered_at = registered_at
        self._schedule = schedule
        self._requested = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._confirmed_certificate: str | None = None
        self._active = keyring.current

    @property
    def lane_certificate(self) -> str:
        """Return the lane certificate (PEM) of the generation that the link uses."""
        return self._active.lane.certificate.read_text()

    @property
    def certificate_end(self) -> datetime | None:
        """Return when the device certificate that the link uses expires; None if it cannot be read."""
        try:
            pem = read_key_file(self._active.device_certificate)
            return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
        except (KeyFileError, ValueError):
            return None

    def request(self) -> None:
        """Replace the keys now; further requests during a replacement are ignored."""
        if self._keyring.unproven is None:
            self._requested.set()

    def confirm(self, certificate: str) -> None:
        """Record that the broker has accepted a Hello over a connection with this certificate."""
        self._confirmed_certificate = certificate
        self._confirmed.set()

    def tidy(self, lanes_in_use: set[str]) -> None:
        """Delete old lane certificates that no hop uses."""
        self._keyring.tidy(lanes_in_use)

    async def rotate_when_due(self) -> None:
        """Replace the keys whenever needed, forever."""
        while True:
            await self._settle_on_working_keys()
            await self._wait(self._schedule.retry_interval_s)
            if self._requested.is_set() or self._is_old():
                await self._rotate()
                self._requested.clear()

    def _is_old(self) -> bool:
        return (
            datetime.now(UTC) - (self._keyring.current.made_at or self._registered_at)
            > self._schedule.max_age
        )

    async def _rotate(self) -> None:
        try:
            generation = await asyncio.to_thread(self._renew, self._keyring)
        except (HostError, OSError, ValueError) as error:
            log.warning("keys not replaced", extra={"reason": str(error)})
            return
        self._keyring.use(generation)
        log.info("new keys created", extra={"certificate": generation.fingerprint})

    async def _settle_on_working_keys(self) -> None:
        """Return when only one generation is left, which works or has no alternative."""
        failures = 0
        while pair := self._keyring.unproven:
            new, old = pair
            if await self._works(new):
                self._keyring.use(new)
                self._keyring.forget_old()
                log.info("keys replaced", extra={"certificate": new.fingerprint})
            elif await self._works(old):
                failures += 1
                log.warning("new keys do not work yet", extra={"tries": failures})
                if failures >= self._schedule.max_attempts:
                    self._keyring.discard_generation(new)
                else:
                    await asyncio.sleep(self._schedule.retry_interval_s)

    async def _works(self, keys: Generation) -> bool:
        """Return whether a Hello is accepted over a connection with these keys."""
        await self._reconnect(keys)
        try:
            async with asyncio.timeout(self._schedule.trial_timeout_s):
                while self._confirmed_certificate != keys.fingerprint:
                    await self._confirmed.wait()
                    self._confirmed.clear()
        except TimeoutError:
            return False
        return True

    async def _reconnect(self, keys: Generation) -> None:
        if keys == self._active:
            return
        self._confirmed_certificate, self._active = None, keys
        try:
            await self._link.reconnect(self._endpoint(keys))
        except LinkError as error:
            log.warning("keys cannot be used", extra={"reason": str(error)})

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):  # wait_for would miss a stop at the moment of a request
                await self._requested.wait()
        except TimeoutError:
            return
