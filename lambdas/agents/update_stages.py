"""Advance running updates each minute, by the job status of their agents."""

from datetime import datetime
from typing import Protocol

from events.base import AgentId, Problem, UpdateId
from lambdas.audit.recorder import AuditEvent, AuditRecorder
from lambdas.domain import update as domain
from lambdas.domain.authorization import Principal
from lambdas.domain.errors import StaleError, UpdateUnknownError
from lambdas.domain.problems import UPDATE_EXPIRED
from lambdas.domain.timeline import CROSSHAUL
from lambdas.domain.update import JobStatus, Update
from lambdas.store.agents import AgentStore
from lambdas.store.updates import UpdateStore
from lambdas.telemetry import UPDATES_ABORTED, count, logger

BATCH_SIZE = 20
"""Updates handled by one sweep."""


class StageJobs(Protocol):
    """IoT Jobs, with one job for each stage."""

    def create_job(self, update: Update, stage: int) -> None: ...
    def statuses(self, update: Update, stage: int) -> dict[AgentId, JobStatus] | None: ...
    def cancel_jobs(self, update: Update) -> None: ...


class UpdateStages:
    """Advances running updates from stage to stage, and aborts or ends them."""

    def __init__(
        self, store: UpdateStore, agents: AgentStore, jobs: StageJobs, recorder: AuditRecorder
    ) -> None:
        self._store = store
        self._agents = agents
        self._jobs = jobs
        self._recorder = recorder

    def advance_updates(self, now: datetime) -> None:
        """Advance every update that is not complete."""
        for update_id in self._store.due(now, BATCH_SIZE):
            try:
                self._advance(update_id, now)
            except (StaleError, UpdateUnknownError):
                continue  # changed at this moment: the next sweep handles it

    def _advance(self, update_id: UpdateId, now: datetime) -> None:
        old, revision = self._store.get(update_id)
        agents = self._agents.get_many(member.agent_id for member in old.members)
        versions = {name: agent.version for name, agent in agents.items()}
        statuses = self._job_statuses(old)
        known = {name: status for of_stage in statuses.values() for name, status in (of_stage or {}).items()}
        updated = domain.with_statuses(old, known, versions)
        offline = frozenset(name for name, agent in agents.items() if agent.presence != "online")
        new, event = self._next_step(updated, offline, now)
        if new == old:
            self._store.look_again(old, revision, now)
        else:
            record = self._recorder.record_change(Principal(CROSSHAUL.id), _audit_event(event, new))
            self._store.replace_update(new, revision, now, record(old, new))
            logger.info("update moved", extra={"update_id": update_id, "what": event, "stage": new.stage})
        self._reconcile_jobs(new, has_job=statuses.get(new.stage) is not None)

    def _next_step(self, update: Update, offline: frozenset[AgentId], now: datetime) -> tuple[Update, str]:
        """Return the update after its next step, and the audit verb of that step."""
        if update.state != "running":
            return update, "progressed"
        match domain.following(update, offline, now):
            case "stage":
                return domain.begun(update, update.stage + 1), "stage-begun"
            case "abort":
                count(UPDATES_ABORTED)
                return domain.ended(update, "aborted", domain.why_aborted(update), None, now), "aborted"
            case "end":
                return domain.ended(update, *domain.how_it_ended(update), None, now), "ended"
            case "expire":
                return domain.ended(update, "failed", _expired(), None, now), "ended"
        return update, "progressed"

    def _job_statuses(self, update: Update) -> dict[int, dict[AgentId, JobStatus] | None]:
        """Return the job statuses of each stage with unfinished agents; None where the job does not exist."""
        return {
            stage: self._jobs.statuses(update, stage)
            for stage in range(update.stage + 1)
            if any(member.state not in domain.ENDED for member in update.of_stage(stage))
        }

    def _reconcile_jobs(self, update: Update, *, has_job: bool) -> None:
        """Create or cancel the job of the current stage, as the table says; safe to repeat."""
        if update.state != "running":
            self._jobs.cancel_jobs(update)
        elif not has_job:
            self._jobs.create_job(update, update.stage)


def _expired() -> Problem:
    return UPDATE_EXPIRED.problem(days=domain.MAX_DURATION.days)


def _audit_event(verb: str, update: Update) -> AuditEvent:
    return AuditEvent(action=f"update.{verb}", about=f"update {update.update_id}")
