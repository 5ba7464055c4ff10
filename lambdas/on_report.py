"""Handle a report of an agent, which the IoT topic rule forwards."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, ValidationError

from events.base import AgentId, Message
from events.reports import Browsed, Heartbeat, Hello, LogExcerpt, Refused, Report
from lambdas import adapters, wiring
from lambdas.domain.errors import NotFoundError
from lambdas.telemetry import count, entry, logger, trace

MAX_TIME_MS = 253_402_300_799_999
"""The end of the year 9999, in milliseconds since 1970."""
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class AgentReport(Message):
    """The message that the rule's SQL selects: the report, and the agent whose topic it came on."""

    agent_id: AgentId
    report: Report
    principal: str | None = None
    received: Annotated[int, Field(ge=0, le=MAX_TIME_MS)] | None = None
    """When the broker received it, in milliseconds since 1970: the event may be handled hours later."""

    @property
    def certificate(self) -> str | None:
        """The fingerprint of the certificate of the connection, if the principal is one."""
        return self.principal if self.principal and _FINGERPRINT.fullmatch(self.principal) else None

    @property
    def received_at(self) -> datetime | None:
        """When the broker received it."""
        return None if self.received is None else datetime.fromtimestamp(self.received / 1000, UTC)


@entry
def handler(event: dict[str, Any], _: LambdaContext) -> None:
    """Handle one report; a malformed one is dropped."""
    if message := read(event):
        apply(message)


def read(event: dict[str, Any]) -> AgentReport | None:
    """Parse an event; a malformed one is logged and counted, not retried, and gives None."""
    try:
        return AgentReport.model_validate({**event, "agent_id": _agent(event.get("thing"))})
    except ValidationError as failure:
        keys = {
            "thing": event.get("thing"),
            "errors": failure.errors(include_input=False, include_url=False),
        }
        logger.error("malformed report", extra=keys)
        count("ReportsMalformed")
        return None


def _agent(thing: object) -> AgentId | None:
    """Return the agent of a thing; None if the thing is not of this stage."""
    return adapters.topics().agent_of(thing) if isinstance(thing, str) else None


def apply(message: AgentReport) -> None:
    """Apply a report; one of a deleted agent or transfer is logged and not retried."""
    try:
        _apply(message)
    except NotFoundError as error:
        logger.warning(
            "report of an unknown agent or transfer",
            extra={"agent_id": message.agent_id, "problem": error.problem.message},
        )


def _apply(message: AgentReport) -> None:
    agent_id, report = message.agent_id, message.report
    match report:
        case Hello():
            if agent := wiring.agent_service().hello(agent_id, report, message.received_at):
                wiring.report_handler().reconcile(agent_id, report)
                wiring.key_rotation().record_hello(agent, message.certificate)
        case Heartbeat():
            wiring.free_room().check(agent_id, report.roots)
            wiring.api_relocation().record_heartbeat(agent_id, report.api_url)
            key_status = wiring.signing_key_rollover().record_hello(agent_id, report.trusts, report.pinned)
            if wiring.agent_service().heartbeat(agent_id, report, message.received_at, key_status):
                wiring.stream_handler().agent_online(agent_id)
        case Browsed() | LogExcerpt():
            wiring.agent_service().answered(agent_id, report)
        case Refused():
            wiring.report_handler().record_refusal(agent_id, report)
        case _:
            trace(report.transfer_id, report.hop_id)
            wiring.report_handler().apply(agent_id, report)
