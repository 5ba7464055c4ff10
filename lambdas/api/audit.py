"""Routes of the audit log: records, the hash chain and the signed seals."""

from events.audit import AuditChainView, AuditSealsView, AuditView, Day
from lambdas import adapters, wiring
from lambdas.api.queries import AuditListQuery, PageQuery
from lambdas.api.routing import RouteGroup
from lambdas.domain.audit_filter import AuditFilter
from lambdas.domain.authorization import MANAGE_POLICY

audit = RouteGroup("audit")


@audit.get("/audit", action=MANAGE_POLICY)
def list_audit(query: AuditListQuery) -> AuditView:
    """List audit records, newest first; without `since`, those of the last 30 days."""
    wanted = AuditFilter(
        who=query.person and adapters.user_directory().id_of(query.person),
        agent_id=query.agent,
        transfer_id=query.transfer_id,
    )
    return wiring.audit_query().list_records(wanted, query.since, query.until, query.limit, query.after)


@audit.get("/audit/chain/{day}", action=MANAGE_POLICY)
def show_audit_chain(day: Day, query: PageQuery) -> AuditChainView:
    """List the links of one day's hash chain: the digests of all records, in order."""
    return wiring.audit_query().chain(day, query.limit, query.after)


@audit.get("/audit/seals", action=MANAGE_POLICY)
def list_audit_seals() -> AuditSealsView:
    """List the signed seals, one for each completed day."""
    return wiring.audit_query().seals()
