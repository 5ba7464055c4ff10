"""Start, show and end roll-outs. How a host joins by one is in `enrollment_slots`."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from events.base import Actor
from events.rollouts import RolloutId, RolloutRequest, RolloutsView, RolloutView, StartedRolloutView
from lambdas.agents.cursors import parse_cursor
from lambdas.agents.install_command import TOKEN_FILE, install_command
from lambdas.agents.tokens import hash_of, new_secret
from lambdas.audit.recorder import Record, unrecorded
from lambdas.domain import rollout as domain
from lambdas.domain.rollout import Rollout
from lambdas.ports import Clock
from lambdas.store.installer import InstallerStore
from lambdas.store.optimistic import retry_stale
from lambdas.store.rollouts import RolloutStore
from lambdas.telemetry import logger


class RolloutService:
    """Starts, lists and ends roll-outs."""

    def __init__(self, store: RolloutStore, installers: InstallerStore, clock: Clock) -> None:
        self._store = store
        self._installers = installers
        self._clock = clock

    def start_rollout(
        self,
        request: RolloutRequest,
        rollout_id: RolloutId,
        by: Actor,
        api_url: str,
        record: Record = unrecorded,
    ) -> StartedRolloutView:
        """Create a token for `request.count` hosts; raises ReusedKeyError if a host has already joined."""
        token = f"rollout:{rollout_id}.{new_secret()}"
        now = self._clock().replace(microsecond=0)
        rollout = Rollout(
            rollout_id=rollout_id,
            name=request.name,
            count=request.count,
            tags=dict(request.tags),
            created_by=by,
            created_at=now,
            expires_at=now + timedelta(seconds=request.expires_in),
        )
        self._store.create_rollout(rollout, hash_of(token), record(None, rollout))
        logger.info("roll-out started", extra={"rollout_id": rollout_id, "count": request.count})
        command = install_command(self._installers.get(), api_url, request.roots, TOKEN_FILE)
        return StartedRolloutView(**self._view_fields(rollout), token=token, command=command)

    def list_rollouts(self, limit: int, after: str | None) -> RolloutsView:
        """Return one page, sorted newest first; raises CursorError."""
        rollouts, following = self._store.list_rollouts(limit, parse_cursor(RolloutId, after))
        return RolloutsView(rollouts=self._views(rollouts), next=following)

    def get(self, rollout_id: RolloutId) -> Rollout:
        """Return a roll-out; raises RolloutUnknownError."""
        return self._store.get(rollout_id)

    def end_rollout(self, rollout_id: RolloutId, by: Actor, record: Record = unrecorded) -> RolloutView:
        """Invalidate the token; agents that have joined stay. Raises RolloutUnknownError."""

        def attempt() -> Rollout:
            rollout = self._store.get(rollout_id)
            if rollout.ended_at is not None:
                return rollout
            now = self._clock()
            ended = replace(rollout, ended_at=now, ended_by=by)
            self._store.end_rollout(rollout_id, now, by, record(rollout, ended))
            logger.info("roll-out ended", extra={"rollout_id": rollout_id, "by": by.id})
            return ended

        return self._view(retry_stale(attempt, f"The roll-out {rollout_id}"))

    def _views(self, rollouts: Iterable[Rollout]) -> tuple[RolloutView, ...]:
        newest_first = sorted(rollouts, key=lambda rollout: rollout.created_at, reverse=True)
        return tuple(self._view(rollout) for rollout in newest_first)

    def _view(self, rollout: Rollout) -> RolloutView:
        return RolloutView(**self._view_fields(rollout))

    def _view_fields(self, rollout: Rollout) -> dict[str, Any]:
        return {**asdict(rollout), "state": domain.state(rollout, self._clock())}
