"""Find the slot that a token opens: the name of an enrollment, or one of the many of a roll-out."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from events.base import AgentId
from events.requests import RegisterRequest
from events.rollouts import RolloutId
from lambdas.agents.tokens import is_secret
from lambdas.domain.errors import AgentNameError, TokenError
from lambdas.domain.rollout import Rollout, must_be_open, name_for
from lambdas.ports import Clock
from lambdas.store.base import Writes
from lambdas.store.enrollments import CLAIM_LIFETIME, Enrollment, EnrollmentStore
from lambdas.store.rollouts import RolloutStore

_ENROLLMENT_TOKEN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)\.[A-Za-z0-9_-]+")
"""The agent's name and the secret, so that a token finds its enrollment."""
_ROLLOUT_TOKEN = re.compile(r"rollout:([0-9a-f]{12})\.[A-Za-z0-9_-]+")
"""Distinct from the token of an enrollment, since an agent's name has no colon."""

CheckMayEnroll = Callable[[Rollout, AgentId], None]
"""Raises ForbiddenError unless the person who started the roll-out may still enroll this agent."""


class EnrollmentSlot(Protocol):
    """A slot for one agent: held by one registration at a time, and used up when that succeeds."""

    @property
    def agent_id(self) -> AgentId: ...
    @property
    def tags(self) -> dict[str, str]: ...
    @property
    def why(self) -> str:
        """For the audit: the roll-out that allowed it; empty for an enrollment."""

    def claim(self, now: datetime) -> None:
        """Reserve the slot; raises StaleError, NameReservedError or RolloutOverError."""

    def is_claimed(self, claimed_at: datetime) -> bool:
        """Return whether the claim made at this time still holds."""

    def release(self, claimed_at: datetime) -> None:
        """Give up the claim made at this time, after a failed registration."""

    def used(self, claimed_at: datetime) -> Writes:
        """Return the write that uses the slot up, conditional on the claim made at this time."""


@dataclass(frozen=True, kw_only=True)
class SingleSlot:
    """The one slot of an enrollment."""

    enrollment: Enrollment
    store: EnrollmentStore

    @property
    def agent_id(self) -> AgentId:
        return self.enrollment.agent_id

    @property
    def tags(self) -> dict[str, str]:
        return self.enrollment.tags

    @property
    def why(self) -> str:
        return ""

    def claim(self, now: datetime) -> None:
        self.store.claim(self.enrollment, now)

    def is_claimed(self, claimed_at: datetime) -> bool:
        return self.store.is_claimed(self.enrollment, claimed_at)

    def release(self, claimed_at: datetime) -> None:
        self.store.release(self.enrollment, claimed_at)

    def used(self, claimed_at: datetime) -> Writes:
        return self.store.used(self.enrollment, claimed_at)


@dataclass(frozen=True, kw_only=True)
class RolloutSlot(SingleSlot):
    """One of the slots of a roll-out.

    It is counted before it is used: a registration that is interrupted costs a slot, but the roll-out never
    admits more hosts than its count.
    """

    rollout: Rollout
    rollouts: RolloutStore

    @property
    def why(self) -> str:
        return f"roll-out {self.rollout.rollout_id} of {self.rollout.created_by.name}"

    def claim(self, now: datetime) -> None:
        self.store.reserve(self.enrollment, now)
        try:
            self.rollouts.take_slot(self.rollout, now)
        except Exception:
            self.store.forget(self.enrollment, now)
            raise

    def release(self, claimed_at: datetime) -> None:
        self.rollouts.give_back_slot(self.rollout)
        self.store.forget(self.enrollment, claimed_at)


class EnrollmentSlots:
    """Finds the slot that a token opens."""

    def __init__(
        self,
        enrollments: EnrollmentStore,
        rollouts: RolloutStore,
        check_may_enroll: CheckMayEnroll,
        clock: Clock,
    ) -> None:
        self._enrollments = enrollments
        self._rollouts = rollouts
        self._check_may_enroll = check_may_enroll
        self._clock = clock

    def find_slot(self, request: RegisterRequest) -> EnrollmentSlot:
        """Return the slot of the request's token.

        Raises:
            TokenError: The token is unknown, wrong or expired; the error does not tell which.
            RolloutOverError: The token is right, but the roll-out has ended or is full.
            AgentNameError: The token is right, but not for this name.
            ForbiddenError: The person who started the roll-out may not enroll this agent.
        """
        if match := _ROLLOUT_TOKEN.fullmatch(request.token):
            return self._of_rollout(match[1], request)
        return self._single(request)

    def _single(self, request: RegisterRequest) -> SingleSlot:
        found = _ENROLLMENT_TOKEN.fullmatch(request.token)
        enrollment = self._enrollments.get(found[1]) if found else None
        if not is_secret(request.token, enrollment.token_hash if enrollment else None):
            raise TokenError
        if enrollment is None or enrollment.expires_at <= self._clock():
            raise TokenError
        if request.agent_id not in {None, enrollment.agent_id}:
            raise AgentNameError(
                f"This token is for {enrollment.agent_id}, not for {request.agent_id}.", "Leave --name out."
            )
        return SingleSlot(enrollment=enrollment, store=self._enrollments)

    def _of_rollout(self, rollout_id: RolloutId, request: RegisterRequest) -> RolloutSlot:
        rollout, token_hash = self._rollouts.hashed(rollout_id)
        if not is_secret(request.token, token_hash) or rollout is None or token_hash is None:
            raise TokenError
        now = self._clock()
        must_be_open(rollout, now)
        agent_id = name_for(rollout, request.hostname, request.agent_id)
        self._check_may_enroll(rollout, agent_id)
        enrollment = Enrollment(
            agent_id=agent_id, token_hash=token_hash, tags=rollout.tags, expires_at=now + CLAIM_LIFETIME
        )
        return RolloutSlot(
            enrollment=enrollment, store=self._enrollments, rollout=rollout, rollouts=self._rollouts
        )
