"""Simulate policies: test one transfer, or dry-run a changed policy on the transfers of recent days."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from events.policies import (
    ChangedDecision,
    DryRunRequest,
    DryRunView,
    MovementDecision,
    PolicyTest,
    PolicyTestView,
)
from lambdas.domain.authorization import (
    TRANSFER,
    AuthorizationRequest,
    Principal,
    RequestTime,
    movements,
    tags_of,
)
from lambdas.domain.errors import PolicyUnknownError
from lambdas.domain.plan import TransferSpec, new_transfer_id, plan
from lambdas.domain.policy import in_force, texts
from lambdas.domain.policy_set import Decision, PolicySet, policy_set, worst
from lambdas.domain.policy_text import statements
from lambdas.domain.transfer import Transfer
from lambdas.policies.service import with_user_ids
from lambdas.ports import AgentReader, Clock, UserDirectory
from lambdas.store.policies import PolicyStore

MAX_TRANSFERS = 500
"""Transfers that one dry run decides; each movement is decided twice."""


class TransferHistory(Protocol):
    """Finds transfers of the past."""

    def created(self, since: datetime, until: datetime, limit: int) -> list[Transfer]:
        """Return transfers created in this time, newest first."""


class PolicySimulator:
    """Decides transfers without starting them."""

    def __init__(
        self,
        store: PolicyStore,
        agents: AgentReader,
        users: UserDirectory,
        history: TransferHistory,
        zone: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._agents = agents
        self._users = users
        self._history = history
        self._zone = zone
        self._clock = clock

    def test(self, request: PolicyTest, by: Principal) -> PolicyTestView:
        """Decide a transfer without starting it; raises RefusedError if no such transfer is possible."""
        principal = self._principal(request, by)
        spec = TransferSpec.from_request(request.transfer, request.template_id)
        now = RequestTime(request.at or self._clock(), self._zone)
        transfer = plan(new_transfer_id(), spec, principal.actor, now.at)
        tags = tags_of(self._agents.get_many(transfer.agents).values())
        movement_requests = movements(principal, TRANSFER, transfer, tags, now, request.size)
        policies = policy_set(texts(in_force(self._store.list_policies()[1])))
        decisions = [policies.decide(movement) for movement in movement_requests]
        overall = worst(decisions)
        return PolicyTestView(
            person=principal.actor,
            groups=principal.groups,
            outcome=overall.outcome,
            policies=overall.policies,
            movements=tuple(map(_movement, movement_requests, decisions)),
        )

    def dry_run(self, policy_id: str, request: DryRunRequest) -> DryRunView:
        """List recent transfers that would be decided differently with the changed policy.

        Users have their current groups and agents their current tags; the time is that of the transfer.

        Raises:
            PolicyUnknownError: The policy to remove does not exist.
            InvalidPolicyError: The text is not valid.
        """
        before = texts(in_force(self._store.list_policies()[1]))
        if request.text is None and policy_id not in before:
            raise PolicyUnknownError(policy_id)
        after = {name: text for name, text in before.items() if name != policy_id}
        if request.text is not None:
            text = with_user_ids(request.text, self._users)
            statements(text)
            after[policy_id] = text
        now = self._clock()
        transfers = self._history.created(now - timedelta(days=request.days), now, MAX_TRANSFERS + 1)
        changed = self._changed(policy_set(before), policy_set(after), transfers[:MAX_TRANSFERS])
        checked = min(len(transfers), MAX_TRANSFERS)
        return DryRunView(checked=checked, changed=tuple(changed), complete=len(transfers) <= MAX_TRANSFERS)

    def _changed(
        self, before: PolicySet, after: PolicySet, transfers: list[Transfer]
    ) -> Iterator[ChangedDecision]:
        agents = self._agents.get_many(tuple({name for transfer in transfers for name in transfer.agents}))
        tags = tags_of(agents.values())
        for transfer in transfers:
            now = RequestTime(transfer.created_at, self._zone)
            principal = self._users.find_user(transfer.acting)
            size = transfer.size
            requests = movements(principal, TRANSFER, transfer, tags, now, size)
            decision_before = _decide_all(before, requests)
            decision_after = _decide_all(after, requests)
            if decision_before.outcome != decision_after.outcome:
                yield ChangedDecision(
                    transfer_id=transfer.transfer_id,
                    created_by=transfer.created_by,
                    created_at=transfer.created_at,
                    agents=transfer.agents,
                    before=decision_before.outcome,
                    after=decision_after.outcome,
                    policies=decision_after.policies,
                )

    def _principal(self, request: PolicyTest, by: Principal) -> Principal:
        is_self = request.person in {None, by.id, by.name}
        principal = by if is_self else self._users.named(request.person or "")
        return principal if request.groups is None else replace(principal, groups=request.groups)


def _decide_all(policies: PolicySet, requests: list[AuthorizationRequest]) -> Decision:
    return worst([policies.decide(request) for request in requests])


def _movement(request: AuthorizationRequest, decision: Decision) -> MovementDecision:
    return MovementDecision(
        source=request.source,
        destination=request.destination,
        outcome=decision.outcome,
        policies=decision.policies,
    )
