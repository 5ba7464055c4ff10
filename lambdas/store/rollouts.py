"""Rollouts in DynamoDB, in the agents table. Lists use the index `fleet`."""

from dataclasses import fields
from datetime import datetime, timedelta

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from events.base import Actor
from events.rollouts import RolloutId
from lambdas.domain.errors import ReusedKeyError, RolloutUnknownError, StaleError
from lambdas.domain.rollout import Rollout, must_be_open
from lambdas.store.agent_rows import ROWS, AgentRow
from lambdas.store.base import ActorAttribute, JsonOf, Writes, bind, refusal_is, transaction
from lambdas.store.optimistic import retry_stale

KIND = "rollout"
RETENTION = timedelta(days=30)
"""How long a rollout can be read after it has expired."""


class RolloutRow(Model):
    """A rollout; the attributes have the names of the domain's fields.

    Exceptions: `places` is the field `count`, `ends_at` is `expires_at`, `expires_at` the row's TTL.
    """

    class Meta:
        table_name = ""

    agent_id = UnicodeAttribute(hash_key=True)
    kind = UnicodeAttribute(default=KIND)
    token_hash = UnicodeAttribute()
    name = UnicodeAttribute()
    places = NumberAttribute()
    used = NumberAttribute()
    tags: JsonOf[dict[str, str]] = JsonOf(dict[str, str])
    created_by = ActorAttribute()
    created_at = UTCDateTimeAttribute()
    ends_at = UTCDateTimeAttribute()
    ended_at = UTCDateTimeAttribute(null=True)
    ended_by = ActorAttribute(null=True)
    expires_at = TTLAttribute()


class RolloutStore:
    """The only reader and writer of rollouts; counts the hosts that join."""

    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind((*ROWS, RolloutRow), table, region)

    def create_rollout(self, rollout: Rollout, token_hash: str, also: Writes) -> None:
        """Write a new rollout; a repetition replaces the token of one that no host has used.

        Raises:
            ReusedKeyError: hosts have used the token, or the rollout has ended.
        """
        untouched = (RolloutRow.used == 0) & ~RolloutRow.ended_at.exists()
        guard = RolloutRow.agent_id.does_not_exist() | untouched
        with refusal_is(ReusedKeyError(_USED)), transaction(self._region) as writes:
            writes.save(_row(rollout, token_hash), condition=guard)
            also(writes)

    def get(self, rollout_id: RolloutId) -> Rollout:
        """Return a rollout; raise RolloutUnknownError if it does not exist."""
        return _rollout(self._row(rollout_id))

    def hashed(self, rollout_id: RolloutId) -> tuple[Rollout | None, str | None]:
        """Return a rollout and its token's hash; None and None if it does not exist."""
        try:
            row = self._row(rollout_id)
        except RolloutUnknownError:
            return None, None
        return _rollout(row), row.token_hash

    def list_rollouts(self, limit: int, after: RolloutId | None) -> tuple[list[Rollout], RolloutId | None]:
        """Return the rollouts with ids after `after`, and the last id if there may be more."""
        beyond = AgentRow.agent_id > _key(after or "")
        keys = [row.agent_id for row in AgentRow.fleet.query(KIND, beyond, limit=limit)]
        found = [_rollout(row) for row in RolloutRow.batch_get(keys)]
        return found, _id(keys[-1]) if len(keys) == limit else None

    def take_slot(self, rollout: Rollout, now: datetime) -> None:
        """Count one more host, never beyond the limit, even if many join at once.

        This is not a transaction: two hundred of them would conflict with one another.

        Raises:
            RolloutOverError: the rollout accepts no more hosts.
            StaleError: concurrent changes won every retry.
        """
        room = RolloutRow.used < rollout.count
        guard = room & ~RolloutRow.ended_at.exists() & (RolloutRow.ends_at > now)
        subject = f"Rollout {rollout.rollout_id}"

        def count() -> None:
            with refusal_is(StaleError(subject)):
                RolloutRow(_key(rollout.rollout_id)).update([RolloutRow.used.add(1)], guard)

        def on_stale(_: int) -> None:
            must_be_open(self.get(rollout.rollout_id), now)

        retry_stale(count, subject, on_stale=on_stale)

    def give_back_slot(self, rollout: Rollout) -> None:
        """Subtract a host that was counted and has not joined."""
        with refusal_is(StaleError(f"Rollout {rollout.rollout_id}")):
            RolloutRow(_key(rollout.rollout_id)).update([RolloutRow.used.add(-1)], RolloutRow.used > 0)

    def end_rollout(self, rollout_id: RolloutId, at: datetime, by: Actor, also: Writes) -> None:
        """End a rollout; raise StaleError if it has ended, or a host is being counted at this moment."""
        row = RolloutRow(_key(rollout_id))
        actions: list[Action] = [RolloutRow.ended_at.set(at), RolloutRow.ended_by.set(by)]
        going = RolloutRow.agent_id.exists() & ~RolloutRow.ended_at.exists()
        with refusal_is(StaleError(f"Rollout {rollout_id}")), transaction(self._region) as writes:
            writes.update(row, actions, condition=going)
            also(writes)

    def _row(self, rollout_id: RolloutId) -> RolloutRow:
        try:
            return RolloutRow.get(_key(rollout_id), consistent_read=True)
        except RolloutRow.DoesNotExist:
            raise RolloutUnknownError(rollout_id) from None


_USED = "A rollout with this Idempotency-Key already exists, and hosts have joined or it has ended."
_OWN = {"rollout_id", "expires_at", "count", "used"}
_SAME = tuple(one.name for one in fields(Rollout) if one.name not in _OWN)


def _key(rollout_id: str) -> str:
    return f"{KIND}#{rollout_id}"


def _id(key: str) -> RolloutId:
    return key.partition("#")[2]


def _row(rollout: Rollout, token_hash: str) -> RolloutRow:
    return RolloutRow(
        _key(rollout.rollout_id),
        token_hash=token_hash,
        places=rollout.count,
        used=rollout.used,
        ends_at=rollout.expires_at,
        expires_at=rollout.expires_at + RETENTION,
        **{name: getattr(rollout, name) for name in _SAME},
    )


def _rollout(row: RolloutRow) -> Rollout:
    return Rollout(
        rollout_id=_id(row.agent_id),
        count=int(row.places),
        used=int(row.used),
        expires_at=row.ends_at,
        **{name: getattr(row, name) for name in _SAME},
    )
