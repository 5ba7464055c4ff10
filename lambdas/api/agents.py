"""Routes of agents: enroll, register, show, change, browse, rotate keys, remove."""

from dataclasses import replace
from typing import Any

from events.base import AgentId, TransferId
from events.requests import (
    AgentChange,
    BrowseRequest,
    CredentialsRequest,
    DrainRequest,
    EnrollmentRequest,
    LogRequest,
    ManifestRequest,
    RegisterRequest,
    RenewalRequest,
)
from events.views import (
    AgentLogView,
    AgentsView,
    AgentView,
    CredentialsView,
    EnrollmentView,
    FleetView,
    ListingView,
    ManifestPlaceView,
    RegisteredView,
    RenewalView,
)
from lambdas import adapters, wiring
from lambdas.agents.directory_browser import location_of
from lambdas.api.calls import Call
from lambdas.api.queries import AgentQuery, FleetQuery
from lambdas.api.routing import RouteGroup
from lambdas.audit.recorder import AuditEvent, Record
from lambdas.domain.agent_filter import AgentFilter
from lambdas.domain.authorization import (
    BROWSE,
    DRAIN_AGENT,
    MANAGE_AGENT,
    READ,
    READ_LOG,
    Principal,
    agent_resource,
    path_of,
)
from lambdas.domain.timeline import by_agent
from lambdas.telemetry import trace

agents = RouteGroup("agents")


def _audit_event(verb: str, agent_id: AgentId, why: str = "") -> AuditEvent:
    return AuditEvent(action=f"agent.{verb}", about=f"agent {agent_id}", agents=(agent_id,), why=why)


@agents.post("/agents/enrollments", action=MANAGE_AGENT, status=201, idempotent=True)
def enroll(call: Call, body: EnrollmentRequest) -> EnrollmentView:
    """Enroll one host under this name.

    The token in the answer works once. Enrolling the same name again replaces the earlier token.
    """
    event = _audit_event("enrolled", body.agent_id)
    record = wiring.authorizer().authorize(
        call.caller, MANAGE_AGENT, agent_resource(body.agent_id, body.tags), event
    )
    call.once("enroll", body, lambda: None)
    return wiring.enrollment_service().enroll(body, call.address, record)


@agents.post("/agents/register", action=None, status=201, max_body=64 * 1024)
def register(call: Call, body: RegisterRequest) -> RegisteredView:
    """Register a host as an agent, with an enrollment or roll-out token and the CSR of its device key.

    The private key stays on the host.
    """

    def record_registration(agent_id: AgentId, why: str) -> Record:
        principal = Principal(by_agent(agent_id).id, address=call.source_ip)
        return wiring.audit_recorder().record_change(principal, _audit_event("registered", agent_id, why))

    return wiring.enrollment_service().register(body, call.source_ip, record_registration)


@agents.get("/agents", action=READ)
def list_agents(query: AgentQuery) -> AgentsView:
    """List agents, sorted by name."""
    return wiring.agent_service().list_agents(query.limit, query.after, query.search)


@agents.get("/fleet", action=READ)
def show_fleet(query: FleetQuery) -> FleetView:
    """List agents in short, sorted by name, and count all agents by status.

    It costs the same among any number of agents. The status is as of the broker's last event.
    """
    if query.names:
        return wiring.fleet().show_named(query.names.split(","))
    key, _, value = (query.tag or "").partition("=")
    wanted = AgentFilter(
        limit=query.limit,
        beginning=query.search,
        status=query.status,
        attention=query.attention,
        tag=(key, value) if query.tag else None,
        version=query.version,
    )
    return wiring.fleet().show(wanted, query.after, outdated=query.outdated)


@agents.get("/agents/{agent_id}", action=READ)
def show_agent(agent_id: AgentId) -> AgentView:
    """Show one agent."""
    open_transfers = len(adapters.transfer_store().open_transfers(agent_id))
    view = wiring.agent_service().view(agent_id)
    return view.model_copy(update={"open_transfers": open_transfers})


@agents.patch("/agents/{agent_id}", action=MANAGE_AGENT)
def change_agent(call: Call, agent_id: AgentId, body: AgentChange) -> AgentView:
    """Change an agent's tags, or the addresses at which other agents dial it."""
    authorizer = wiring.authorizer()
    record = authorizer.authorize(
        call.caller, MANAGE_AGENT, authorizer.agent(agent_id), _audit_event("changed", agent_id)
    )
    if body.tags is not None:
        authorizer.check(call.caller, MANAGE_AGENT, agent_resource(agent_id, body.tags))
    return wiring.agent_service().change(agent_id, body, record)


@agents.delete("/agents/{agent_id}", action=MANAGE_AGENT, status=204)
def remove_agent(call: Call, agent_id: AgentId) -> None:
    """Remove an agent: revoke its certificate, fail its open hops and delete it.

    The name may be enrolled again.
    """
    authorizer = wiring.authorizer()
    record = authorizer.authorize(
        call.caller, MANAGE_AGENT, authorizer.agent(agent_id), _audit_event("removed", agent_id)
    )
    wiring.agent_removal().remove_agent(agent_id, call.actor, record)


