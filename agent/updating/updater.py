"""The updater: root's side. It alone writes releases; the agent can only show it an order.

The order is verified here once more, with keys that root has pinned. Every step is written down before it is
taken and can be taken again: whenever the host stops, the next start goes on, to the new version or back to
the old one. This runs from the proven release, so that it does not depend on the one on trial.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.cloud.command_verifier import CommandVerifier, TrustError
from agent.errors import HostError
from agent.files.disk import atomic_write
from agent.updating.releases import Releases
from agent.updating.state_files import (
    Step,
    UpdateFiles,
    UpdateRecord,
    read_health,
    read_record,
    read_untrusted,
)
from events.commands import Claims, PublicKey, Trust, Update

log = logging.getLogger(__name__)

POLL_INTERVAL_S = 0.5
"""Seconds between two looks at what a new version says."""
READABLE = 0o644

Install = Callable[[Update], str]
"""Makes the release of an order, whole, beside the others; its name. HostError says why there is none."""


@dataclass(frozen=True)
class UpdaterEnvironment:
    """What the updater acts on, besides files."""

    install: Install
    restart: Callable[[], None]
    """Start the service anew, from `current`."""
    pin: Callable[[tuple[PublicKey, ...]], None]
    """Verify with these from now on."""
    wait: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


class Updater:
    """One host's. `run` is the whole of one start of its unit."""

    def __init__(
        self,
        releases: Releases,
        state: Path,
        verifier: Callable[[], CommandVerifier],
        around: UpdaterEnvironment,
    ) -> None:
        """`verifier` raises HostError where no keys are pinned."""
        self._releases = releases
        self._notes = UpdateFiles(state)
        self._verifier = verifier
        self._around = around

    def run(self) -> None:
        """Go on with what was cut off, then do what is asked for, if it may be. What the agent shows is taken
        away before anything else: whatever comes of it, its unit is not started again for the same."""
        letter = read_untrusted(self._notes.request)
        self._notes.request.unlink(missing_ok=True)
        record = read_record(self._releases.record)
        if record and record.is_under_way:
            record = self._resume(record)
        if letter is not None:
            self._execute(letter, record)

    def _execute(self, letter: bytes, last: UpdateRecord | None) -> None:
        """What the agent shows, if it is an order that may be obeyed."""
        try:
            claims, _ = self._verifier().verify(letter)
        except TrustError as refusal:
            log.warning("update refused", extra={"reason": refusal.problem.message})
            return
        match claims.command:
            case Trust() as others:
                self._around.pin(others.keys)
                log.info("keys replaced", extra={"keys": " ".join(key.kid for key in others.keys)})
            case Update() as order if not (last and _is_old(claims, last)):
                self._resume(self._begin(order, claims))
            case _:
                log.warning("update refused", extra={"reason": "no update, or one that was ordered before"})

    def _begin(self, order: Update, claims: Claims) -> UpdateRecord:
        old = self._releases.proven or self._releases.current
        if old is None:
            raise HostError("no release is installed here", "install the agent by its script")
        self._notes.verdict.unlink(missing_ok=True)
        record = UpdateRecord(order=order, issued=claims.iat, jti=claims.jti, old=old)
        return self._keep(record, "installing")

    def _resume(self, record: UpdateRecord) -> UpdateRecord:
        steps = {"installing": self._install, "trying": self._try, "returning": self._return}
        while act := steps.get(record.step):
            record = act(record)
        log.info("update over", extra={"version": record.order.version, "outcome": record.step})
        return record

    def _install(self, record: UpdateRecord) -> UpdateRecord:
        try:
            new = self._around.install(record.order)
        except (HostError, OSError) as error:
            return self._keep(record, "failed", reason=str(error))
        return self._keep(record, "trying", new=new)

    def _try(self, record: UpdateRecord) -> UpdateRecord:
        new = str(record.new)
        if self._releases.proven != new:
            self._releases.run_from_now_on(new)
            self._around.restart()
            if trouble := self._trouble(record.order):
                return self._keep(record, "returning", reason=trouble)
            self._releases.trust(new)
        self._releases.prune()
        return self._keep(record, "kept")

    def _return(self, record: UpdateRecord) -> UpdateRecord:
        self._releases.run_from_now_on(record.old)
        self._around.restart()
        self._releases.drop(record.new)
        return self._keep(record, "returned")

    def _trouble(self, order: Update) -> str:
        """Why the new version is not to be kept; "" as soon as it reports healthy."""
        end = self._around.clock() + order.healthy_within
        told: tuple[str, ...] = ()
        while self._around.clock() < end:
            said = read_health(self._notes.verdict)
            if said and (said.update_id, said.version) == (order.update_id, order.version):
                if said.healthy:
                    return ""
                told = said.troubles
            self._around.wait(POLL_INTERVAL_S)
        why = f": {'; '.join(told)}" if told else ""
        return f"{order.version} did not report healthy within {order.healthy_within} s{why}"

    def _keep(self, record: UpdateRecord, step: Step, **differently: str) -> UpdateRecord:
        kept = record.model_copy(update={"step": step, **differently})
        atomic_write(self._releases.record, kept.model_dump_json(indent=2).encode(), READABLE)
        return kept


def _is_old(claims: Claims, last: UpdateRecord) -> bool:
    """Whoever shows an order a second time, or one from before the last, gets nothing done: no way back to
    a version with a hole."""
    return claims.jti == last.jti or claims.iat < last.issued
