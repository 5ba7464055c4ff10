"""React: a report of an agent, from the topic rule."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from events.base import AgentId, Message
from events.reports import Browsed, Heartbeat, Hello, Refused, Report
from lambdas import wiring
from lambdas.domain.errors import NotFoundError
from lambdas.telemetry import count, entry, logger


class Said(Message):
    """What the rule's SQL gives: the letter, and whose topic it came on."""

    agent_id: AgentId
    report: Report


@entry
def handler(event: dict[str, Any], _: LambdaContext) -> None:
    if said := read(event):
        hear(said.agent_id, said.report)


def read(event: dict[str, Any]) -> Said | None:
    """A malformed letter stays malformed: it is logged and counted, and not tried again."""
    try:
        return Said.model_validate(event)
    except ValidationError as failure:
        keys = {
            "agent_id": event.get("agent_id"),
            "errors": failure.errors(include_input=False, include_url=False),
        }
        logger.error("malformed report", extra=keys)
        count("ReportsMalformed")
        return None


def hear(agent_id: AgentId, report: Report) -> None:
    """An agent or a transfer that is gone has nobody who would want to know: logged, and not tried again."""
    try:
        _hear(agent_id, report)
    except NotFoundError as error:
        logger.warning(
            "report of what is gone", extra={"agent_id": agent_id, "problem": error.problem.message}
        )


def _hear(agent_id: AgentId, report: Report) -> None:
    match report:
        case Hello():
            wiring.agents().hello(agent_id, report)
            wiring.hearing().reconcile(agent_id, report)
        case Heartbeat():
            if wiring.agents().heartbeat(agent_id, report):
                wiring.reactions().arrived(agent_id)
        case Browsed():
            wiring.agents().browsed(agent_id, report)
        case Refused():
            wiring.hearing().refused(agent_id, report)
        case _:
            wiring.hearing().heard(agent_id, report)
