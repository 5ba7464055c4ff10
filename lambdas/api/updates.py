"""Updates of agents, in stages."""

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
from lambdas.api.routing import Resource
from lambdas.audit.recorder import AuditEvent, Record
from lambdas.domain.authorization import MANAGE_AGENT, READ, agent_resource

updates = Resource("agents")


def _deed(what: str, update_id: UpdateId, agents: tuple[AgentId, ...] = ()) -> AuditEvent:
    return AuditEvent(action=f"update.{what}", about=f"update {update_id}", agents=agents)


@updates.post("/updates", may=MANAGE_AGENT, status=201, keyed=True)
def start_update(call: Call, body: UpdateRequest) -> UpdateDetails:
    """Bring agents to a published version, in stages: canaries, then percentages, then the rest.

    A stage begins when those before have reported healthy. An agent whose new version does not report healthy
    in time returns to the old one by itself. When too many of a stage have failed, no further one is touched.
    """
    update_id = call.new_id()

    def start() -> None:
        update, agents = wiring.update_service().plan(body, update_id, call.user_name)
        deed = _deed("started", update_id, tuple(agent.agent_id for agent in agents))
        for agent in agents[1:]:
            wiring.authorizer().check(call.caller, MANAGE_AGENT, agent_resource(agent.agent_id, agent.tags))
        first = agent_resource(agents[0].agent_id, agents[0].tags)
        record = wiring.authorizer().authorize(call.caller, MANAGE_AGENT, first, deed)
        wiring.update_service().start(update, record)

    call.once("update", body, start)
    return wiring.update_service().view(update_id)


@updates.get("/updates", may=READ)
def list_updates(query: PageQuery) -> UpdatesView:
    """Updates, and how far they are; for 90 days after their end."""
    return wiring.update_service().page(query.limit, query.after)


@updates.get("/updates/{update_id}", may=READ)
def show_update(update_id: UpdateId) -> UpdateDetails:
    """One update, agent by agent."""
    return wiring.update_service().view(update_id)


@updates.post("/updates/{update_id}/cancel", may=MANAGE_AGENT)
def cancel_update(call: Call, update_id: UpdateId) -> UpdateDetails:
    """Touch no further agent. One that is at it goes on: to the new version, or back to the old one."""
    return wiring.update_service().cancel(update_id, call.user_name, _may_cancel(call, update_id))


def _may_cancel(call: Call, update_id: UpdateId) -> Record:
    """Whoever may manage each of its agents."""
    gate = wiring.authorizer()
    names = tuple(member.agent_id for member in wiring.update_service().get(update_id).members)
    for name in names[1:]:
        gate.check(call.caller, MANAGE_AGENT, gate.agent(name))
    deed = _deed("cancelled", update_id, names)
    return gate.authorize(call.caller, MANAGE_AGENT, gate.agent(names[0]), deed)


@updates.post("/agents/{agent_id}/update", may=None, max_body=1024)
def order_update(call: Call, agent_id: AgentId, body: UpdateOrderRequest) -> UpdateOrderView:
    """The signed order of an update, for an agent that was told of it and whose stage has come. The agent's
    key goes into X-Agent-Key."""
    wiring.agent_service().check_key(agent_id, call.header("X-Agent-Key") or "")
    return wiring.update_service().order(agent_id, body.update_id)
