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
from lambdas.agents.directory_browser import location_of
from lambdas.api.calls import Call
from lambdas.api.queries import PageQuery
from lambdas.api.routing import Resource
from lambdas.audit.recorder import AuditEvent, Record
from lambdas.domain.authorization import BROWSE, MANAGE_AGENT, READ, Principal, agent_resource, path_of
from lambdas.domain.timeline import by_agent

agents = Resource("agents")


def _audit_event(verb: str, agent_id: AgentId, why: str = "") -> AuditEvent:
    return AuditEvent(action=f"agent.{verb}", about=f"agent {agent_id}", agents=(agent_id,), why=why)


@agents.post("/agents/enrollments", action=MANAGE_AGENT, status=201, idempotent=True)
def enroll(call: Call, body: EnrollmentRequest) -> EnrollmentView:
    """Let one host join under this name.

    The answer's token works once. Asking again for a name replaces the token that was given out before.
    """
    event = _audit_event("enrolled", body.agent_id)
    record = wiring.authorizer().authorize(
        call.caller, MANAGE_AGENT, agent_resource(body.agent_id, body.tags), event
    )
    call.once("enroll", body, lambda: None)
    return wiring.enrollment_service().enroll(body, call.address, record)


@agents.post("/agents/register", action=None, status=201, max_body=64 * 1024)
def register(call: Call, body: RegisterRequest) -> RegisteredView:
    """Join, with the token of an enrolment or a roll-out and the CSR of a key that stays on the host."""

    def record_registration(agent_id: AgentId, why: str) -> Record:
        principal = Principal(by_agent(agent_id).id, address=call.source_ip)
        return wiring.audit_recorder().record_change(principal, _audit_event("registered", agent_id, why))

    return wiring.enrollment_service().register(body, call.source_ip, record_registration)


@agents.get("/agents", action=READ)
def list_agents(query: PageQuery) -> AgentsView:
    """The agents, by name."""
    return wiring.agent_service().page(query.limit, query.after)


@agents.get("/agents/{agent_id}", action=READ)
def show_agent(agent_id: AgentId) -> AgentView:
    """One agent."""
    return wiring.agent_service().view(agent_id)


@agents.patch("/agents/{agent_id}", action=MANAGE_AGENT)
def change_agent(call: Call, agent_id: AgentId, body: AgentChange) -> AgentView:
    """Change its tags, or the addresses that others dial it at."""
    authorizer = wiring.authorizer()
    record = authorizer.authorize(
        call.caller, MANAGE_AGENT, authorizer.agent(agent_id), _audit_event("changed", agent_id)
    )
    if body.tags is not None:
        authorizer.check(call.caller, MANAGE_AGENT, agent_resource(agent_id, body.tags))
    return wiring.agent_service().change(agent_id, body, record)


@agents.delete("/agents/{agent_id}", action=MANAGE_AGENT, status=204)
def remove_agent(call: Call, agent_id: AgentId) -> None:
    """Revoke its certificate, end its transfers, forget it. The name may be enrolled again."""
    authorizer = wiring.authorizer()
    record = authorizer.authorize(
        call.caller, MANAGE_AGENT, authorizer.agent(agent_id), _audit_event("removed", agent_id)
    )
    wiring.agent_removal().remove(agent_id, call.actor, record)


@agents.post("/agents/{agent_id}/rotate", action=MANAGE_AGENT, status=202)
def rotate_agent(call: Call, agent_id: AgentId) -> AgentView:
    """Let it replace its certificates and its API key. What it is doing goes on; what it has stays good
    until the new has worked."""
    authorizer = wiring.authorizer()
    record = authorizer.authorize(
        call.caller, MANAGE_AGENT, authorizer.agent(agent_id), _audit_event("rotation-wanted", agent_id)
    )
    return wiring.key_rotation().request(agent_id, record)


@agents.post("/agents/{agent_id}/certificates", action=None, status=201, max_body=16 * 1024)
def renew_certificate(call: Call, agent_id: AgentId, body: RenewalRequest) -> RenewalView:
    """A new certificate for the CSR of a new key, and a new API key. The agent's key goes into
    X-Agent-Key."""
    wiring.agent_service().check_key(agent_id, call.header("X-Agent-Key") or "")
    principal = Principal(by_agent(agent_id).id, address=call.source_ip)
    record = wiring.audit_recorder().record_change(principal, _audit_event("renewed", agent_id))
    return wiring.key_rotation().renew(agent_id, body, record)


@agents.post("/agents/{agent_id}/browse", action=BROWSE)
def browse(call: Call, agent_id: AgentId, body: BrowseRequest) -> ListingView:
    """List a directory on the agent or on a remote of its host, as the agent itself answers."""
    location = location_of(agent_id, body)
    wiring.authorizer().check(
        call.caller, BROWSE, wiring.authorizer().agent(agent_id), path=path_of(location)
    )
    return wiring.directory_browser().browse(agent_id, body)


@agents.post("/agents/{agent_id}/credentials", action=None, max_body=1024)
def issue_credentials(call: Call, agent_id: AgentId, body: CredentialsRequest) -> CredentialsView:
    """S3 credentials as wide as one hop of the agent's own. The agent's key goes into X-Agent-Key."""
    wiring.agent_service().check_key(agent_id, call.header("X-Agent-Key") or "")
    principal = Principal(by_agent(agent_id).id, address=call.source_ip)

    def record(transfer_id: TransferId, details: dict[str, Any]) -> None:
        event = AuditEvent(
            action="credentials.lent",
            about=f"transfer {transfer_id}",
            transfer_id=transfer_id,
            agents=(agent_id,),
        )
        wiring.audit_recorder().record_credentials(principal, event, details)

    return wiring.s3_credentials().issue(agent_id, body.hop_id, record)


@agents.post("/agents/{agent_id}/manifests", action=None, max_body=1024)
def request_manifest_upload(call: Call, agent_id: AgentId, body: ManifestRequest) -> ManifestPlaceView:
    """Where to put the manifest of one hop of the agent's own. The agent's key goes into X-Agent-Key."""
    wiring.agent_service().check_key(agent_id, call.header("X-Agent-Key") or "")
    return wiring.manifest_service().place(agent_id, body)
