"""Asks for every wish whether it may be, and says no with the policy that says so."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from events.base import Actor, AgentId
from lambdas.audit.recorder import AuditEvent, AuditRecorder, Record
from lambdas.domain import authorization as domain
from lambdas.domain.authorization import SYSTEM, AuthorizationRequest, Principal, RequestTime, Resource
from lambdas.domain.errors import ForbiddenError
from lambdas.domain.policy_set import Decision, worst
from lambdas.domain.template import Template
from lambdas.domain.timeline import by_template
from lambdas.domain.transfer import Transfer
from lambdas.policies.decision_point import DecisionPoint
from lambdas.ports import AgentReader, Authorization, AuthorizeTransfer, Clock, UserDirectory

_OF_CROSSHAUL = {domain.READ, domain.MANAGE_POLICY}
"""Actions that are about nothing narrower: at the door, all is known that there is to know."""

_WORDS = {
    domain.TRANSFER: "move {}",
    domain.STOP: "stop {}",
    domain.BROWSE: "look into {}",
    domain.READ: "look at {}",
    domain.MANAGE_AGENT: "enrol, change or remove {}",
    domain.MANAGE_TEMPLATE: "write or remove {}",
    domain.MANAGE_POLICY: "change the policies of {}",
}


_IN_GENERAL = {
    domain.TRANSFER: "files",
    domain.STOP: "transfers",
    domain.BROWSE: "agents and buckets",
    domain.MANAGE_AGENT: "agents",
    domain.MANAGE_TEMPLATE: "templates",
}


class Authorizer:
    def __init__(
        self,
        deciding: DecisionPoint,
        recording: AuditRecorder,
        agents: AgentReader,
        people: UserDirectory,
        zone: str,
        clock: Clock,
    ) -> None:
        self._deciding = deciding
        self._recording = recording
        self._agents = agents
        self._people = people
        self._zone = zone
        self._clock = clock

    @property
    def now(self) -> RequestTime:
        return RequestTime(self._clock(), self._zone)

    def precheck(self, person: Principal, action: str) -> None:
        """At the door, before anything is read: raises ForbiddenError if nothing could permit it.

        What is about something narrower than Crosshaul itself is decided once that is known.
        """
        if action in _OF_CROSSHAUL:
            self.check(person, action, SYSTEM)
        elif not self._deciding.may_at_all(person, action):
            raise forbidden(AuthorizationRequest(person, action), Decision("refused"))

    def check(self, person: Principal, action: str, thing: Resource, **context: Any) -> Decision:
        """Raises ForbiddenError unless this is allowed."""
        return self.authorize_request(domain.simple(person, action, thing, self.now, **context))

    def check_absent(self, who: Actor, action: str, thing: Resource) -> Decision:
        """The same for somebody who is not here: with the groups of now."""
        return self.check(self._people.find(who), action, thing)

    def agent(self, agent_id: AgentId) -> Resource:
        """As it is; one that is not there has no tags."""
        tags = domain.tags_of(self._agents.get_many((agent_id,)).values())
        return domain.agent_resource(agent_id, tags.get(agent_id, {}))

    def check_transfer(
        self, person: Principal, action: str, transfer: Transfer, size: int | None = None
    ) -> Decision:
        """Every movement of it, for this person; its size counts where it is known.

        Raises ForbiddenError at the first that is not allowed. An approval that one of them takes, all take.
        """
        tags = domain.tags_of(self._agents.get_many(transfer.agents).values())
        size = transfer.progress.bytes_total if size is None else size
        return self.decide_all(domain.movements(person, action, transfer, tags, self.now, size))

    def authorize(
        self, person: Principal, action: str, thing: Resource, deed: AuditEvent, **context: Any
    ) -> Record:
        """What is to be written with the deed, if it is allowed; raises ForbiddenError."""
        verdict = self.check(person, action, thing, **context)
        return self._recording.record_change(person, replace(deed, policies=verdict.policies))

    def authorize_transfer(self, person: Principal, action: str, deed: str) -> AuthorizeTransfer:
        """For whoever writes a transfer, to be asked in time."""

        def asked(transfer: Transfer) -> Authorization:
            verdict = self.check_transfer(person, action, transfer)
            return self._authorization(person, deed, transfer, verdict, (person.actor,))

        return asked

    def for_template(self, template: Template, size: int) -> AuthorizeTransfer:
        """A template acts as its owner, and goes no further than whoever wrote it last: each is asked about
        again at every firing, with the groups of now."""
        acting = tuple({one.id: one for one in (template.owner, template.changed_by)}.values())

        def asked(transfer: Transfer) -> Authorization:
            people = [self._people.find(one) for one in acting]
            verdicts = [self.check_transfer(one, domain.TRANSFER, transfer, size) for one in people]
            acts = Principal(by_template(template.template_id).id)
            return self._authorization(acts, "transfer.requested", transfer, worst(verdicts), acting)

        return asked

    def for_approval(self, person: Principal) -> AuthorizeTransfer:
        """Four eyes: another person than those who asked, who may move these files, too. And those who asked
        still must be allowed to."""

        def asked(transfer: Transfer) -> Authorization:
            asked_for = transfer.approval.asked_for if transfer.approval else ()
            if person.id in {one.id for one in asked_for}:
                raise ForbiddenError(
                    f"{person.name} asked for transfer {transfer.transfer_id}, and so may not approve it.",
                    f"Ask another person who may move these files: crosshaul approve {transfer.transfer_id}",
                    transfer.approval.policies if transfer.approval else (),
                )
            for one in asked_for:
                self.check_transfer(self._people.find(one), domain.TRANSFER, transfer)
            verdict = self.check_transfer(person, domain.TRANSFER, transfer)
            allowed = Decision("allowed", verdict.policies)
            return self._authorization(person, "transfer.approved", transfer, allowed, asked_for)

        return asked

    def _authorization(
        self,
        person: Principal,
        action: str,
        transfer: Transfer,
        verdict: Decision,
        asked_for: tuple[Actor, ...],
    ) -> Authorization:
        deed = AuditEvent(
            action=action,
            about=f"transfer {transfer.transfer_id}",
            transfer_id=transfer.transfer_id,
            agents=transfer.agents,
            policies=verdict.policies,
        )
        approval = verdict.policies if verdict.outcome == "approval" else ()
        return Authorization(
            approval, asked_for, self._recording.record_change(person, deed, verdict.outcome)
        )

    def decide_all(self, questions: Iterable[AuthorizationRequest]) -> Decision:
        return worst([self.authorize_request(question) for question in questions])

    def authorize_request(self, question: AuthorizationRequest) -> Decision:
        """The verdict, unless it is a refusal: that is raised as ForbiddenError."""
        verdict = self._deciding.decide(question)
        if verdict.outcome == "refused":
            raise forbidden(question, verdict)
        return verdict


def forbidden(question: AuthorizationRequest, verdict: Decision) -> ForbiddenError:
    what = _WORDS[question.action].format(_said(question))
    if question.principal.gone:
        return ForbiddenError(
            f"{question.principal.name} may not {what}: their account was deleted or disabled.",
            "Let another person ask for it, or make the template or the roll-out again as their own.",
        )
    if not verdict.policies:
        return ForbiddenError(
            f"{question.principal.name} may not {what}: no policy permits it.",
            "Ask an administrator for a group or a policy that does.",
        )
    names = ", ".join(verdict.policies)
    forbid = "the policies {} forbid it" if len(verdict.policies) > 1 else "the policy {} forbids it"
    return ForbiddenError(
        f"{question.principal.name} may not {what}: {forbid.format(names)}.",
        "An administrator can tell why it is so.",
        verdict.policies,
    )


def _said(question: AuthorizationRequest) -> str:
    """What a question is about, in words."""
    thing = question.resource
    if thing is SYSTEM:
        return _IN_GENERAL.get(question.action, "Crosshaul")
    if "destination_path" in question.context:
        return f"{question.source} to {question.destination}"
    return f"the {thing.kind.lower()} {thing.name}"
