"""Record changes in the transaction that makes them, and refusals by themselves."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from events.audit import AuditRecord
from events.base import Actor, AgentId, TransferId
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
MAX_CHARS = 1_000
"""Longest text of a record that comes from a request, in characters: records cannot be deleted."""
MAX_POLICIES = 50
"""Most policies that a record names."""
Record = Callable[[Any, Any], Writes]
"""Return the audit writes of a change, given the object before and after it; None where there is none."""


def unrecorded(_: Any, __: Any) -> Writes:
    """Record nothing: no person requested the change."""
    return no_writes


class RecordStore(Protocol):
    """Stores audit records, by themselves or in the transaction of a change."""

    def writes_for(self, record: AuditRecord) -> Writes: ...
    def add_record(self, record: AuditRecord) -> None: ...


class RefusalSink(Protocol):
    """Counts equal refusals of an hour, and stores the record of the first one."""

    def add(self, record: AuditRecord, request_digest: str) -> None: ...


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

    def __init__(self, store: RecordStore, refusals: RefusalSink, clock: Clock) -> None:
        self._store = store
        self._refusals = refusals
        self._clock = clock

    def record_change(self, principal: Principal, event: AuditEvent, decision: Effect = "allowed") -> Record:
        """Return the function that gives the writes of this event, for the transaction of the change."""

        def recorded(before: Any, after: Any) -> Writes:
            snapshots = {"before": snapshot(before), "after": snapshot(after)}
            return self._store.writes_for(self._record(principal, event, decision, **snapshots))

        return recorded

    def record_access(self, principal: Principal, event: AuditEvent, details: dict[str, Any]) -> None:
        """Record issued credentials, or a log that is read, before they are handed out: nothing changes."""
        self._store.add_record(self._record(principal, event, "allowed", after=details))

    def record_refusal(
        self, principal: Principal, event: AuditEvent, why: str, request_digest: str = ""
    ) -> None:
        """Record a refusal, unless an equal one was recorded in this hour: that is counted.

        A failure is only logged, since the refusal holds in any case.
        """
        try:
            self._refusals.add(self._record(principal, event, "refused", why=why), request_digest)
        except Exception:
            logger.exception("refusal not recorded", extra={"who": principal.id, "action": event.action})

    def _record(self, principal: Principal, event: AuditEvent, decision: Effect, **more: Any) -> AuditRecord:
        now = self._clock()
        return AuditRecord.model_validate(
            {
                "action": bounded(event.action),
                "about": bounded(event.about),
                "why": bounded(more.pop("why", event.why)),
                "policies": tuple(map(bounded, event.policies[:MAX_POLICIES])),
                "transfer_id": event.transfer_id if _is_named(TransferId, event.transfer_id) else None,
                "agents": tuple(name for name in event.agents if _is_named(AgentId, name)),
                "record_id": new_record_id(now),
                "at": now,
                "who": Actor(id=principal.id, name=bounded(principal.name)),
                "address": principal.address and bounded(principal.address),
                "decision": decision,
                **more,
            }
        )


def new_record_id(now: datetime) -> str:
    """Return the id of a record that is written now."""
    return f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z-{secrets.token_hex(4)}"


def bounded(text: str) -> str:
    """Return the text without what JSON cannot carry, cut to MAX_CHARS; `…` marks a cut."""
    valid = text[:MAX_CHARS].encode("utf-8", "replace").decode()
    return valid if len(text) <= MAX_CHARS else f"{valid[:-1]}…"


def _is_named(kind: Any, name: str | None) -> bool:
    """Return whether a name from a request's path can be the name of such a thing at all."""
    try:
        TypeAdapter(kind).validate_python(name)
    except ValidationError:
        return False
    return True


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
        "drain",
    ),
    Policy: ("text", "version", "by"),
    Update: ("version", "digest", "state", "problem", "stage", "counts", "ended_by"),
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
