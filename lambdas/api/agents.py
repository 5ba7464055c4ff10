"""Agents: enrolling, registering, looking at them, looking into their directories, replacing their keys,
removing them.
"""

from typing import Any

from events.base import AgentId, TransferId
from events.requests import (
    AgentChange,
    BrowseRequest,
    CredentialsRequest,
    EnrollmentRequest,
    ManifestRequest,
    RegisterRequest,
    RenewalRequest,
)
from events.views import (
    AgentsView,
    AgentView,
    CredentialsView,
    EnrollmentView,
    ListingView,
    ManifestPlaceView,
    RegisteredView,
    RenewalView,
)
from lambdas import wiring
from lambdas.agents.directory_browser import place_of
from lambdas.api.calls import Call
from lambdas.api.queries import PageQuery
from lambdas.api.routing import Resource
from lambdas.audit.recorder import AuditEvent, Record
from lambdas.domain.authorization import BROWSE, MANAGE_AGENT, READ, Principal, agent_resource, path_of
from lambdas.domain.timeline import by_agent

agents = Resource("agents")


def _deed(what: str, agent_id: AgentId, why: str = "") -> AuditEvent:
    return AuditEvent(action=f"agent.{what}", about=f"agent {agent_id}", agents=(agent_id,), why=why)


@agents.post("/agents/enrollments", may=MANAGE_AGENT, status=201, keyed=True)
def enroll(call: Call, body: EnrollmentRequest) -> EnrollmentView:
    """Let one host join under this name.

    The answer's token works once. Asking again for a name replaces the token that was given out before.
    """
    deed = _deed("enrolled", body.agent_id)
    record = wiring.authorizer().authorize(
        call.caller, MANAGE_AGENT, agent_resource(body.agent_id, body.tags), deed
    )
    call.once("enroll", body, lambda: None)
    return wiring.enrollment_service().enroll(body, call.address, record)


@agents.post("/agents/register", may=None, status=201, max_body=64 * 1024)
def register(call: Call, body: RegisterRequest) -> RegisteredView:
    """Join, with the token of an enrolment or a roll-out and the CSR of a key that stays on the host."""

    def joining(agent_id: AgentId, why: str) -> Record:
        host = Principal(by_agent(agent_id).id, address=call.source_ip)
        return wiring.audit_recorder().record_change(host, _deed("registered", agent_id, why))

    return wiring.enrollment_service().register(body, call.source_ip, joining)


@agents.get("/agents", may=READ)
def list_agents(query: PageQuery) -> AgentsView:
    """The agents, by name."""
    return wiring.agent_service().page(query.limit, query.after)


@agents.get("/agents/{agent_id}", may=READ)
def show_agent(agent_id: AgentId) -> AgentView:
    """One agent."""
    return wiring.agent_service().view(agent_id)


@agents.patch("/agents/{agent_id}", may=MANAGE_AGENT)
def change_agent(call: Call, agent_id: AgentId, body: AgentChange) -> AgentView:
    """Change its tags, or the addresses that others dial it at."""
    gate = wiring.authorizer()
    record = gate.authorize(call.caller, MANAGE_AGENT, gate.agent(agent_id), _deed("changed", agent_id))
    if body.tags is not None:
        gate.check(call.caller, MANAGE_AGENT, agent_resource(agent_id, body.tags))
    return wiring.agent_service().change(agent_id, body, record)


@agents.delete("/agents/{agent_id}", may=MANAGE_AGENT, status=204)
def remove_agent(call: Call, agent_id: AgentId) -> None:
    """Revoke its certificate, end its transfers, forget it. The name may be enrolled again."""
    gate = wiring.authorizer()
    record = gate.authorize(call.caller, MANAGE_AGENT, gate.agent(agent_id), _deed("removed", agent_id))
    wiring.agent_removal().remove(agent_id, call.user_name, record)


@agents.post("/agents/{agent_id}/rotate", may=MANAGE_AGENT, status=202)
def rotate_agent(call: Call, agent_id: AgentId) -> AgentView:
    """Let it replace its certificates and its API key. What it is doing goes on; what it has stays good
    until the new has worked."""
    gate = wiring.authorizer()
    record = gate.authorize(
        call.caller, MANAGE_AGENT, gate.agent(agent_id), _deed("rotation-wanted", agent_id)
    )
    return wiring.key_rotation().request(agent_id, record)


@agents.post("/agents/{agent_id}/certificates", may=None, status=201, max_body=16 * 1024)
def renew_certificate(call: Call, agent_id: AgentId, body: RenewalRequest) -> RenewalView:
    """A new certificate for the CSR of a new key, and a new API key. The agent's key goes into
    X-Agent-Key."""
    wiring.agent_service().check_key(agent_id, call.header("X-Agent-Key") or "")
    renewing = Principal(by_agent(agent_id).id, address=call.source_ip)
    record = wiring.audit_recorder().record_change(renewing, _deed("renewed", agent_id))
    return wiring.key_rotation().renew(agent_id, body, record)


@agents.post("/agents/{agent_id}/browse", may=BROWSE)
def browse(call: Call, agent_id: AgentId, body: BrowseRequest) -> ListingView:
    """List a directory on the agent or on a remote of its host, as the agent itself answers."""
    place = place_of(agent_id, body)
    wiring.authorizer().check(call.caller, BROWSE, wiring.authorizer().agent(agent_id), path=path_of(place))
    return wiring.directory_browser().browse(agent_id, body)


@agents.post("/agents/{agent_id}/credentials", may=None, max_body=1024)
def lend_credentials(call: Call, agent_id: AgentId, body: CredentialsRequest) -> CredentialsView:
    """S3 credentials as wide as one hop of the agent's own. The agent's key goes into X-Agent-Key."""
    wiring.agent_service().check_key(agent_id, call.header("X-Agent-Key") or "")
    borrower = Principal(by_agent(agent_id).id, address=call.source_ip)

    def record(transfer_id: TransferId, what: dict[str, Any]) -> None:
        deed = AuditEvent(
            action="credentials.lent",
            about=f"transfer {transfer_id}",
            transfer_id=transfer_id,
            agents=(agent_id,),
        )
        wiring.audit_recorder().record_credentials(borrower, deed, what)

    return wiring.s3_credentials().issue(agent_id, body.hop_id, record)


@agents.post("/agents/{agent_id}/manifests", may=None, max_body=1024)
def place_manifest(call: Call, agent_id: AgentId, body: ManifestRequest) -> ManifestPlaceView:
    """Where to put the manifest of one hop of the agent's own. The agent's key goes into X-Agent-Key."""
    wiring.agent_service().check_key(agent_id, call.header("X-Agent-Key") or "")
    return wiring.manifest_service().place(agent_id, body)
