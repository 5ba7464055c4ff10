"""Handle life-cycle events of IoT Core: a client has connected or disconnected.

IoT Core sends them for every client of the account. The rule forwards only clients named like things of this
stage, and a name that is not an agent's changes nothing.

Nothing is sent to the agent here, since it has not subscribed yet; it gets its commands after its Hello.

https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, ValidationError

from events.base import AgentId, Message, ThingName
from lambdas import adapters, wiring
from lambdas.domain.errors import AgentUnknownError
from lambdas.telemetry import entry, logger


class Presence(Message):
    """The fields used of an event. `versionNumber` grows with each connection of a client."""

    clientId: ThingName  # noqa: N815
    timestamp: Annotated[int, Field(ge=0, le=253_402_300_799_999)]
    """Milliseconds since 1970, at most the end of the year 9999."""
    eventType: Literal["connected", "disconnected"]  # noqa: N815
    versionNumber: int  # noqa: N815


@entry
def handler(event: dict[str, Any], _: LambdaContext) -> None:
    """Handle one event; that of another client is only logged."""
    try:
        apply(Presence.model_validate(event))
    except ValidationError:
        logger.info("client is not an agent of this stage", extra={"client_id": event.get("clientId")})


def apply(presence: Presence) -> None:
    """Record the presence of an agent of this stage."""
    try:
        if agent_id := adapters.topics().agent_of(presence.clientId):
            _record(agent_id, presence)
    except AgentUnknownError:
        logger.info("client is not an agent of this stage", extra={"client_id": presence.clientId})


def _record(agent_id: AgentId, presence: Presence) -> None:
    at = datetime.fromtimestamp(presence.timestamp / 1000, UTC)
    if presence.eventType == "disconnected":
        wiring.agent_service().disconnected(agent_id, at, presence.versionNumber)
    else:
        wiring.agent_service().connected(agent_id, at, presence.versionNumber)
