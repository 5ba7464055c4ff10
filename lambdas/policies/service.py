"""Manage policies: validated before they take effect, in versions with author and reason."""

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
from lambdas.domain.problems import TOO_MANY_POLICIES
from lambdas.policies.decision_point import DecisionPoint
from lambdas.ports import Clock, UserDirectory
from lambdas.store.policies import PolicyStore
from lambdas.telemetry import logger

MAX_POLICIES = 500
MAX_SHOWN_VERSIONS = 20
"""Latest versions that a policy's details include."""


class PolicyService:
    """Lists, shows, writes and removes policies."""

    def __init__(
        self, store: PolicyStore, decision_point: DecisionPoint, users: UserDirectory, zone: str, clock: Clock
    ) -> None:
        self._store = store
        self._decision_point = decision_point
        self._users = users
        self._zone = zone
        self._clock = clock

    def list_policies(self) -> PoliciesView:
        """Return the policies in force."""
        version, stored = self._store.list_policies()
        return PoliciesView(version=version, policies=tuple(map(_view, in_force(stored).values())))

    def show_policy(self, policy_id: str) -> PolicyDetails:
        """Return a policy with its latest versions; raises PolicyUnknownError."""
        past = tuple(map(_view, self._store.past(policy_id, MAX_SHOWN_VERSIONS)))
        _, stored = self._store.list_policies()
        policy = in_force(stored).get(policy_id)
        if policy is None:
            raise PolicyUnknownError(policy_id)
        return PolicyDetails(**_view(policy).model_dump(), past=past)

    def put_policy(
        self,
        policy_id: str,
        request: PolicyRequest,
        by: Principal,
        expected_version: int | None,
        record: Record = unrecorded,
    ) -> PolicyDetails:
        """Create a policy or a new version; with `expected_version`, only in place of that version.

        Raises:
            InvalidPolicyError: The text is not valid; the error has line and column.
            LimitError: There would be too many policies.
            LockoutError: The author could no longer change policies.
            PolicyExistsError: `expected_version` says that the policy is new, but it exists.
            StaleError: The current version is not `expected_version`.
        """
        text = with_user_ids(request.text, self._users)
        statements(text)
        self._change(policy_id, text, request.why, by, expected_version, record)
        return self.show_policy(policy_id)

    def remove_policy(self, policy_id: str, why: str, by: Principal, record: Record = unrecorded) -> None:
        """Remove a policy and keep its versions; raises PolicyUnknownError or LockoutError."""
        self._change(policy_id, None, why, by, None, record)

    def _change(
        self,
        policy_id: str,
        text: str | None,
        why: str,
        by: Principal,
        expected_version: int | None,
        record: Record,
    ) -> None:
        version, stored = self._store.list_policies()
        old = in_force(stored).get(policy_id)
        if text is None and old is None:
            raise PolicyUnknownError(policy_id)
        _check_expected_version(old, expected_version)
        previous = self._store.past(policy_id, 1) or ([old] if old else [])
        new = Policy(
            policy_id=policy_id,
            text=text,
            version=previous[0].version + 1 if previous else FIRST_VERSION,
            by=by.actor,
            at=self._clock(),
            why=why,
        )
        self._check_change(new, stored, by)
        keep = text is not None or shipped(policy_id) is not None
        self._store.write_policy(version, new, keep, record(old, new))
        self._decision_point.refresh()
        keys = {"policy_id": policy_id, "version": new.version, "by": by.id}
        logger.info("policy changed" if text else "policy removed", extra=keys)

    def _check_change(self, new: Policy, stored: list[Policy], by: Principal) -> None:
        others = [policy for policy in stored if policy.policy_id != new.policy_id]
        resulting = in_force([*others, new])
        if len(resulting) > MAX_POLICIES:
            raise LimitError(words=TOO_MANY_POLICIES, count=len(resulting), limit=MAX_POLICIES)
        request = simple(by, MANAGE_POLICY, SYSTEM, RequestTime(self._clock(), self._zone))
        if not policy_set(texts(resulting)).decide(request).allowed:
            raise LockoutError(by.name)


def with_user_ids(text: str, users: UserDirectory) -> str:
    """Return a policy's text with the e-mail addresses of users replaced by their ids.

    Raises InvalidPolicyError.
    """

    def id_of(address: str) -> str | None:
        try:
            return users.id_of(address)
        except PersonUnknownError:
            return None

    return with_ids(text, id_of)


def _check_expected_version(old: Policy | None, expected_version: int | None) -> None:
    if expected_version is None or expected_version == (old.version if old else ABSENT_VERSION):
        return
    if old and expected_version == ABSENT_VERSION:
        raise PolicyExistsError(old.policy_id, ships=old.by == SHIPPED_BY)
    raise StaleError("The policy")


def _view(policy: Policy) -> PolicyView:
    return PolicyView.model_validate(asdict(policy))
