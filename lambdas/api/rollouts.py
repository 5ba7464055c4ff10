"""Routes of roll-outs, by which many hosts join with one token."""

from events.rollouts import RolloutId, RolloutRequest, RolloutsView, RolloutView, StartedRolloutView
from lambdas import wiring
from lambdas.api.calls import Call
from lambdas.api.queries import PageQuery
from lambdas.api.routing import RouteGroup
from lambdas.audit.recorder import AuditEvent
from lambdas.domain.authorization import MANAGE_AGENT, READ, agent_resource

rollouts = RouteGroup("agents")


def _audit_event(verb: str, rollout_id: RolloutId) -> AuditEvent:
    return AuditEvent(action=f"rollout.{verb}", about=f"rollout {rollout_id}")


@rollouts.post("/rollouts", action=MANAGE_AGENT, status=201, idempotent=True)
def start_rollout(call: Call, body: RolloutRequest) -> StartedRolloutView:
    """Start a roll-out: many hosts join with one token.

    Each agent is named by the pattern, with its host name in it. A host may join if the person who started
    the roll-out may enroll that agent at that moment. The same Idempotency-Key returns the same roll-out with
    a new token, until the first host has joined.
    """
    rollout_id = call.new_id()
    resource = agent_resource(body.name, body.tags)
    record = wiring.authorizer().authorize(
        call.caller, MANAGE_AGENT, resource, _audit_event("started", rollout_id)
    )
    call.once("rollout", body, lambda: None)
    return wiring.rollout_service().start_rollout(body, rollout_id, call.actor, call.address, record)


@rollouts.get("/rollouts", action=READ)
def list_rollouts(query: PageQuery) -> RolloutsView:
    """List roll-outs and how many hosts have joined by each, until 30 days after their end."""
    return wiring.rollout_service().list_rollouts(query.limit, query.after)


@rollouts.post("/rollouts/{rollout_id}/end", action=MANAGE_AGENT)
def end_rollout(call: Call, rollout_id: RolloutId) -> RolloutView:
    """End a roll-out, so that its token is no longer valid.

    Agents that have joined stay.
    """
    rollout = wiring.rollout_service().get(rollout_id)
    resource = agent_resource(rollout.name, rollout.tags)
    record = wiring.authorizer().authorize(
        call.caller, MANAGE_AGENT, resource, _audit_event("ended", rollout_id)
    )
    return wiring.rollout_service().end_rollout(rollout_id, call.actor, record)
