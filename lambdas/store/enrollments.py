"""Enrollments in DynamoDB, in the agents table: at most one per name, each valid for one registration."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from events.base import AgentId
from lambdas.domain.errors import NameReservedError, StaleError
from lambdas.store.agent_rows import ROWS, EnrollmentRow
from lambdas.store.base import Writes, bind, no_writes, refusal_is, transaction

CLAIM_LIFETIME = timedelta(seconds=40)
"""How long a registration may take; after that, its claim of the token expires."""


@dataclass(frozen=True, kw_only=True)
class Enrollment:
    """A permission to register one agent with a token."""

    agent_id: AgentId
    token_hash: str
    tags: dict[str, str]
    expires_at: datetime


class EnrollmentStore:
    """The only reader and writer of enrollments."""

    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind(ROWS, table, region)

    def save_enrollment(self, enrollment: Enrollment, also: Writes = no_writes) -> None:
        """Write an enrollment; replaces an earlier one of that name."""
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
        """Claim the token for one registration; raise StaleError if another holds the claim."""
        free = ~EnrollmentRow.claimed_at.exists() | (EnrollmentRow.claimed_at < now - CLAIM_LIFETIME)
        guard = (EnrollmentRow.token_hash == enrollment.token_hash) & free
        with refusal_is(StaleError(f"The enrollment of {enrollment.agent_id}")):
            EnrollmentRow(_key(enrollment.agent_id)).update([EnrollmentRow.claimed_at.set(now)], guard)

    def is_claimed(self, enrollment: Enrollment, then: datetime) -> bool:
        """Return whether the claim made at `then` still holds."""
        try:
            row = EnrollmentRow.get(_key(enrollment.agent_id), consistent_read=True)
        except EnrollmentRow.DoesNotExist:
            return False
        return row.token_hash == enrollment.token_hash and row.claimed_at == then

    def reserve(self, enrollment: Enrollment, now: datetime) -> None:
        """Reserve a name for a host of a rollout: a claim without an earlier enrollment.

        Raises:
            NameReservedError: a token exists for the name, or another host claims it.
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
        """Free a reserved name whose host failed to register; raise StaleError if the claim has changed."""
        with refusal_is(StaleError(f"The enrollment of {enrollment.agent_id}")):
            EnrollmentRow(_key(enrollment.agent_id)).delete(_mine(enrollment, now))

    def release(self, enrollment: Enrollment, now: datetime) -> None:
        """Release the claim of a failed registration, so that the token can be used again."""
        row = EnrollmentRow(_key(enrollment.agent_id))
        with refusal_is(StaleError(f"The enrollment of {enrollment.agent_id}")):
            row.update([EnrollmentRow.claimed_at.remove()], _mine(enrollment, now))

    def used(self, enrollment: Enrollment, now: datetime) -> Writes:
        """Return the write that consumes the enrollment, on condition that the claim still holds."""

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
