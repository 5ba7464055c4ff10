"""Agents: enrolling, registering, looking at them, looking into their directories, removing them."""

from events.base import AgentId
from events.locations import AgentLocation
from events.requests import (
    AgentChange,
    BrowseRequest,
    CredentialsRequest,
    EnrollmentRequest,
    RegisterRequest,
)
from events.views import AgentsView, AgentView, CredentialsView, EnrollmentView, ListingView, RegisteredView
from lambdas import wiring
from lambdas.api.calls import Call
from lambdas.api.queries import PageQuery
from lambdas.api.routing import Resource
from lambdas.domain.deciding import BROWSE, MANAGE_AGENT, READ, agent_thing, path_of

agents = Resource("agents")


@agents.post("/agents/enrollments", may=MANAGE_AGENT, status=201, keyed=True)
def enroll(call: Call, body: EnrollmentRequest) -> EnrollmentView:
    """Let one host join under this name.

    The answer's token works once. Asking again for a name replaces the token that was given out before.
    """
    wiring.gate().check(call.caller, MANAGE_AGENT, agent_thing(body.agent_id, body.tags))
    call.once("enroll", body, lambda: None)
    return wiring.enrolling().enroll(body, call.address)


@agents.post("/agents/register", may=None, status=201, max_body=64 * 1024)
def register(call: Call, body: RegisterRequest) -> RegisteredView:
    """Join, with the token of an enrolment and the CSR of a key that stays on the host."""
    return wiring.enrolling().register(body, call.source_ip)


@agents.get("/agents", may=READ)
def list_agents(query: PageQuery) -> AgentsView:
    """The agents, by name."""
    return wiring.agents().page(query.limit, query.after)


@agents.get("/agents/{agent_id}", may=READ)
def show_agent(agent_id: AgentId) -> AgentView:
    """One agent."""
    return wiring.agents().view(agent_id)


@agents.patch("/agents/{agent_id}", may=MANAGE_AGENT)
def change_agent(call: Call, agent_id: AgentId, body: AgentChange) -> AgentView:
    """Change its tags, or the addresses that others dial it at."""
    wiring.gate().check_agent(call.caller, MANAGE_AGENT, agent_id)
    if body.tags is not None:
        wiring.gate().check(call.caller, MANAGE_AGENT, agent_thing(agent_id, body.tags))
    return wiring.agents().change(agent_id, body)


@agents.delete("/agents/{agent_id}", may=MANAGE_AGENT, status=204)
def remove_agent(call: Call, agent_id: AgentId) -> None:
    """Revoke its certificate, end its transfers, forget it. The name may be enrolled again."""
    wiring.gate().check_agent(call.caller, MANAGE_AGENT, agent_id)
    wiring.leaving().remove(agent_id, call.by)


@agents.post("/agents/{agent_id}/browse", may=BROWSE)
def browse(call: Call, agent_id: AgentId, body: BrowseRequest) -> ListingView:
    """List a directory on the agent, as the agent itself answers."""
    here = AgentLocation(agent_id=agent_id, path=body.path)
    wiring.gate().check_agent(call.caller, BROWSE, agent_id, path=path_of(here))
    return wiring.browsing().browse(agent_id, body)


@agents.post("/agents/{agent_id}/credentials", may=None, max_body=1024)
def lend_credentials(call: Call, agent_id: AgentId, body: CredentialsRequest) -> CredentialsView:
    """S3 credentials as wide as one hop of the agent's own. The agent's key goes into X-Agent-Key."""
    wiring.agents().check_key(agent_id, call.header("X-Agent-Key") or "")
    return wiring.lending().lend(agent_id, body.hop_id)
