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
from lambdas.audit.recording import Deed, Record
from lambdas.domain.deciding import MANAGE_AGENT, READ, agent_thing

updates = Resource("agents")


def _deed(what: str, update_id: UpdateId, agents: tuple[AgentId, ...] = ()) -> Deed:
    return Deed(action=f"update.{what}", about=f"update {update_id}", agents=agents)


@updates.post("/updates", may=MANAGE_AGENT, status=201, keyed=True)
def start_update(call: Call, body: UpdateRequest) -> UpdateDetails:
    """Bring agents to a published version, in stages: canaries, then percentages, then the rest.

    A stage begins when those before have reported healthy. An agent whose new version does not report healthy
    in time returns to the old one by itself. When too many of a stage have failed, no further one is touched.
    """
    update_id = call.new_id()

    def start() -> None:
        update, agents = wiring.updating().plan(body, update_id, call.by)
        deed = _deed("started", update_id, tuple(agent.agent_id for agent in agents))
        for agent in agents[1:]:
            wiring.gate().check(call.caller, MANAGE_AGENT, agent_thing(agent.agent_id, agent.tags))
        first = agent_thing(agents[0].agent_id, agents[0].tags)
        record = wiring.gate().allow(call.caller, MANAGE_AGENT, first, deed)
        wiring.updating().start(update, record)

    call.once("update", body, start)
    return wiring.updating().view(update_id)


@updates.get("/updates", may=READ)
def list_updates(query: PageQuery) -> UpdatesView:
    """Updates, and how far they are; for 90 days after their end."""
    return wiring.updating().page(query.limit, query.after)


@updates.get("/updates/{update_id}", may=READ)
def show_update(update_id: UpdateId) -> UpdateDetails:
    """One update, agent by agent."""
    return wiring.updating().view(update_id)


@updates.post("/updates/{update_id}/cancel", may=MANAGE_AGENT)
def cancel_update(call: Call, update_id: UpdateId) -> UpdateDetails:
    """Touch no further agent. One that is at it goes on: to the new version, or back to the old one."""
    return wiring.updating().cancel(update_id, call.by, _may_cancel(call, update_id))


def _may_cancel(call: Call, update_id: UpdateId) -> Record:
    """Whoever may manage each of its agents."""
    gate = wiring.gate()
    names = tuple(member.agent_id for member in wiring.updating().get(update_id).members)
    for name in names[1:]:
        gate.check(call.caller, MANAGE_AGENT, gate.agent(name))
    deed = _deed("cancelled", update_id, names)
    return gate.allow(call.caller, MANAGE_AGENT, gate.agent(names[0]), deed)


@updates.post("/agents/{agent_id}/update", may=None, max_body=1024)
def order_update(call: Call, agent_id: AgentId, body: UpdateOrderRequest) -> UpdateOrderView:
    """The signed order of an update, for an agent that was told of it and whose stage has come. The agent's
    key goes into X-Agent-Key."""
    wiring.agents().check_key(agent_id, call.header("X-Agent-Key") or "")
    return wiring.updating().order(agent_id, body.update_id)
