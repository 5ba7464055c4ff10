"""IoT Jobs: one job for each stage of an update, which notifies its agents and collects their status."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from events.base import AgentId
from events.topics import Topics
from events.updates import JobDocument, problem_of
from lambdas.domain.update import ENDED, JobStatus, Update
from lambdas.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

_NOT_FOUND, _ALREADY_EXISTS, _INVALID_REQUEST = (
    "ResourceNotFoundException",
    "ResourceAlreadyExistsException",
    "InvalidRequestException",
)
_INSTALL_TIMEOUT_MIN = 45
"""How long an agent may take to install a version, before its time to report healthy begins."""
_INITIAL_AGENTS_PER_MINUTE, _SUCCESSES_TO_DOUBLE_RATE = 20, 20
"""Agents notified in the first minute of a stage, and how many successes double that rate."""
_STATUSES_WITH_REASON = ("FAILED", "REJECTED", "CANCELED")
"""Statuses for which an agent gives a reason."""


@dataclass(frozen=True)
class IotJobs:
    """Creates, reads and cancels jobs. `thing_arn_prefix` is the ARN of a thing up to its name."""

    iot: "IoTClient"
    thing_arn_prefix: str
    topics: Topics

    def create_job(self, update: Update, stage: int) -> None:
        """Create the job of a stage; do nothing if it exists."""
        members = update.of_stage(stage)
        document = JobDocument(update_id=update.update_id, version=update.version)
        try:
            self.iot.create_job(
                jobId=self.topics.job(update.update_id, stage),
                targets=[
                    f"{self.thing_arn_prefix}{self.topics.thing(member.agent_id)}" for member in members
                ],
                targetSelection="SNAPSHOT",
                document=document.model_dump_json(),
                description=f"Crosshaul {update.version}, stage {stage}",
                jobExecutionsRolloutConfig=_ROLLOUT,  # type: ignore[arg-type]
                abortConfig=_abort(update.abort_above, len(members)),
                timeoutConfig={
                    "inProgressTimeoutInMinutes": _INSTALL_TIMEOUT_MIN + ceil(update.healthy_within / 60)
                },
            )
        except ClientError as error:
            if _code(error) != _ALREADY_EXISTS:
                raise

    def statuses(self, update: Update, stage: int) -> dict[AgentId, JobStatus] | None:
        """Return the status of each agent of a stage, with reasons of new failures; None without a job."""
        known_ended = {member.agent_id for member in update.of_stage(stage) if member.state in ENDED}
        try:
            return dict(self._job_statuses(self.topics.job(update.update_id, stage), known_ended))
        except ClientError as error:
            if _code(error) != _NOT_FOUND:
                raise
            return None

    def cancel_jobs(self, update: Update) -> None:
        """Cancel the jobs of all stages; agents that have begun continue."""
        for stage in range(update.stage + 1):
            self._end(
                self.topics.job(update.update_id, stage),
                update.problem.message if update.problem else update.state,
            )

    def _end(self, job: str, why: str) -> None:
        try:
            self.iot.cancel_job(jobId=job, comment=why)
        except ClientError as error:
            if _code(error) not in {_NOT_FOUND, _INVALID_REQUEST}:
                raise

    def _job_statuses(self, job: str, known_ended: Container[AgentId]) -> Iterator[tuple[AgentId, JobStatus]]:
        pages = self.iot.get_paginator("list_job_executions_for_job").paginate(jobId=job)
        for summary in (summary for page in pages for summary in page["executionSummaries"]):
            thing = summary["thingArn"].rpartition("/")[2]
            agent_id = self.topics.agent_of(thing)
            if agent_id is None:
                logger.warning("not an agent of this stage", extra={"job": job, "thing": thing})
                continue
            status = summary["jobExecutionSummary"]["status"]
            yield (
                agent_id,
                JobStatus(status) if agent_id in known_ended else self._job_status(job, agent_id, status),
            )

    def _job_status(self, job: str, agent_id: AgentId, status: str) -> JobStatus:
        if status not in _STATUSES_WITH_REASON:
            return JobStatus(status)
        thing = self.topics.thing(agent_id)
        execution = self.iot.describe_job_execution(jobId=job, thingName=thing)["execution"]
        details: Mapping[str, str] = execution.get("statusDetails", {}).get("detailsMap", {})
        return JobStatus(status, problem_of(details), details.get("returned") == "yes")


_ROLLOUT: dict[str, Any] = {
    "maximumPerMinute": 100,
    "exponentialRate": {
        "baseRatePerMinute": _INITIAL_AGENTS_PER_MINUTE,
        "incrementFactor": 2,
        "rateIncreaseCriteria": {"numberOfSucceededThings": _SUCCESSES_TO_DOUBLE_RATE},
    },
}


def _abort(abort_above: int, size: int) -> Any:
    """Return the abort rule of a stage of this many agents.

    IoT Jobs applies it between two sweeps, once enough agents have failed that the update must be aborted.
    """
    enough = size * abort_above // 100 + 1
    criterion = {
        "failureType": "ALL",
        "action": "CANCEL",
        "thresholdPercentage": float(abort_above or 1),
        "minNumberOfExecutedThings": enough,
    }
    return {"criteriaList": [criterion]}


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
