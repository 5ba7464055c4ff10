"""Record changes in the transaction that makes them, and refusals by themselves."""

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

ANONYMOUS_ID = "nobody"
"""The id under which a caller who is not signed in is recorded."""
Record = Callable[[Any, Any], Writes]
"""Return the audit writes of a change, given the object before and after it; None where there is none."""


def unrecorded(_: Any, __: Any) -> Writes:
    """Record nothing: no person requested the change."""
    return no_writes


class RecordStore(Protocol):
    """Stores audit records, by themselves or in the transaction of a change."""

    def writes_for(self, record: AuditRecord) -> Writes: ...
    def add_record(self, record: AuditRecord) -> None: ...


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """An audited action, as far as it is known before it happens."""

    action: str
    about: str
    transfer_id: str | None = None
    agents: tuple[AgentId, ...] = ()
    policies: tuple[str, ...] = ()
    why: str = ""


class AuditRecorder:
    """Creates audit records of changes, refusals and issued credentials."""

    def __init__(self, store: RecordStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def record_change(self, principal: Principal, event: AuditEvent, decision: Effect = "allowed") -> Record:
        """Return the function that gives the writes of this event, for the transaction of the change."""

        def recorded(before: Any, after: Any) -> Writes:
            snapshots = {"before": snapshot(before), "after": snapshot(after)}
            return self._store.writes_for(self._record(principal, event, decision, **snapshots))

        return recorded

    def record_credentials(self, principal: Principal, event: AuditEvent, details: dict[str, Any]) -> None:
        """Record issued credentials; called before they are handed out, since no change is written."""
        self._store.add_record(self._record(principal, event, "allowed", after=details))

    def record_refusal(self, principal: Principal, event: AuditEvent, why: str) -> None:
        """Record a refusal; if that fails, log it, since the refusal holds in any case."""
        try:
            self._store.add_record(self._record(principal, event, "refused", why=why))
        except Exception:
            logger.exception("refusal not recorded", extra={"who": principal.id, "action": event.action})

    def _record(self, principal: Principal, event: AuditEvent, decision: Effect, **more: Any) -> AuditRecord:
        now = self._clock()
        return AuditRecord.model_validate(
            {
                **event.__dict__,
                "record_id": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z-{secrets.token_hex(4)}",
                "at": now,
                "who": principal.actor,
                "address": principal.address,
                "decision": decision,
                **more,
            }
        )


_AUDITED_FIELDS: dict[type, tuple[str, ...]] = {
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
"""Fields of each type that are audited: none that is secret, and none that grows."""


def snapshot(value: Any) -> dict[str, Any] | None:
    """Return the audited fields of an object as JSON values."""
    if value is None or isinstance(value, dict):
        return value
    shown: dict[str, Any] = to_jsonable_python(
        {name: getattr(value, name) for name in _AUDITED_FIELDS[type(value)]}
    )
    return shown
