"""Authorize every request, and name the policy that forbids it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from events.base import Actor, AgentId
from events.problem_type import ProblemType
from events.views import StartDecision
from lambdas.audit.recorder import AuditEvent, AuditRecorder, Record
from lambdas.domain import authorization as domain
from lambdas.domain import problems
from lambdas.domain.authorization import SYSTEM, AuthorizationRequest, Principal, RequestTime, Resource
from lambdas.domain.errors import ForbiddenError
from lambdas.domain.policy_set import Decision, worst
from lambdas.domain.template import Template
from lambdas.domain.timeline import by_template
from lambdas.domain.transfer import Transfer
from lambdas.policies.decision_point import DecisionPoint
from lambdas.ports import AgentReader, Authorization, AuthorizeTransfer, Clock, Refusal, UserDirectory

_SYSTEM_ACTIONS = {domain.READ, domain.MANAGE_POLICY}
"""Actions on Crosshaul as a whole; the precheck can decide them completely."""

_ACTION_PHRASES = {
    domain.TRANSFER: "move {}",
    domain.STOP: "stop {}",
    domain.BROWSE: "browse {}",
    domain.READ: "view {}",
    domain.MANAGE_AGENT: "enroll, change or remove {}",
    domain.DRAIN_AGENT: "drain {}",
    domain.READ_LOG: "read the log of {}",
    domain.MANAGE_TEMPLATE: "create, change or remove {}",
    domain.MANAGE_POLICY: "change the policies of {}",
}


_GENERAL_OBJECTS = {
    domain.TRANSFER: "files",
    domain.STOP: "transfers",
    domain.BROWSE: "agents and buckets",
    domain.MANAGE_AGENT: "agents",
    domain.DRAIN_AGENT: "agents",
    domain.READ_LOG: "agents",
    domain.MANAGE_TEMPLATE: "templates",
}


class Authorizer:
    """Enforces the decisions of policies and prepares the audit records of allowed changes."""

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
        """The current time, in the time zone of the policies."""
        return RequestTime(self._clock(), self._zone)

    def precheck(self, principal: Principal, action: str) -> None:
        """Reject, before anything is read, what no policy could permit; raises ForbiddenError.

        An action on one resource is decided once that resource is known.
        """
        if action in _SYSTEM_ACTIONS:
            self.check(principal, action, SYSTEM)
        elif not self._decision_point.may_at_all(principal, action):
            raise forbidden(AuthorizationRequest(principal, action), Decision("refused"))

    def check(self, principal: Principal, action: str, resource: Resource, **context: Any) -> Decision:
        """Return the decision; raises ForbiddenError unless the action is allowed."""
        return self.authorize_request(domain.simple(principal, action, resource, self.now, **context))

    def check_absent(self, actor: Actor, action: str, resource: Resource) -> Decision:
        """Check an action of a user who is not signed in, by the groups they have now.

        Raises ForbiddenError unless it is allowed.
        """
        return self.check(self._users.find_user(actor), action, resource)

    def agent(self, agent_id: AgentId) -> Resource:
        """Return the agent as a resource with its current tags; an unknown agent has none."""
        tags = domain.tags_of(self._agents.get_many((agent_id,)).values())
        return domain.agent_resource(agent_id, tags.get(agent_id, {}))

    def check_transfer(self, principal: Principal, action: str, transfer: Transfer) -> Decision:
        """Check every movement of a transfer, with its `authorized_size`; if one needs approval, all do.

        Raises ForbiddenError at the first movement that is not allowed.
        """
        tags = domain.tags_of(self._agents.get_many(transfer.agents).values())
        size = transfer.authorized_size
        return self.decide_all(domain.movements(principal, action, transfer, tags, self.now, size))

    def authorize(
        self, principal: Principal, action: str, resource: Resource, event: AuditEvent, **context: Any
    ) -> Record:
        """Return what is audited with an allowed change; raises ForbiddenError unless it is allowed."""
        decision = self.check(principal, action, resource, **context)
        return self._recorder.record_change(principal, replace(event, policies=decision.policies))

    def authorize_transfer(self, principal: Principal, action: str, event: str) -> AuthorizeTransfer:
        """Return the check that is called before a transfer is written."""

        def authorize(transfer: Transfer) -> Authorization:
            sized = replace(transfer, authorized_size=transfer.size)
            decision = self.check_transfer(principal, action, sized)
            begins = self._as_preview(principal, sized, decision) if action == domain.TRANSFER else decision
            authorization = self._authorization(principal, event, sized, begins, (principal.actor,))
            if not transfer.options.dry_run:
                return authorization
            waits = decision.outcome == "approval"
            real_start = StartDecision(needs_approval=waits, policies=decision.policies if waits else ())
            return replace(authorization, real_start=real_start)

        return authorize

    def _as_preview(self, principal: Principal, transfer: Transfer, decision: Decision) -> Decision:
        """Return the decision about a start, which may be that of a dry run.

        A dry run waits for no approval, since it sees what browsing both ends shows: that is decided instead.
        With an end in S3 it waits, because the agent's credentials open the objects themselves.
        """
        needed = decision.outcome == "approval" and transfer.options.dry_run
        if not needed or any(hop.route == "s3" for hop in transfer.hops):
            return decision
        tags = domain.tags_of(self._agents.get_many(transfer.agents).values())
        return self.decide_all(domain.browsing(principal, transfer, tags, self.now))

    def for_template(self, template: Template, size: int) -> AuthorizeTransfer:
        """Return the check of a transfer that a template creates.

        Both the owner and the last author of the template must be allowed, by the groups they have now.
        """
        actors = tuple({actor.id: actor for actor in (template.owner, template.changed_by)}.values())

        def authorize(transfer: Transfer) -> Authorization:
            users = [self._users.find_user(actor) for actor in actors]
            sized = replace(transfer, authorized_size=size)
            decisions = [self.check_transfer(user, domain.TRANSFER, sized) for user in users]
            template_principal = Principal(by_template(template.template_id).id)
            return self._authorization(
                template_principal, "transfer.requested", sized, worst(decisions), actors
            )

        return authorize

    def for_start(self, transfer: Transfer) -> Authorization | Refusal:
        """Decide a start again, for all who asked for it, by the groups they have now.

        A hop that waited, a later hop of a chain and an automatic retry start without a request of a person.
        The size is the authorized one: what is listed since does not end what was allowed.
        """
        people = [self._users.find_user(actor) for actor in transfer.asked_for]
        acting = Principal(transfer.created_by.id, name=transfer.created_by.name)
        try:
            decisions = [
                self._as_preview(person, transfer, self.check_transfer(person, domain.TRANSFER, transfer))
                for person in people
            ]
        except ForbiddenError as error:
            event = replace(_event("transfer.started", transfer, error.policies), why=error.problem.message)
            return Refusal(error.problem, self._recorder.record_change(acting, event, "refused"))
        return self._authorization(acting, "transfer.started", transfer, worst(decisions), transfer.asked_for)

    def for_approval(self, principal: Principal) -> AuthorizeTransfer:
        """Return the check of an approval.

        The approver must not be a requester. Approver and requesters must be allowed to make the transfer.
        """

        def authorize(transfer: Transfer) -> Authorization:
            asked_for = _other_requesters(principal, transfer, problems.OWN_APPROVAL)
            sized = replace(transfer, authorized_size=transfer.size)
            for actor in asked_for:
                self.check_transfer(self._users.find_user(actor), domain.TRANSFER, sized)
            decision = self.check_transfer(principal, domain.TRANSFER, sized)
            allowed = Decision("allowed", decision.policies)
            return self._authorization(principal, "transfer.approved", sized, allowed, asked_for)

        return authorize

    def for_decline(self, principal: Principal, why: str) -> AuthorizeTransfer:
        """Return the check of a declined approval: by a person who is no requester and may make the transfer.

        Whether the requesters still may does not matter, since nothing starts.
        """

        def authorize(transfer: Transfer) -> Authorization:
            asked_for = _other_requesters(principal, transfer, problems.OWN_DECLINE)
            sized = replace(transfer, authorized_size=transfer.size)
            decision = self.check_transfer(principal, domain.TRANSFER, sized)
            event = replace(_event("transfer.declined", transfer, decision.policies), why=why)
            record = self._recorder.record_change(principal, event)
            return Authorization((), asked_for, sized.authorized_size, record)

        return authorize

    def _authorization(
        self,
        principal: Principal,
        action: str,
        transfer: Transfer,
        decision: Decision,
        asked_for: tuple[Actor, ...],
    ) -> Authorization:
        event = _event(action, transfer, decision.policies)
        approval = decision.policies if decision.outcome == "approval" else ()
        record = self._recorder.record_change(principal, event, decision.outcome)
        return Authorization(approval, asked_for, transfer.authorized_size, record)

    def decide_all(self, requests: Iterable[AuthorizationRequest]) -> Decision:
        """Return the strictest of the decisions; raises ForbiddenError at the first refusal."""
        return worst([self.authorize_request(request) for request in requests])

    def authorize_request(self, request: AuthorizationRequest) -> Decision:
        """Return the decision; raises ForbiddenError if it is a refusal."""
        decision = self._decision_point.decide(request)
        if decision.outcome == "refused":
            raise forbidden(request, decision)
        return decision


def _other_requesters(principal: Principal, transfer: Transfer, words: ProblemType) -> tuple[Actor, ...]:
    """Return the requesters of a start; raise ForbiddenError if the person is one of them."""
    asked_for = transfer.approval.asked_for if transfer.approval else ()
    if principal.id in {actor.id for actor in asked_for}:
        raise ForbiddenError(
            words,
            transfer.approval.policies if transfer.approval else (),
            person=principal.name,
            transfer_id=transfer.transfer_id,
        )
    return asked_for


def _event(action: str, transfer: Transfer, policies: tuple[str, ...]) -> AuditEvent:
    return AuditEvent(
        action=action,
        about=f"transfer {transfer.transfer_id}",
        transfer_id=transfer.transfer_id,
        agents=transfer.agents,
        policies=policies,
    )


def forbidden(request: AuthorizationRequest, decision: Decision) -> ForbiddenError:
    """Return the error of a refused request, with the policies that forbid it."""
    words = problems.FORBIDDEN_BY_POLICY if decision.policies else problems.NOT_PERMITTED
    return ForbiddenError(
        problems.ACCOUNT_GONE if request.principal.gone else words,
        () if request.principal.gone else decision.policies,
        person=request.principal.name,
        phrase=_ACTION_PHRASES[request.action].format(_describe_object(request)),
        action=request.action,
        object=_name_object(request),
        names=", ".join(decision.policies),
    )


def _name_object(request: AuthorizationRequest) -> str:
    """Return the name of what a request acts on, the same in every language; a route as `a → b`."""
    if "destination_path" in request.context:
        return f"{request.source} → {request.destination}"
    return "Crosshaul" if request.resource is SYSTEM else str(request.resource.name)


def _describe_object(request: AuthorizationRequest) -> str:
    """Describe what a request acts on, for a message."""
    resource = request.resource
    if resource is SYSTEM:
        return _GENERAL_OBJECTS.get(request.action, "Crosshaul")
    if "destination_path" in request.context:
        return f"{request.source} to {request.destination}"
    return f"the {resource.kind.lower()} {resource.name}"
