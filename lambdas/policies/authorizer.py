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

_SYSTEM_ACTIONS = {domain.READ, domain.MANAGE_POLICY}
"""Actions that are about nothing narrower: at the door, all is known that there is to know."""

_ACTION_PHRASES = {
    domain.TRANSFER: "move {}",
    domain.STOP: "stop {}",
    domain.BROWSE: "look into {}",
    domain.READ: "look at {}",
    domain.MANAGE_AGENT: "enrol, change or remove {}",
    domain.MANAGE_TEMPLATE: "write or remove {}",
    domain.MANAGE_POLICY: "change the policies of {}",
}


_GENERAL_OBJECTS = {
    domain.TRANSFER: "files",
    domain.STOP: "transfers",
    domain.BROWSE: "agents and buckets",
    domain.MANAGE_AGENT: "agents",
    domain.MANAGE_TEMPLATE: "templates",
}


class Authorizer:
    def __init__(
        self,
        decision_point: DecisionPoint,
        recorder: AuditRecorder,
        agents: AgentReader,
        users: UserDirectory,
        zone: str,
        clock: Clock,
    ) -> None:
        self._decision_point = decision_point
        self._recorder = recorder
        self._agents = agents
        self._users = users
        self._zone = zone
        self._clock = clock

    @property
    def now(self) -> RequestTime:
        return RequestTime(self._clock(), self._zone)

    def precheck(self, principal: Principal, action: str) -> None:
        """At the door, before anything is read: raises ForbiddenError if nothing could permit it.

        What is about something narrower than Crosshaul itself is decided once that is known.
        """
        if action in _SYSTEM_ACTIONS:
            self.check(principal, action, SYSTEM)
        elif not self._decision_point.may_at_all(principal, action):
            raise forbidden(AuthorizationRequest(principal, action), Decision("refused"))

    def check(self, principal: Principal, action: str, resource: Resource, **context: Any) -> Decision:
        """Raises ForbiddenError unless this is allowed."""
        return self.authorize_request(domain.simple(principal, action, resource, self.now, **context))

    def check_absent(self, actor: Actor, action: str, resource: Resource) -> Decision:
        """The same for somebody who is not here: with the groups of now."""
        return self.check(self._users.find(actor), action, resource)

    def agent(self, agent_id: AgentId) -> Resource:
        """As it is; one that is not there has no tags."""
        tags = domain.tags_of(self._agents.get_many((agent_id,)).values())
        return domain.agent_resource(agent_id, tags.get(agent_id, {}))

    def check_transfer(
        self, principal: Principal, action: str, transfer: Transfer, size: int | None = None
    ) -> Decision:
        """Every movement of it, for this person; its size counts where it is known.

        Raises ForbiddenError at the first that is not allowed. An approval that one of them takes, all take.
        """
        tags = domain.tags_of(self._agents.get_many(transfer.agents).values())
        size = transfer.progress.bytes_total if size is None else size
        return self.decide_all(domain.movements(principal, action, transfer, tags, self.now, size))

    def authorize(
        self, principal: Principal, action: str, resource: Resource, event: AuditEvent, **context: Any
    ) -> Record:
        """What is to be written with the deed, if it is allowed; raises ForbiddenError."""
        decision = self.check(principal, action, resource, **context)
        return self._recorder.record_change(principal, replace(event, policies=decision.policies))

    def authorize_transfer(self, principal: Principal, action: str, event: str) -> AuthorizeTransfer:
        """For whoever writes a transfer, to be asked in time."""

        def authorize(transfer: Transfer) -> Authorization:
            decision = self.check_transfer(principal, action, transfer)
            return self._authorization(principal, event, transfer, decision, (principal.actor,))

        return authorize

    def for_template(self, template: Template, size: int) -> AuthorizeTransfer:
        """A template acts as its owner, and goes no further than whoever wrote it last: each is asked about
        again at every firing, with the groups of now."""
        actors = tuple({actor.id: actor for actor in (template.owner, template.changed_by)}.values())

        def authorize(transfer: Transfer) -> Authorization:
            users = [self._users.find(actor) for actor in actors]
            decisions = [self.check_transfer(user, domain.TRANSFER, transfer, size) for user in users]
            template_principal = Principal(by_template(template.template_id).id)
            return self._authorization(
                template_principal, "transfer.requested", transfer, worst(decisions), actors
            )

        return authorize

    def for_approval(self, principal: Principal) -> AuthorizeTransfer:
        """Four eyes: another person than those who asked, who may move these files, too. And those who asked
        still must be allowed to."""

        def authorize(transfer: Transfer) -> Authorization:
            asked_for = transfer.approval.asked_for if transfer.approval else ()
            if principal.id in {actor.id for actor in asked_for}:
                raise ForbiddenError(
                    f"{principal.name} asked for transfer {transfer.transfer_id}, and so may not approve it.",
                    f"Ask another person who may move these files: crosshaul approve {transfer.transfer_id}",
                    transfer.approval.policies if transfer.approval else (),
                )
            for actor in asked_for:
                self.check_transfer(self._users.find(actor), domain.TRANSFER, transfer)
            decision = self.check_transfer(principal, domain.TRANSFER, transfer)
            allowed = Decision("allowed", decision.policies)
            return self._authorization(principal, "transfer.approved", transfer, allowed, asked_for)

        return authorize

    def _authorization(
        self,
        principal: Principal,
        action: str,
        transfer: Transfer,
        decision: Decision,
        asked_for: tuple[Actor, ...],
    ) -> Authorization:
        event = AuditEvent(
            action=action,
            about=f"transfer {transfer.transfer_id}",
            transfer_id=transfer.transfer_id,
            agents=transfer.agents,
            policies=decision.policies,
        )
        approval = decision.policies if decision.outcome == "approval" else ()
        return Authorization(
            approval, asked_for, self._recorder.record_change(principal, event, decision.outcome)
        )

    def decide_all(self, requests: Iterable[AuthorizationRequest]) -> Decision:
        return worst([self.authorize_request(request) for request in requests])

    def authorize_request(self, request: AuthorizationRequest) -> Decision:
        """The verdict, unless it is a refusal: that is raised as ForbiddenError."""
        decision = self._decision_point.decide(request)
        if decision.outcome == "refused":
            raise forbidden(request, decision)
        return decision


def forbidden(request: AuthorizationRequest, decision: Decision) -> ForbiddenError:
    phrase = _ACTION_PHRASES[request.action].format(_describe_object(request))
    if request.principal.gone:
        return ForbiddenError(
            f"{request.principal.name} may not {phrase}: their account was deleted or disabled.",
            "Let another person ask for it, or make the template or the roll-out again as their own.",
        )
    if not decision.policies:
        return ForbiddenError(
            f"{request.principal.name} may not {phrase}: no policy permits it.",
            "Ask an administrator for a group or a policy that does.",
        )
    names = ", ".join(decision.policies)
    forbid = "the policies {} forbid it" if len(decision.policies) > 1 else "the policy {} forbids it"
    return ForbiddenError(
        f"{request.principal.name} may not {phrase}: {forbid.format(names)}.",
        "An administrator can tell why it is so.",
        decision.policies,
    )


def _describe_object(request: AuthorizationRequest) -> str:
    """What a question is about, in words."""
    resource = request.resource
    if resource is SYSTEM:
        return _GENERAL_OBJECTS.get(request.action, "Crosshaul")
    if "destination_path" in request.context:
        return f"{request.source} to {request.destination}"
    return f"the {resource.kind.lower()} {resource.name}"
