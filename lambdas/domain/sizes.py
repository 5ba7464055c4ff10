"""What a transfer may measure: its commands must fit into a message, its rows into their tables.

Sizes are those of JSON, where a control character takes six bytes. They are counted before anything is
written, so that nothing is accepted that could not be sent or stored later.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from events.base import AgentId
from events.locations import AgentLocation
from lambdas.domain.agent import Agent
from lambdas.domain.errors import LimitError
from lambdas.domain.hop import Hop
from lambdas.domain.transfer import Transfer

MAX_COMMAND_BYTES = 90 * 1024
"""Of a signed command, as it is published. IoT Core takes 128 KiB; the rest is for certificates and addresses
that grow while a transfer waits. https://docs.aws.amazon.com/general/latest/gr/iot-core.html"""
MAX_PUBLISHED_BYTES = 128 * 1024
MAX_REQUEST_BYTES = 128 * 1024
"""Of source, destinations, options and selection: they are in one row and in one record of the audit, for
which DynamoDB has 400 KB, and in the record of a template's change twice."""

_CERTIFICATE = 2048
"""Bytes that are counted at least for an agent's certificate."""
_ENDPOINTS = 1024
_BESIDES = 2048
"""Ids, times, a relay's place, and the names of all fields."""
_SIGNATURE = 300
"""A token's header and signature, and the message around it."""


def json_bytes(value: Any) -> int:
    """Return how many bytes this has as JSON."""
    text = json.dumps(to_jsonable_python(value), ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))


def check_sizes(transfer: Transfer, agents: Mapping[AgentId, Agent]) -> None:
    """Raise LimitError if it could not be stored, or a hop's commands could not be sent. Of agents that are
    not known, what is usual is counted."""
    whole = (transfer.source, transfer.destinations, transfer.options, transfer.selection)
    if (size := json_bytes(whole)) > MAX_REQUEST_BYTES:
        raise LimitError(
            f"Source, destinations and options have {size:,} bytes together, {MAX_REQUEST_BYTES:,} are the "
            "limit.",
            "Name fewer destinations at once, or directories with shorter paths.",
        )
    for hop in transfer.hops:
        check_command(transfer, hop, agents)


def check_command(
    transfer: Transfer, hop: Hop, agents: Mapping[AgentId, Agent], limit: int = MAX_COMMAND_BYTES
) -> None:
    """Raise LimitError if a hop's commands could not be sent."""
    if (size := command_bytes(transfer, hop, agents)) > limit:
        raise LimitError(
            f"The command to {hop.carrier} would have {size:,} bytes, {limit:,} are the limit.",
            "Use fewer or shorter filters, or shorter paths.",
        )


def command_bytes(transfer: Transfer, hop: Hop, agents: Mapping[AgentId, Agent]) -> int:
    """Return how large the larger command of the hop can be: `Move`, with `Serve` inside if direct."""
    meant = json_bytes((transfer.options, transfer.selection))
    ends = json_bytes((hop.source, hop.destination))
    if hop.route != "direct" or not isinstance(hop.source, AgentLocation):
        return _as_token(ends + meant + _BESIDES)
    source, carrier = agents.get(hop.source.agent_id), agents.get(hop.carrier)
    about = [json_bytes(hop.source.path), _of_agent(carrier), meant, _BESIDES]
    serve = _as_token(sum(about))
    return _as_token(ends + meant + serve + _of_agent(source) + _of_agent(carrier) + _BESIDES)


def _of_agent(agent: Agent | None) -> int:
    certificate = json_bytes(agent.lane_certificate) if agent else 0
    endpoints = json_bytes(agent.endpoints) if agent else 0
    return max(certificate, _CERTIFICATE) + max(endpoints, _ENDPOINTS)


def _as_token(size: int) -> int:
    """Of claims as base64."""
    return size * 4 // 3 + _SIGNATURE
