"""Keep helper tasks running: log a failure with its traceback, retry, report it if it persists.

A helper is a task that the agent can do without for a while: manifests, heartbeats, updates, new keys,
progress. The core (journal, commands, reports, hops) is not supervised: if it fails, the process ends and
systemd restarts it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from agent.backoff import Backoff
from agent.problems import HELPER_FAILING
from events.base import Problem

log = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]
_MAX_REASON_CHARS = 500
RESTART_BACKOFF = Backoff(first_s=1.0, max_s=300.0)
"""Seconds before a helper that failed is started again."""
STABLE_S = 600.0
"""Seconds without a failure after which a helper counts as working again."""
REPORTED_FAILURES = 2
"""Failures in a row from which on a helper is reported."""


class Supervisor:
    """Runs one agent's helpers. Use it from the event loop only."""

    def __init__(self, backoff: Backoff = RESTART_BACKOFF) -> None:
        self._backoff = backoff
        self._failing: dict[str, tuple[int, Problem, float]] = {}
        """By name: failures in a row, the latest problem, and when it occurred (monotonic seconds)."""

    async def supervise(self, name: str, work: Work) -> None:
        """Run `work` until it ends by itself or is canceled, again after each failure."""
        failures = 0
        while True:
            began = time.monotonic()
            try:
                await work()
            except Exception as error:
                failures = 1 if time.monotonic() - began > STABLE_S else failures + 1
                self._note(name, failures, error)
                await asyncio.sleep(self._backoff.delay_s(failures - 1))
            else:
                self._failing.pop(name, None)
                return

    def problems(self) -> tuple[Problem, ...]:
        """Return what to report to the control plane: the helpers that keep failing."""
        now = time.monotonic()
        return tuple(
            problem
            for failures, problem, at in self._failing.values()
            if failures >= REPORTED_FAILURES and now - at < self._backoff.max_s + STABLE_S
        )

    def _note(self, name: str, failures: int, error: Exception) -> None:
        log.error("helper failed", exc_info=error, extra={"helper": name, "failures": failures})
        reason = f"{type(error).__name__}: {error}"[:_MAX_REASON_CHARS]
        problem = HELPER_FAILING.problem(helper=name, failures=failures, reason=reason)
        self._failing[name] = (failures, problem, time.monotonic())
