"""Check a transfer's size: its commands must fit into a message, its rows into their tables.

Sizes are those of JSON, where a control character takes six bytes. They are checked before anything is
written, so that nothing is accepted that could not be sent or stored later.
"""

from collections.abc import Mapping

from events.base import AgentId
from events.locations import AgentLocation
from events.sizes import json_bytes
from lambdas.domain.agent import Agent
from lambdas.domain.errors import LimitError
from lambdas.domain.hop import Hop
from lambdas.domain.problems import COMMAND_TOO_LONG, REQUEST_TOO_LONG
from lambdas.domain.session_policy import check_policy
from lambdas.domain.transfer import Transfer

MAX_COMMAND_BYTES = 90 * 1024
"""Maximum size of a signed command when a transfer is created.

IoT Core accepts 128 KiB; the rest is reserved for certificates and addresses that grow while a transfer
waits. https://docs.aws.amazon.com/general/latest/gr/iot-core.html
"""
MAX_PUBLISHED_BYTES = 128 * 1024
"""Maximum size of a signed command when it is published: the limit of IoT Core."""
MAX_REQUEST_BYTES = 128 * 1024
"""Maximum size of source, destinations, options and selection together.

They are stored in one row and one audit record, twice in the record of a template's change; DynamoDB accepts
400 KB for an item.
"""

_MIN_CERTIFICATE_BYTES = 2048
"""Bytes counted at least for an agent's certificate."""
_MIN_ENDPOINTS_BYTES = 1024
"""Bytes counted at least for an agent's addresses."""
_OTHER_FIELDS_BYTES = 2048
"""Bytes for ids, times, the relay, and the names of all fields."""
_SIGNATURE_BYTES = 300
"""Bytes for a token's header and signature, and the message around it."""


def check_sizes(transfer: Transfer, agents: Mapping[AgentId, Agent]) -> None:
    """Raise LimitError if the transfer could not be stored, or a hop's commands could not be sent or obeyed.

    For agents that are not in `agents`, usual sizes are assumed.
    """
    whole = (transfer.source, transfer.destinations, transfer.options, transfer.selection)
    if (size := json_bytes(whole)) > MAX_REQUEST_BYTES:
        raise LimitError(words=REQUEST_TOO_LONG, size=f"{size:,}", limit=f"{MAX_REQUEST_BYTES:,}")
    for hop in transfer.hops:
        check_command(transfer, hop, agents)
        if hop.route == "s3":
            check_policy(hop, transfer.options)


def check_command(
    transfer: Transfer, hop: Hop, agents: Mapping[AgentId, Agent], limit: int = MAX_COMMAND_BYTES
) -> None:
    """Raise LimitError if a hop's commands could not be sent."""
    if (size := command_bytes(transfer, hop, agents)) > limit:
        raise LimitError(words=COMMAND_TOO_LONG, agent_id=hop.carrier, size=f"{size:,}", limit=f"{limit:,}")


def command_bytes(transfer: Transfer, hop: Hop, agents: Mapping[AgentId, Agent]) -> int:
    """Return the maximum size of the hop's larger command in bytes: `Move`, with `Serve` inside if direct."""
    content = json_bytes((transfer.options, transfer.selection))
    ends = json_bytes((hop.source, hop.destination))
    if hop.route != "direct" or not isinstance(hop.source, AgentLocation):
        return _as_token(ends + content + _OTHER_FIELDS_BYTES)
    source, carrier = agents.get(hop.source.agent_id), agents.get(hop.carrier)
    about = [json_bytes(hop.source.path), _of_agent(carrier), content, _OTHER_FIELDS_BYTES]
    serve = _as_token(sum(about))
    return _as_token(ends + content + serve + _of_agent(source) + _of_agent(carrier) + _OTHER_FIELDS_BYTES)


def _of_agent(agent: Agent | None) -> int:
    certificate = json_bytes(agent.lane_certificate) if agent else 0
    endpoints = json_bytes(agent.endpoints) if agent else 0
    return max(certificate, _MIN_CERTIFICATE_BYTES) + max(endpoints, _MIN_ENDPOINTS_BYTES)


def _as_token(size: int) -> int:
    """Return the size of a token in bytes whose claims have `size` bytes before base64."""
    return size * 4 // 3 + _SIGNATURE_BYTES
