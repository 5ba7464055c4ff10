"""Policies, tried: one wish of one person, and a changed policy on the transfers of the last days."""

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
from lambdas.policies.service import naming
from lambdas.ports import AgentReader, Clock, UserDirectory
from lambdas.store.policies import PolicyStore

MAX_TRANSFERS = 500
"""Transfers that one dry run decides; each takes two decisions of every movement of it."""


class TransferHistory(Protocol):
    def created(self, since: datetime, until: datetime, limit: int) -> list[Transfer]:
        """The newest first."""


class PolicySimulator:
    def __init__(
        self,
        store: PolicyStore,
        agents: AgentReader,
        people: UserDirectory,
        past: TransferHistory,
        zone: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._agents = agents
        self._people = people
        self._past = past
        self._zone = zone
        self._clock = clock

    def test(self, asked: PolicyTest, by: Principal) -> PolicyTestView:
        """Raises RefusedError if the transfer could never be."""
        person = self._person(asked, by)
        wish = TransferSpec.of(asked.transfer, asked.template_id)
        now = RequestTime(asked.at or self._clock(), self._zone)
        transfer = plan(new_transfer_id(), wish, person.actor, now.at)
        tags = tags_of(self._agents.get_many(transfer.agents).values())
        questions = movements(person, TRANSFER, transfer, tags, now, asked.size)
        here = policy_set(texts(in_force(self._store.all()[1])))
        verdicts = [here.decide(question) for question in questions]
        whole = worst(verdicts)
        return PolicyTestView(
            person=person.actor,
            groups=person.groups,
            outcome=whole.outcome,
            policies=whole.policies,
            movements=tuple(map(_movement, questions, verdicts)),
        )

    def dry_run(self, policy_id: str, asked: DryRunRequest) -> DryRunView:
        """Raises PolicyUnknownError if what is to be removed is not there, and PolicyError.

        People count with the groups they have now, agents with their tags of now: what is asked is what
        would become of the same wishes today, at the hour they came.
        """
        before = texts(in_force(self._store.all()[1]))
        if asked.text is None and policy_id not in before:
            raise PolicyUnknownError(policy_id)
        after = {name: text for name, text in before.items() if name != policy_id}
        if asked.text is not None:
            text = naming(asked.text, self._people)
            statements(text)
            after[policy_id] = text
        now = self._clock()
        found = self._past.created(now - timedelta(days=asked.days), now, MAX_TRANSFERS + 1)
        changed = self._changed(policy_set(before), policy_set(after), found[:MAX_TRANSFERS])
        checked = min(len(found), MAX_TRANSFERS)
        return DryRunView(checked=checked, changed=tuple(changed), complete=len(found) <= MAX_TRANSFERS)

    def _changed(
        self, before: PolicySet, after: PolicySet, found: list[Transfer]
    ) -> Iterator[ChangedDecision]:
        agents = self._agents.get_many(tuple({name for one in found for name in one.agents}))
        tags = tags_of(agents.values())
        for transfer in found:
            now = RequestTime(transfer.created_at, self._zone)
            person = self._people.find(transfer.acting)
            size = transfer.progress.bytes_total
            questions = movements(person, TRANSFER, transfer, tags, now, size)
            then, new = _all(before, questions), _all(after, questions)
            if then.outcome != new.outcome:
                yield ChangedDecision(
                    transfer_id=transfer.transfer_id,
                    created_by=transfer.created_by,
                    created_at=transfer.created_at,
                    agents=transfer.agents,
                    before=then.outcome,
                    after=new.outcome,
                    policies=new.policies,
                )

    def _person(self, asked: PolicyTest, by: Principal) -> Principal:
        himself = asked.person in {None, by.id, by.name}
        person = by if himself else self._people.named(asked.person or "")
        return person if asked.groups is None else replace(person, groups=asked.groups)


def _all(policies: PolicySet, questions: list[AuthorizationRequest]) -> Decision:
    return worst([policies.decide(question) for question in questions])


def _movement(question: AuthorizationRequest, verdict: Decision) -> MovementDecision:
    return MovementDecision(
        source=question.source,
        destination=question.destination,
        outcome=verdict.outcome,
        policies=verdict.policies,
    )
