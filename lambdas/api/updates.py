"""Routes of agent updates, which run in stages."""

from events.base import AgentId, UpdateId
from events.updates import (
    UpdateDetails,
    UpdateOrderRequest,
    UpdateOrderView,
    UpdateRequest,
    UpdatesView,
)
from lambdas import wiring
from lambdas.api.calls import Call
from lambdas.api.queries import PageQuery
from lambdas.api.routing import RouteGroup
from lambdas.audit.recorder import AuditEvent, Record
from lambdas.domain.authorization import MANAGE_AGENT, READ, agent_resource

updates = RouteGroup("agents")


def _audit_event(verb: str, update_id: UpdateId, agents: tuple[AgentId, ...] = ()) -> AuditEvent:
    return AuditEvent(action=f"update.{verb}", about=f"update {update_id}", agents=agents)


@updates.post("/updates", action=MANAGE_AGENT, status=201, idempotent=True)
def start_update(call: Call, body: UpdateRequest) -> UpdateDetails:
    """Update agents to a published version, in stages: canaries, then percentages, then the rest.

    A stage begins when all earlier stages have reported healthy. An agent whose new version does not report
    healthy in time rolls back by itself. When too many agents of a stage have failed, the update is aborted.
    """
    update_id = call.new_id()

    def start() -> None:
        update, agents = wiring.update_service().plan(body, update_id, call.actor)
        event = _audit_event("started", update_id, tuple(agent.agent_id for agent in agents))
        for agent in agents[1:]:
            wiring.authorizer().check(call.caller, MANAGE_AGENT, agent_resource(agent.agent_id, agent.tags))
        first = agent_resource(agents[0].agent_id, agents[0].tags)
        record = wiring.authorizer().authorize(call.caller, MANAGE_AGENT, first, event)
        wiring.update_service().start_update(update, record)

    call.once("update", body, start)
    return wiring.update_service().view(update_id)


@updates.get("/updates", action=READ)
def list_updates(query: PageQuery) -> UpdatesView:
    """List updates and their progress, until 90 days after their end."""
    return wiring.update_service().list_updates(query.limit, query.after)


@updates.get("/updates/{update_id}", action=READ)
def show_update(update_id: UpdateId) -> UpdateDetails:
    """Show one update with the state of each agent."""
    return wiring.update_service().view(update_id)


@updates.post("/updates/{update_id}/cancel", action=MANAGE_AGENT)
def cancel_update(call: Call, update_id: UpdateId) -> UpdateDetails:
    """Cancel an update: no further agent begins it.

    An agent that has begun completes it, or rolls back.
    """
    return wiring.update_service().cancel(update_id, call.actor, _authorize_cancel(call, update_id))


def _authorize_cancel(call: Call, update_id: UpdateId) -> Record:
    """Require the right to manage every agent of the update; raises ForbiddenError."""
    authorizer = wiring.authorizer()
    names = tuple(member.agent_id for member in wiring.update_service().get(update_id).members)
    for name in names[1:]:
        authorizer.check(call.caller, MANAGE_AGENT, authorizer.agent(name))
    event = _audit_event("cancelled", update_id, names)
    return authorizer.authorize(call.caller, MANAGE_AGENT, authorizer.agent(names[0]), event)


@updates.post("/agents/{agent_id}/update", action=None, max_body=1024)
def get_update_order(call: Call, agent_id: AgentId, body: UpdateOrderRequest) -> UpdateOrderView:
    """Return the signed order of an update, once the agent's stage has begun.

    The agent authenticates with its API key in X-Agent-Key.
    """
    wiring.agent_service().check_key(agent_id, call.header("X-Agent-Key") or "")
    return wiring.update_service().order(agent_id, body.update_id)
