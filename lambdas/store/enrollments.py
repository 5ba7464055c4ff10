"""Enrolments in DynamoDB, in the table of agents: one for a name at most, each good for one registration."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from events.base import AgentId
from lambdas.domain.errors import NameReservedError, StaleError
from lambdas.store.agent_rows import ROWS, EnrollmentRow
from lambdas.store.base import Writes, bind, no_writes, refusal_is, transaction

CLAIM_LIFETIME = timedelta(seconds=40)
"""How long a registration may take: beyond it, the one that claimed the token is taken for dead."""


@dataclass(frozen=True, kw_only=True)
class Enrollment:
    agent_id: AgentId
    token_hash: str
    tags: dict[str, str]
    expires_at: datetime


class EnrollmentStore:
    """Knows who may join."""

    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind(ROWS, table, region)

    def put(self, enrollment: Enrollment, also: Writes = no_writes) -> None:
        """Replaces an earlier one for the same name."""
        row = EnrollmentRow(
            _key(enrollment.agent_id),
            token_hash=enrollment.token_hash,
            tags=enrollment.tags,
            expires_at=enrollment.expires_at,
        )
        with transaction(self._region) as writes:
            writes.save(row)
            also(writes)

    def get(self, agent_id: AgentId) -> Enrollment | None:
        try:
            row = EnrollmentRow.get(_key(agent_id), consistent_read=True)
        except EnrollmentRow.DoesNotExist:
            return None
        return Enrollment(
            agent_id=agent_id, token_hash=row.token_hash, tags=row.tags, expires_at=row.expires_at
        )

    def claim(self, enrollment: Enrollment, now: datetime) -> None:
        """Keep others from registering with the same token meanwhile; raises StaleError if one does."""
        free = ~EnrollmentRow.claimed_at.exists() | (EnrollmentRow.claimed_at < now - CLAIM_LIFETIME)
        guard = (EnrollmentRow.token_hash == enrollment.token_hash) & free
        with refusal_is(StaleError(f"The enrolment of {enrollment.agent_id}")):
            EnrollmentRow(_key(enrollment.agent_id)).update([EnrollmentRow.claimed_at.set(now)], guard)

    def is_claimed(self, enrollment: Enrollment, then: datetime) -> bool:
        """Is it still who claimed it then that may use it?"""
        try:
            row = EnrollmentRow.get(_key(enrollment.agent_id), consistent_read=True)
        except EnrollmentRow.DoesNotExist:
            return False
        return row.token_hash == enrollment.token_hash and row.claimed_at == then

    def reserve(self, enrollment: Enrollment, now: datetime) -> None:
        """Keep others from this name while a host of a roll-out takes it: a claim that needed no enrolment.

        Raises NameReservedError if somebody has a token for it, or claims it.
        """
        row = EnrollmentRow(
            _key(enrollment.agent_id),
            token_hash=enrollment.token_hash,
            tags=enrollment.tags,
            claimed_at=now,
            expires_at=enrollment.expires_at,
        )
        with refusal_is(NameReservedError(enrollment.agent_id)):
            row.save(EnrollmentRow.agent_id.does_not_exist() | (EnrollmentRow.expires_at <= now))

    def forget(self, enrollment: Enrollment, now: datetime) -> None:
        """The host that reserved it then has failed: the name is free again."""
        with refusal_is(StaleError(f"The enrolment of {enrollment.agent_id}")):
            EnrollmentRow(_key(enrollment.agent_id)).delete(_mine(enrollment, now))

    def release(self, enrollment: Enrollment, now: datetime) -> None:
        """The registration that claimed it then has failed: the token may be tried again."""
        row = EnrollmentRow(_key(enrollment.agent_id))
        with refusal_is(StaleError(f"The enrolment of {enrollment.agent_id}")):
            row.update([EnrollmentRow.claimed_at.remove()], _mine(enrollment, now))

    def used(self, enrollment: Enrollment, now: datetime) -> Writes:
        """The write that uses it up, if it still is who claimed it then that writes."""

        def delete(writes: TransactWrite) -> None:
            writes.delete(EnrollmentRow(_key(enrollment.agent_id)), condition=_mine(enrollment, now))

        return delete


def _mine(enrollment: Enrollment, claimed_at: datetime) -> Condition:
    same_token: Condition = EnrollmentRow.token_hash == enrollment.token_hash
    same_claim: Condition = EnrollmentRow.claimed_at == claimed_at
    both: Condition = same_token & same_claim
    return both


def _key(agent_id: AgentId) -> str:
    return f"enrollment#{agent_id}"
