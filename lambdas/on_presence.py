"""React: IoT Core says that a client has connected or disconnected.

It says so of every client of the account. The rule passes on only those that are called as this stage's
things are, and a name that is not an agent's changes nothing.

Nothing is sent to an agent for that: it does not listen yet. Once it does, it says Hello, and is told.

https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, ValidationError

from events.base import AgentId, Message, ThingName
from lambdas import wiring
from lambdas.domain.errors import AgentUnknownError
from lambdas.telemetry import entry, logger


class Presence(Message):
    """The event, as far as it is of use. `versionNumber` grows with each connection of a client."""

    clientId: ThingName  # noqa: N815
    timestamp: Annotated[int, Field(ge=0, le=253_402_300_799_999)]
    """Milliseconds since 1970, to the end of the calendar."""
    eventType: Literal["connected", "disconnected"]  # noqa: N815
    versionNumber: int  # noqa: N815


@entry
def handler(event: dict[str, Any], _: LambdaContext) -> None:
    try:
        apply(Presence.model_validate(event))
    except ValidationError:
        logger.info("a client that is no agent", extra={"client_id": event.get("clientId")})


def apply(presence: Presence) -> None:
    try:
        if agent_id := wiring.topics().agent_of(presence.clientId):
            _record(agent_id, presence)
    except AgentUnknownError:
        logger.info("a client that is no agent", extra={"client_id": presence.clientId})


def _record(agent_id: AgentId, presence: Presence) -> None:
    at = datetime.fromtimestamp(presence.timestamp / 1000, UTC)
    if presence.eventType == "disconnected":
        wiring.agent_service().disconnected(agent_id, at, presence.versionNumber)
    else:
        wiring.agent_service().connected(agent_id, at, presence.versionNumber)
