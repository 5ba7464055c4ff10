"""The updater, run by root: only it writes releases, and the agent can only pass it an order.

The order is verified again here, with the keys that root has pinned, and so is the release: the control
plane signs the order, the publisher the release, and only both together install anything. Every step is
recorded before it is taken and can be repeated: after an interruption the next start continues, to the new
version or back to the old one. The updater runs from the proven release, so it does not depend on the release
on trial.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.cloud.command_verifier import CommandVerifier, TrustError
from agent.errors import HostError, UpdateError
from agent.files.disk import atomic_write
from agent.problems import UPDATE_CHECKS_FAILED, UPDATE_FAILED, UPDATE_UNHEALTHY, UPDATE_UNITS_NOT_USED
from agent.updating.publisher_keys import PublisherKeys
from agent.updating.releases import Releases
from agent.updating.state_files import (
    Step,
    UpdateFiles,
    UpdateRecord,
    delete_untrusted,
    read_health,
    read_record,
    read_untrusted,
)
from agent.updating.units import Units
from events.base import Problem
from events.commands import Claims, PublicKey, Trust, UpdateAgent
from events.releases import PublishedRelease

log = logging.getLogger(__name__)

POLL_INTERVAL_S = 0.5
"""Seconds between two reads of a new version's health."""
WORLD_READABLE = 0o644

Install = Callable[[UpdateAgent, PublishedRelease], str]
"""Installs a complete release for an order and returns its name; raises HostError with the reason."""


@dataclass(frozen=True)
class UpdaterEnvironment:
    """What the updater acts on, besides files."""

    install: Install
    restart: Callable[[], None]
    """Restarts the service from `current`."""
    pin: Callable[[tuple[PublicKey, ...]], None]
    """Replaces the pinned keys."""
    publisher: PublisherKeys
    units: Units
    wait: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


class Updater:
    """One host's updater. `run` is one start of its systemd unit."""

    def __init__(
        self,
        releases: Releases,
        state: Path,
        verifier: Callable[[], CommandVerifier],
        environment: UpdaterEnvironment,
    ) -> None:
        """Create an updater; `verifier` raises HostError if no keys are pinned."""
        self._releases = releases
        self._files = UpdateFiles(state)
        self._verifier = verifier
        self._environment = environment

    def update(self) -> None:
        """Continue an interrupted update, then execute the agent's request, if it is valid.

        The request is deleted before anything else, so that systemd does not start the unit for it again.
        """
        message = read_untrusted(self._files.request)
        delete_untrusted(self._files.request)
        record = read_record(self._releases.record)
        if record and record.is_under_way:
            record = self._resume(record)
        if message is not None:
            self._execute(message, record)

    def _execute(self, message: bytes, last: UpdateRecord | None) -> None:
        """Execute the agent's request, if it is a signed order for this host."""
        try:
            claims, _ = self._verifier().verify(message)
        except TrustError as refusal:
            log.warning("update refused", extra={"reason": refusal.problem.message})
            return
        match claims.command:
            case Trust() as new_keys:
                self._environment.pin(new_keys.keys)
                log.info("keys replaced", extra={"keys": " ".join(key.kid for key in new_keys.keys)})
            case UpdateAgent() as update if not (last and _is_old(claims, last)):
                self._resume(self._begin(update, claims))
            case _:
                log.warning("update refused", extra={"reason": "it is not an update, or an old one"})

    def _begin(self, update: UpdateAgent, claims: Claims) -> UpdateRecord:
        old = self._releases.proven or self._releases.current
        if old is None:
            raise HostError("no release is installed here", "install the agent with the installing script")
        delete_untrusted(self._files.verdict)
        record = UpdateRecord(order=update, issued=claims.iat, jti=claims.jti, old=old)
        return self._save(record, "installing")

    def _resume(self, record: UpdateRecord) -> UpdateRecord:
        steps = {"installing": self._install, "trying": self._try, "returning": self._return}
        while run_step := steps.get(record.step):
            record = run_step(record)
        log.info("update ended", extra={"version": record.order.version, "outcome": record.step})
        return record

    def _install(self, record: UpdateRecord) -> UpdateRecord:
        try:
            release = self._environment.publisher.verify(record.order)
            new = self._environment.install(record.order, release)
        except UpdateError as error:
            return self._save(record, "failed", problem=error.problem)
        except (HostError, OSError) as error:
            return self._save(record, "failed", problem=UPDATE_FAILED.problem(detail=error))
        return self._save(record, "trying", new=new)

    def _try(self, record: UpdateRecord) -> UpdateRecord:
        new = str(record.new)
        if self._releases.proven != new:
            if problem := self._trial(new, record.order):
                return self._save(record, "returning", problem=problem)
            self._releases.trust(new)
        self._releases.prune()
        self._use_units(self._environment.units.use_updater_units, new)
        self._trust_successors(record.order)
        return self._save(record, "kept")

    def _trial(self, new: str, update: UpdateAgent) -> Problem | None:
        """Start the new release with its own unit; return why it is not kept, None if it is."""
        if reason := self._use_units(self._environment.units.use_agent_unit, new):
            return UPDATE_UNITS_NOT_USED.problem(version=update.version, detail=reason)
        self._releases.run_from_now_on(new)
        self._environment.restart()
        return self._wait_for_health(update)

    def _use_units(self, use: Callable[[Path], None], release: str) -> str:
        """Return why the units of a release are not in use, "" if they are."""
        try:
            use(self._releases.path(release))
        except HostError as error:
            log.warning("units not replaced", extra={"release": release, "reason": error.message})
            return error.message
        return ""

    def _trust_successors(self, update: UpdateAgent) -> None:
        """Refuse older releases from now on; if that cannot be stored, the new version runs all the same."""
        try:
            self._environment.publisher.keep(update)
        except (HostError, OSError) as error:
            log.warning("the publisher's keys were not replaced", extra={"reason": str(error)})

    def _return(self, record: UpdateRecord) -> UpdateRecord:
        self._releases.run_from_now_on(record.old)
        self._use_units(self._environment.units.use_agent_unit, record.old)
        self._environment.restart()
        self._releases.delete_release(record.new)
        return self._save(record, "returned")

    def _wait_for_health(self, update: UpdateAgent) -> Problem | None:
        """Return why the new version is not kept; None as soon as it reports healthy."""
        end = self._environment.clock() + update.healthy_within
        failing_checks: dict[str, str] = {}
        while self._environment.clock() < end:
            health = read_health(self._files.verdict)
            if health and (health.update_id, health.version) == (update.update_id, update.version):
                if health.healthy:
                    return None
                failing_checks = health.troubles
            self._environment.wait(POLL_INTERVAL_S)
        version, seconds = update.version, update.healthy_within
        if not failing_checks:
            return UPDATE_UNHEALTHY.problem(version=version, seconds=seconds)
        return UPDATE_CHECKS_FAILED.problem(
            version=version,
            seconds=seconds,
            checks="; ".join(failing_checks),
            troubles="; ".join(f"{name}: {found}" for name, found in failing_checks.items()),
        )

    def _save(self, record: UpdateRecord, step: Step, **changes: str | Problem) -> UpdateRecord:
        saved = record.model_copy(update={"step": step, **changes})
        atomic_write(self._releases.record, saved.model_dump_json(indent=2).encode(), WORLD_READABLE)
        return saved


def _is_old(claims: Claims, last: UpdateRecord) -> bool:
    """Return whether an order was executed before or is older than the last one.

    Otherwise an old order could bring back a version with a security hole.
    """
    return claims.jti == last.jti or claims.iat < last.issued
