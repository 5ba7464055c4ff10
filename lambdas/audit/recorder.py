"""What is written down of a change, together with the change itself; and of a refusal, by itself."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Protocol

from pydantic_core import to_jsonable_python

from events.audit import AuditRecord
from events.base import AgentId
from events.policies import Effect
from lambdas.domain.agent import Agent
from lambdas.domain.authorization import Principal
from lambdas.domain.policy import Policy
from lambdas.domain.rollout import Rollout
from lambdas.domain.template import Template
from lambdas.domain.transfer import Transfer
from lambdas.domain.update import Update
from lambdas.ports import Clock
from lambdas.store.base import Writes, no_writes
from lambdas.telemetry import logger

NOBODY = "nobody"
Record = Callable[[Any, Any], Writes]
"""What is written with a change, from the thing as it was and as it is to be; None where there is none."""


def unrecorded(_: Any, __: Any) -> Writes:
    """For what nobody asked for."""
    return no_writes


class RecordStore(Protocol):
    def writes_for(self, record: AuditRecord) -> Writes: ...
    def add(self, record: AuditRecord) -> None: ...


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """What is done, as far as it is known before it is done."""

    action: str
    about: str
    transfer_id: str | None = None
    agents: tuple[AgentId, ...] = ()
    policies: tuple[str, ...] = ()
    why: str = ""


class AuditRecorder:
    def __init__(self, store: RecordStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def record_change(self, person: Principal, deed: AuditEvent, decision: Effect = "allowed") -> Record:
        """To be called by whoever writes the change, in its transaction."""

        def recorded(before: Any, after: Any) -> Writes:
            states = {"before": snapshot(before), "after": snapshot(after)}
            return self._store.writes_for(self._record(person, deed, decision, **states))

        return recorded

    def record_credentials(self, person: Principal, deed: AuditEvent, what: dict[str, Any]) -> None:
        """What changes nothing here, and reaches elsewhere: written by itself, before it is given away."""
        self._store.add(self._record(person, deed, "allowed", after=what))

    def record_refusal(self, person: Principal, deed: AuditEvent, why: str) -> None:
        """A refusal stands whatever becomes of its record: should that fail, the log has it."""
        try:
            self._store.add(self._record(person, deed, "refused", why=why))
        except Exception:
            logger.exception("refusal not recorded", extra={"who": person.id, "action": deed.action})

    def _record(self, person: Principal, deed: AuditEvent, decision: Effect, **more: Any) -> AuditRecord:
        now = self._clock()
        return AuditRecord.model_validate(
            {
                **deed.__dict__,
                "record_id": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z-{secrets.token_hex(4)}",
                "at": now,
                "who": person.actor,
                "address": person.address,
                "decision": decision,
                **more,
            }
        )


_SHOWN: dict[type, tuple[str, ...]] = {
    Transfer: ("state", "source", "destinations", "shape", "options", "template_id", "owner", "approval"),
    Template: ("trigger", "destinations", "shape", "options", "enabled", "owner", "changed_by", "version"),
    Agent: (
        "hostname",
        "ip_address",
        "tags",
        "roots",
        "endpoints",
        "endpoints_fixed",
        "version",
        "certificate",
        "next_certificate",
        "rotation_wanted_at",
    ),
    Policy: ("text", "version", "by"),
    Update: ("version", "digest", "state", "reason", "stage", "counts", "ended_by"),
    Rollout: ("name", "count", "used", "tags", "expires_at", "ended_at", "ended_by"),
}
"""What of a thing belongs into the audit: nothing secret, and nothing that grows."""


def snapshot(thing: Any) -> dict[str, Any] | None:
    """A thing as JSON."""
    if thing is None or isinstance(thing, dict):
        return thing
    shown: dict[str, Any] = to_jsonable_python({name: getattr(thing, name) for name in _SHOWN[type(thing)]})
    return shown