@agents.put("/agents/{agent_id}/drain", action=DRAIN_AGENT)
def drain_agent(call: Call, agent_id: AgentId, body: DrainRequest) -> AgentView:
    """Drain an agent: it finishes its hops and gets no new ones, until a time or until that is ended.

    Hops that wait for it stay queued. In maintenance it may go away without an event that it went silent.
    """
    authorizer = wiring.authorizer()
    event = _audit_event("drained", agent_id, body.why or "")
    record = authorizer.authorize(call.caller, DRAIN_AGENT, authorizer.agent(agent_id), event)
    return wiring.agent_service().drain(agent_id, body, call.actor, record)


@agents.delete("/agents/{agent_id}/drain", action=DRAIN_AGENT)
def end_drain(call: Call, agent_id: AgentId) -> AgentView:
    """End the drain of an agent: it gets the hops that have waited for it."""
    authorizer = wiring.authorizer()
    record = authorizer.authorize(
        call.caller, DRAIN_AGENT, authorizer.agent(agent_id), _audit_event("undrained", agent_id)
    )
    view = wiring.agent_service().end_drain(agent_id, record)
    wiring.stream_handler().agent_online(agent_id)
    return view


@agents.post("/agents/{agent_id}/rotate", action=MANAGE_AGENT, status=202)
def rotate_agent(call: Call, agent_id: AgentId) -> AgentView:
    """Rotate an agent's certificates and its API key.

    Transfers continue. The old keys stay valid until the agent has connected with the new ones.
    """
    authorizer = wiring.authorizer()
    record = authorizer.authorize(
        call.caller, MANAGE_AGENT, authorizer.agent(agent_id), _audit_event("rotation-wanted", agent_id)
    )
    return wiring.key_rotation().request_rotation(agent_id, record)


@agents.post("/agents/{agent_id}/certificates", action=None, status=201, max_body=16 * 1024)
def renew_certificate(call: Call, agent_id: AgentId, body: RenewalRequest) -> RenewalView:
    """Issue a device certificate for the CSR of a new key, and a new API key.

    The agent authenticates with its API key in X-Agent-Key.
    """
    wiring.agent_service().check_key(agent_id, call.header("X-Agent-Key") or "")
    principal = Principal(by_agent(agent_id).id, address=call.source_ip)
    record = wiring.audit_recorder().record_change(principal, _audit_event("renewed", agent_id))
    return wiring.key_rotation().renew(agent_id, body, record)


@agents.post("/agents/{agent_id}/browse", action=BROWSE)
def browse(call: Call, agent_id: AgentId, body: BrowseRequest) -> ListingView:
    """List a directory of an agent, or of a remote that is configured on its host.

    The agent itself answers; the request fails with 504 if it does not answer in time.
    """
    location = location_of(agent_id, body)
    wiring.authorizer().check(
        call.caller, BROWSE, wiring.authorizer().agent(agent_id), path=path_of(location)
    )
    return wiring.directory_browser().browse(agent_id, body)


@agents.post("/agents/{agent_id}/log", action=READ_LOG, max_body=1024)
def read_log(call: Call, agent_id: AgentId, body: LogRequest) -> AgentLogView:
    """Read the latest lines of an agent's own log, which has no secrets.

    The agent itself answers; the request fails with 504 if it does not answer in time. It is in the audit.
    """
    authorizer = wiring.authorizer()
    decision = authorizer.check(call.caller, READ_LOG, authorizer.agent(agent_id))
    event = replace(_audit_event("log-read", agent_id), policies=decision.policies)
    wiring.audit_recorder().record_access(call.caller, event, body.model_dump(mode="json"))
    return wiring.log_reader().read(agent_id, body)


@agents.post("/agents/{agent_id}/credentials", action=None, max_body=1024)
def issue_credentials(call: Call, agent_id: AgentId, body: CredentialsRequest) -> CredentialsView:
    """Issue S3 credentials that are limited to one hop of this agent.

    The agent authenticates with its API key in X-Agent-Key.
    """
    wiring.agent_service().check_key(agent_id, call.header("X-Agent-Key") or "")
    principal = Principal(by_agent(agent_id).id, address=call.source_ip)

    def record(transfer_id: TransferId, details: dict[str, Any]) -> None:
        trace(transfer_id, body.hop_id)
        event = AuditEvent(
            action="credentials.lent",
            about=f"transfer {transfer_id}",
            transfer_id=transfer_id,
            agents=(agent_id,),
        )
        wiring.audit_recorder().record_access(principal, event, details)

    return wiring.s3_credentials().issue(agent_id, body.hop_id, record)


@agents.post("/agents/{agent_id}/manifests", action=None, max_body=1024)
def request_manifest_upload(call: Call, agent_id: AgentId, body: ManifestRequest) -> ManifestPlaceView:
    """Return where to upload the manifest of one hop of this agent.

    The agent authenticates with its API key in X-Agent-Key.
    """
    wiring.agent_service().check_key(agent_id, call.header("X-Agent-Key") or "")
    return wiring.manifest_service().place(agent_id, body)
