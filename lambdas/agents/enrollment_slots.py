"""Room for one agent, that a token opens: a name of its own, or one of a roll-out's many."""

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
"""The agent's name and the secret, so that a token finds its enrolment."""
_ROLLOUT_TOKEN = re.compile(r"rollout:([0-9a-f]{12})\.[A-Za-z0-9_-]+")
"""No agent's name has a colon in it."""

CheckMayEnroll = Callable[[Rollout, AgentId], None]
"""Raises ForbiddenError unless whoever started the roll-out may still enrol this one."""


class EnrollmentSlot(Protocol):
    """Held by one registration at a time, and used up when it ends well."""

    @property
    def agent_id(self) -> AgentId: ...
    @property
    def tags(self) -> dict[str, str]: ...
    @property
    def why(self) -> str:
        """For the audit: what let it in, if that is not the name's own enrolment."""

    def claim(self, now: datetime) -> None:
        """Keep others from it meanwhile; raises StaleError, NameReservedError or RolloutOverError."""

    def is_claimed(self, claimed_at: datetime) -> bool:
        """Is it still who claimed it then that may use it?"""

    def release(self, claimed_at: datetime) -> None:
        """The registration that claimed it then has failed: it may be tried again."""

    def used(self, claimed_at: datetime) -> Writes:
        """The write that uses it up, if it still is who claimed it then that writes."""


@dataclass(frozen=True, kw_only=True)
class SingleSlot:
    """Under the name of its own enrolment."""

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
    """One of a roll-out's. It is counted before it is used: a registration that dies in the middle costs a
    place, and none ever makes one too many."""

    rollout: Rollout
    rollouts: RolloutStore

    @property
    def why(self) -> str:
        return f"roll-out {self.rollout.rollout_id} of {self.rollout.created_by.name}"

    def claim(self, now: datetime) -> None:
        self.store.reserve(self.enrollment, now)
        try:
            self.rollouts.take(self.rollout, now)
        except Exception:
            self.store.forget(self.enrollment, now)
            raise

    def release(self, claimed_at: datetime) -> None:
        self.rollouts.give_back(self.rollout)
        self.store.forget(self.enrollment, claimed_at)


class EnrollmentSlots:
    """Finds what a token opens."""

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

    def find(self, request: RegisterRequest) -> EnrollmentSlot:
        """Raises TokenError, which says the same whatever is wrong; and, for whoever has the right token,
        RolloutOverError, AgentNameError or ForbiddenError."""
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
