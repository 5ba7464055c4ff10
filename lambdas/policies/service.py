"""Policies as people keep them: checked before they count, in versions, with who and why."""

from dataclasses import asdict

from events.policies import PoliciesView, PolicyDetails, PolicyRequest, PolicyView
from lambdas.audit.recorder import Record, unrecorded
from lambdas.domain.authorization import MANAGE_POLICY, SYSTEM, Principal, RequestTime, simple
from lambdas.domain.errors import (
    LimitError,
    LockoutError,
    PersonUnknownError,
    PolicyExistsError,
    PolicyUnknownError,
    StaleError,
)
from lambdas.domain.policy import ABSENT_VERSION, FIRST_VERSION, SHIPPED_BY, Policy, in_force, shipped, texts
from lambdas.domain.policy_set import policy_set
from lambdas.domain.policy_text import statements, with_ids
from lambdas.policies.decision_point import DecisionPoint
from lambdas.ports import Clock, UserDirectory
from lambdas.store.policies import PolicyStore
from lambdas.telemetry import logger

MAX_POLICIES = 500
MAX_SHOWN_VERSIONS = 20
"""Versions of before."""


class PolicyService:
    def __init__(
        self, store: PolicyStore, deciding: DecisionPoint, people: UserDirectory, zone: str, clock: Clock
    ) -> None:
        self._store = store
        self._deciding = deciding
        self._people = people
        self._zone = zone
        self._clock = clock

    def everything(self) -> PoliciesView:
        version, kept = self._store.all()
        return PoliciesView(version=version, policies=tuple(map(_view, in_force(kept).values())))

    def show(self, policy_id: str) -> PolicyDetails:
        """Raises PolicyUnknownError."""
        past = tuple(map(_view, self._store.past(policy_id, MAX_SHOWN_VERSIONS)))
        _, kept = self._store.all()
        policy = in_force(kept).get(policy_id)
        if policy is None:
            raise PolicyUnknownError(policy_id)
        return PolicyDetails(**_view(policy).model_dump(), past=past)

    def put(
        self,
        policy_id: str,
        request: PolicyRequest,
        by: Principal,
        over: int | None,
        record: Record = unrecorded,
    ) -> PolicyDetails:
        """A new version, or a new policy; with `over`, only in place of that version.

        Raises PolicyError, with places; LimitError; LockoutError if its author could not take it back;
        PolicyExistsError if it was to be new, and is not; StaleError if another version stands there.
        """
        text = naming(request.text, self._people)
        statements(text)
        self._change(policy_id, text, request.why, by, over, record)
        return self.show(policy_id)

    def remove(self, policy_id: str, why: str, by: Principal, record: Record = unrecorded) -> None:
        """Out of force; its versions stay. Raises PolicyUnknownError or LockoutError."""
        self._change(policy_id, None, why, by, None, record)

    def _change(
        self, policy_id: str, text: str | None, why: str, by: Principal, over: int | None, record: Record
    ) -> None:
        version, kept = self._store.all()
        old = in_force(kept).get(policy_id)
        if text is None and old is None:
            raise PolicyUnknownError(policy_id)
        _check_over(old, over)
        before = self._store.past(policy_id, 1) or ([old] if old else [])
        new = Policy(
            policy_id=policy_id,
            text=text,
            version=before[0].version + 1 if before else FIRST_VERSION,
            by=by.actor,
            at=self._clock(),
            why=why,
        )
        self._check_change(new, kept, by)
        keep = text is not None or shipped(policy_id) is not None
        self._store.write(version, new, keep, record(old, new))
        self._deciding.refresh()
        keys = {"policy_id": policy_id, "version": new.version, "by": by.id}
        logger.info("policy changed" if text else "policy removed", extra=keys)

    def _check_change(self, new: Policy, kept: list[Policy], by: Principal) -> None:
        others = [policy for policy in kept if policy.policy_id != new.policy_id]
        then = in_force([*others, new])
        if len(then) > MAX_POLICIES:
            raise LimitError(f"There would be {len(then)} policies.", f"Keep {MAX_POLICIES} at most.")
        question = simple(by, MANAGE_POLICY, SYSTEM, RequestTime(self._clock(), self._zone))
        if not policy_set(texts(then)).decide(question).allowed:
            raise LockoutError(
                f"With this change, {by.name} could not change policies any more, nor take it back.",
                "Keep a policy that permits you manage_policy, or let somebody do it who is not shut out.",
            )


def naming(text: str, people: UserDirectory) -> str:
    """A policy's text with people by their ids, whom its author may name by e-mail address; raises
    PolicyError."""

    def id_of(address: str) -> str | None:
        try:
            return people.id_of(address)
        except PersonUnknownError:
            return None

    return with_ids(text, id_of)


def _check_over(old: Policy | None, over: int | None) -> None:
    if over is None or over == (old.version if old else ABSENT_VERSION):
        return
    if old and over == ABSENT_VERSION:
        raise PolicyExistsError(old.policy_id, ships=old.by == SHIPPED_BY)
    raise StaleError("The policy")


def _view(policy: Policy) -> PolicyView:
    return PolicyView.model_validate(asdict(policy))
