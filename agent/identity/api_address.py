"""The address of the API, and its replacement when the control plane has moved.

A signed command names the new address. The agent keeps the old one until the API has answered at the new one
for its own stage, and goes on trying. Commands come over MQTT, which has an address of its own, so the
control plane can also move agents back from an address that answers no more.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

from agent.backoff import Backoff
from agent.errors import HostError
from agent.identity.registration import Files, Registration, amend
from agent.problems import API_ADDRESS_KEPT
from events.base import MAX_API_URL_CHARS, Problem

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

REPEAT_INTERVAL_S = 3600.0
"""Seconds after which the address is reported again: the control plane may have lost the report."""
RETRY_BACKOFF = Backoff(first_s=5.0, max_s=300.0)
"""Seconds before a new address that has not answered is tried again."""
_MAX_REASON_CHARS = 500


class ApiAddress:
    """The address of the API in use. `relocate_when_asked` is a task of the service."""

    def __init__(
        self,
        registration: Registration,
        files: Files,
        stage_at: Callable[[str], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        backoff: Backoff = RETRY_BACKOFF,
    ) -> None:
        """Start with the address of the registration.

        `stage_at` returns the stage whose API answers at an address, in a thread; it raises HostError if none
        answers there.
        """
        self._registration = registration
        self._files = files
        self._stage_at = stage_at or answering_stage
        self._clock = clock
        self._backoff = backoff
        self._clients: WeakSet[httpx.Client] = WeakSet()
        self._lock = threading.Lock()
        """For address and clients: these are made in threads, and moved on the event loop."""
        self._asked = asyncio.Event()
        self._wanted: str | None = None
        self._problem: Problem | None = None
        self._reported: str | None = None
        self._report_again_at = clock()
        self.url = registration.api_url

    def client(self) -> "httpx.Client":
        """Return a client for the API, which follows it to a new address."""
        from agent.cloud import http  # imported only when needed

        with self._lock:
            client = http.client(self.url)
            self._clients.add(client)
            return client

    def request(self, url: str) -> None:
        """Try this address, and use it once the API has answered there. A later request replaces it."""
        self._wanted = None if url == self.url else url
        self._problem = None
        self._asked.set()

    def changed(self) -> str | None:
        """Return the address if it is to be reported; None if it was reported recently, or is too long."""
        if self.url == self._reported and self._clock() < self._report_again_at:
            return None
        self._reported, self._report_again_at = self.url, self._clock() + REPEAT_INTERVAL_S
        return self.url if len(self.url) <= MAX_API_URL_CHARS else None

    def problems(self) -> tuple[Problem, ...]:
        """Return why the agent is still at the old address, if it is."""
        return (self._problem,) if self._problem else ()

    async def relocate_when_asked(self) -> None:
        """Move to each address that is asked for, once it answers, forever."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            retries = 0
            while (url := self._wanted) and not await self._move(url):
                await self._wait(self._backoff.delay_s(retries))
                retries += 1

    async def _move(self, url: str) -> bool:
        """Use the address if the API answers there; return False if it has to be tried again."""
        try:
            await asyncio.to_thread(self._check, url)
            if url != self._wanted:
                return False  # another was asked for meanwhile
            self._registration = amend(self._files, self._registration, api_url=url)
        except (HostError, OSError) as error:
            reason = str(error)[:_MAX_REASON_CHARS]
            log.warning("API address not used", extra={"new": url, "old": self.url, "reason": reason})
            if url == self._wanted:
                self._problem = API_ADDRESS_KEPT.problem(new=url, old=self.url, reason=reason)
            return False
        with self._lock:
            old, self.url, self._wanted, self._problem = self.url, url, None, None
            for client in self._clients:
                client.base_url = url
        log.info("API address replaced", extra={"old": old, "new": url})
        return True

    def _check(self, url: str) -> None:
        """Raise HostError unless the API of this agent's stage answers at the address."""
        stage = self._stage_at(url)
        if stage != self._registration.stage:
            raise HostError(f"it is the API of stage {stage}", "")

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            # Not wait_for, which in Python 3.11 swallows a cancellation that comes together with its result.
            async with asyncio.timeout(seconds):
                await self._asked.wait()
                self._asked.clear()


def answering_stage(url: str) -> str:
    """Return the stage whose API answers at this address.

    Raises:
        HostError: None does, or what is sent there could be read on the way.
    """
    import httpx

    from agent.cloud import http
    from events.views import Health

    if not http.is_protected(url):
        raise HostError(f"{url} is not an address that begins with https://", "")
    try:
        with http.client(url) as client:
            response = client.get("health")
        http.raise_for_problem(response)
        return Health.model_validate_json(response.content).stage
    except (http.ApiProblem, httpx.HTTPError, ValueError) as error:
        raise HostError(f"no API answers there: {error}", "") from error
