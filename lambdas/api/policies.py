"""Routes of policies: show, write, remove, test and dry-run them."""

from events.policies import (
    DryRunRequest,
    DryRunView,
    PoliciesView,
    PolicyDetails,
    PolicyId,
    PolicyRequest,
    PolicyTest,
    PolicyTestView,
)
from lambdas import wiring
from lambdas.api.calls import Call
from lambdas.api.queries import PolicyQuery, PolicyRemoval
from lambdas.api.routing import RouteGroup
from lambdas.audit.recorder import AuditEvent, Record
from lambdas.domain.authorization import MANAGE_POLICY, READ, SYSTEM

policies = RouteGroup("policies")


@policies.get("/policies", action=READ)
def list_policies() -> PoliciesView:
    """List the policies in force, sorted by name.

    What no policy permits is forbidden.
    """
    return wiring.policy_service().list_policies()


@policies.get("/policies/{policy_id}", action=READ)
def show_policy(policy_id: PolicyId) -> PolicyDetails:
    """Show one policy and its latest versions: who wrote each, and why."""
    return wiring.policy_service().show_policy(policy_id)


@policies.put("/policies/{policy_id}", action=MANAGE_POLICY, max_body=64 * 1024)
def put_policy(call: Call, policy_id: PolicyId, query: PolicyQuery, body: PolicyRequest) -> PolicyDetails:
    """Create a policy, or write a new version of it.

    The text is validated first, and takes effect within 10 seconds.
    """
    record = _allowed(call, "put", policy_id, body.why)
    return wiring.policy_service().put_policy(policy_id, body, call.caller, query.version, record)


@policies.delete("/policies/{policy_id}", action=MANAGE_POLICY, status=204)
def remove_policy(call: Call, policy_id: PolicyId, query: PolicyRemoval) -> None:
    """Remove a policy.

    Its versions are kept.
    """
    record = _allowed(call, "removed", policy_id, query.why)
    wiring.policy_service().remove_policy(policy_id, query.why, call.caller, record)


@policies.post("/policies/test", action=READ, max_body=64 * 1024)
def test_policies(call: Call, body: PolicyTest) -> PolicyTestView:
    """Test whether a transfer would be allowed, and which policies decide.

    Testing for another person, or with other groups, requires the right to manage policies.
    """
    if body.groups is not None or body.person not in {None, call.caller.id, call.caller.name}:
        wiring.authorizer().check(call.caller, MANAGE_POLICY, SYSTEM)
    return wiring.policy_simulator().test(body, call.caller)


@policies.post("/policies/{policy_id}/dry-run", action=MANAGE_POLICY, max_body=64 * 1024)
def dry_run_policy(policy_id: PolicyId, body: DryRunRequest) -> DryRunView:
    """List the recent transfers that would be decided differently with this text of the policy."""
    return wiring.policy_simulator().dry_run(policy_id, body)


def _allowed(call: Call, verb: str, policy_id: PolicyId, why: str) -> Record:
    event = AuditEvent(action=f"policy.{verb}", about=f"policy {policy_id}", why=why)
    return wiring.authorizer().authorize(call.caller, MANAGE_POLICY, SYSTEM, event)
