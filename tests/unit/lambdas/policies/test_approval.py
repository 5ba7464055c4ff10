"""Approval: a transfer that needs a second person waits for one, and cannot bypass that."""

from datetime import timedelta

import pytest

from events.base import Problem
from events.progress import Progress
from events.reports import Failed, Started
from lambdas import adapters, wiring
from lambdas.domain.timeline import CROSSHAUL, became
from lambdas.store.transfers import TimelineRow
from lambdas.transfers.stream_handler import commands_for
from tests.support.control_plane import hello
from tests.support.fakes import as_shown
from tests.unit.lambdas.policies.test_policies import RAW, put
from tests.unit.lambdas.templates.test_api_templates import VIDEOS

FOUR_EYES = """@requires("approval")
forbid (principal, action == Action::"transfer", resource in Tag::"zone=vault");"""
ANA, BO = "ana@example.org", "bo@example.org"


@pytest.fixture
def vault(here):
    here.join("server-b")
    here.join("server-c")
    here.call("PATCH", "/agents/server-c", {"tags": {"zone": "vault"}})
    here.people.groups[BO] = ("operator",)
    put(here, "four-eyes", FOUR_EYES)
    return here


def waiting(here, **how):
    answer = here.post("/transfers", RAW, **how)
    assert answer.status == 202, answer.text
    assert answer.body["state"] == "awaiting_approval"
    return answer.body["transfer_id"]


def test_it_waits_and_says_for_what(vault):
    transfer = waiting(vault)
    shown = vault.get(f"/transfers/{transfer}", role="viewer").body
    assert shown["approval"] == {
        "policies": ["four-eyes"],
        "asked_for": [as_shown(ANA)],
        "by": None,
        "at": None,
        "declined_by": None,
        "declined_at": None,
        "why": "",
    }
    assert [hop["state"] for hop in shown["hops"]] == ["awaiting_approval"]
    [listed] = vault.get("/transfers", status="awaiting_approval").body["transfers"]
    assert listed["transfer_id"] == transfer
    wiring.stream_handler().advance(adapters.transfer_store().get(transfer))
    assert vault.fleet.sent == [], "no agent is told"


def test_another_person_approves_and_it_goes_on(vault):
    transfer = waiting(vault)
    approved = vault.post(f"/transfers/{transfer}/approval", role="operator", who=BO)
    assert (approved.status, approved.body["state"], approved.body["approval"]["by"]) == (
        202,
        "queued",
        as_shown(BO),
    )
    wiring.stream_handler().advance(adapters.transfer_store().get(transfer))
    assert vault.fleet.kinds() == [("server-b", "serve"), ("server-c", "move")]
    record = vault.get("/audit", transfer_id=transfer).body["records"][0]
    assert (record["who"], record["action"]) == (as_shown(BO), "transfer.approved")
    assert (record["before"]["state"], record["after"]["state"]) == ("awaiting_approval", "queued")


WHY = "The vault is full until Monday."


def test_another_person_declines_and_who_asked_reads_why(vault):
    transfer = waiting(vault)
    declined = vault.post(f"/transfers/{transfer}/decline", {"why": WHY}, role="operator", who=BO)
    assert (declined.status, declined.body["state"]) == (202, "cancelled"), declined.text
    shown = vault.get(f"/transfers/{transfer}").body
    assert (shown["approval"]["declined_by"], shown["approval"]["why"]) == (as_shown(BO), WHY)
    assert WHY in shown["problem"]["message"]
    assert shown["timeline"][-1]["what"] == "declined"
    wiring.stream_handler().advance(adapters.transfer_store().get(transfer))
    assert vault.fleet.sent == [], "no agent is told"
    record = vault.get("/audit", transfer_id=transfer).body["records"][0]
    assert (record["who"], record["action"], record["why"]) == (as_shown(BO), "transfer.declined", WHY)


def test_a_retry_of_what_was_declined_asks_again(vault):
    transfer = waiting(vault)
    vault.post(f"/transfers/{transfer}/decline", {"why": WHY}, role="operator", who=BO)
    again = vault.post(f"/transfers/{transfer}/retry")
    assert (again.body["state"], again.body["approval"]["declined_by"]) == ("awaiting_approval", None)
    assert again.body["problem"] is None


def test_who_could_not_approve_cannot_decline(vault):
    transfer = waiting(vault)
    own = vault.post(f"/transfers/{transfer}/decline", {"why": WHY})
    assert (own.status, "crosshaul cancel" in own.body["advice"]) == (403, True)
    assert vault.post(f"/transfers/{transfer}/decline", {"why": WHY}, role="viewer", who=BO).status == 403
    assert vault.post(f"/transfers/{transfer}/decline", {"why": " "}, role="operator", who=BO).status == 422
    assert vault.get(f"/transfers/{transfer}").body["state"] == "awaiting_approval"


def test_what_does_not_wait_cannot_be_declined(vault):
    transfer = waiting(vault)
    assert approve(vault, transfer).status == 202
    late = vault.post(f"/transfers/{transfer}/decline", {"why": WHY}, role="operator", who=BO)
    assert (late.status, late.body["advice"]) == (409, "There is nothing to decline.")


def previewed(here, **how):
    answer = here.post("/transfers", {**RAW, "options": {"dry_run": True}}, role="operator", who=BO, **how)
    assert answer.status == 202, answer.text
    return answer.body


def test_a_preview_waits_for_nobody_and_foretells_that_its_transfer_will(vault):
    shown = previewed(vault)
    assert (shown["state"], shown["approval"]) == ("queued", None)
    assert shown["real_start"] == {"needs_approval": True, "policies": ["four-eyes"]}
    wiring.stream_handler().advance(adapters.transfer_store().get(shown["transfer_id"]))
    assert vault.fleet.kinds() == [("server-b", "serve"), ("server-c", "move")]


def test_a_preview_that_starts_later_does_not_wait_either(vault, clock):
    shown = previewed(vault)
    clock.now += timedelta(seconds=70)  # decided again
    wiring.stream_handler().advance(adapters.transfer_store().get(shown["transfer_id"]))
    assert vault.get(f"/transfers/{shown['transfer_id']}").body["state"] != "awaiting_approval"


def test_a_preview_needs_leave_to_browse_both_ends(vault):
    put(vault, "closed", 'forbid (principal, action == Action::"browse", resource in Tag::"zone=vault");')
    answer = vault.post("/transfers", {**RAW, "options": {"dry_run": True}}, role="operator", who=BO)
    assert (answer.status, answer.body["policies"]) == (403, ["closed"])


def test_a_preview_of_what_is_refused_is_refused(vault):
    put(vault, "never", 'forbid (principal, action == Action::"transfer", resource in Tag::"zone=vault");')
    answer = vault.post("/transfers", {**RAW, "options": {"dry_run": True}}, role="operator", who=BO)
    assert (answer.status, answer.body["policies"]) == (403, ["never"])


def test_a_preview_from_s3_waits_since_its_credentials_open_the_objects(vault):
    body = {"source": "s3://media-uploads/x/", "destinations": ["server-c:/primary/"]}
    answer = vault.post("/transfers", {**body, "options": {"dry_run": True}}, role="operator", who=BO)
    assert answer.body["state"] == "awaiting_approval", answer.text


def test_nobody_approves_their_own(vault):
    transfer = waiting(vault, role="operator", who=BO)
    answer = vault.post(f"/transfers/{transfer}/approval", role="operator", who=BO)
    assert (answer.status, answer.body["policies"]) == (403, ["four-eyes"])
    answer = vault.post(f"/transfers/{transfer}/approval", role="admin", who=BO)
    assert answer.status == 403, "nor as an administrator"
    assert vault.get("/audit", transfer_id=transfer).body["records"][0]["decision"] == "refused"
    assert vault.post(f"/transfers/{transfer}/approval").status == 202


def test_who_may_not_move_it_may_not_approve_it(vault):
    transfer = waiting(vault)
    assert vault.post(f"/transfers/{transfer}/approval", role="viewer", who=BO).status == 403


def test_who_may_move_other_things_but_not_this_may_not_approve_it(vault):
    transfer = waiting(vault)
    forbid = 'forbid (principal in Group::"operator", action, resource in Tag::"zone=vault");'
    put(vault, "only-admins", forbid)
    assert approve(vault, transfer).status == 403
    assert approve(vault, transfer, role="admin").status == 202


def test_who_asked_must_still_be_allowed_to(vault):
    transfer = waiting(vault, role="operator", who=BO)
    vault.people.groups[BO] = ()
    assert vault.post(f"/transfers/{transfer}/approval").status == 403


def test_what_does_not_wait_cannot_be_approved(vault):
    transfer = waiting(vault)
    vault.post(f"/transfers/{transfer}/cancel")
    assert vault.post(f"/transfers/{transfer}/approval", who=BO).status == 409
    assert vault.post(f"/transfers/{'z' * 20}/approval", who=BO).status == 404


@pytest.mark.parametrize("detour", [("pause", "resume"), ("cancel", "retry"), ("resume",), ("retry",)])
def test_no_detour_leads_round_it(vault, detour):
    transfer = waiting(vault)
    for verb in detour:
        vault.post(f"/transfers/{transfer}/{verb}")
    wiring.stream_handler().advance(adapters.transfer_store().get(transfer))
    assert vault.get(f"/transfers/{transfer}").body["state"] == "awaiting_approval"
    assert vault.fleet.sent == []


def approve(vault, transfer, **how):
    return vault.post(f"/transfers/{transfer}/approval", **({"role": "operator", "who": BO} | how))


def begin(vault, transfer):
    """Offer what is ready, and return the commands that agents get; those online are heard from."""
    known = adapters.agent_store().get_many(("server-b", "server-c", "server-d"))
    for name in (agent_id for agent_id, agent in known.items() if agent.presence == "online"):
        wiring.agent_service().hello(name, hello())
    wiring.stream_handler().advance(adapters.transfer_store().get(transfer))
    return vault.fleet.kinds()


def report(kind, transfer, **more):
    hop = adapters.transfer_store().get(transfer).hops[0]
    about = {"transfer_id": transfer, "hop_id": hop.hop_id, "attempt": hop.attempt, "seq": hop.seq + 1}
    wiring.report_handler().apply(hop.carrier, kind(**about, at=adapters.clock(), **more))


MOVING = [("server-b", "serve"), ("server-c", "move")]


class TestAnApprovalIsForOneStart:
    """It lasts a day, a pause does not end it, and the next start needs another."""

    def test_a_retry_after_a_cancel_is_asked_for_again(self, vault):
        transfer = waiting(vault)
        approve(vault, transfer)
        vault.post(f"/transfers/{transfer}/cancel")
        again = vault.post(f"/transfers/{transfer}/retry").body
        assert (again["state"], again["approval"]["by"]) == ("awaiting_approval", None)
        assert begin(vault, transfer) == []
        assert approve(vault, transfer).body["state"] == "queued"
        assert begin(vault, transfer) == MOVING

    def test_a_retry_after_a_failure_too(self, vault):
        transfer = waiting(vault)
        approve(vault, transfer)
        begin(vault, transfer)
        report(Failed, transfer, progress=Progress(), problem=Problem(code="source-missing", message="gone"))
        assert vault.get(f"/transfers/{transfer}").body["state"] == "failed"
        assert vault.post(f"/transfers/{transfer}/retry").body["state"] == "awaiting_approval"

    def test_an_old_approval_does_not_come_back_with_a_policy_that_was_away(self, vault):
        transfer = waiting(vault)
        approve(vault, transfer)
        vault.post(f"/transfers/{transfer}/cancel")
        vault.call("DELETE", "/policies/four-eyes", why="for an hour")
        assert vault.post(f"/transfers/{transfer}/retry").body["approval"] is None
        put(vault, "four-eyes", FOUR_EYES)
        begin(vault, transfer)
        assert vault.get(f"/transfers/{transfer}").body["state"] == "awaiting_approval"
        assert vault.fleet.sent == []

    def test_it_does_not_count_for_a_policy_that_came_since(self, clock, vault):
        transfer = waiting(vault)
        approve(vault, transfer)
        put(vault, "six-eyes", FOUR_EYES)
        clock.now += timedelta(minutes=2)
        begin(vault, transfer)
        assert vault.get(f"/transfers/{transfer}").body["state"] == "awaiting_approval"
        assert vault.fleet.sent == []

    def test_a_pause_does_not_end_it(self, vault):
        transfer = waiting(vault)
        approve(vault, transfer)
        begin(vault, transfer)
        vault.post(f"/transfers/{transfer}/pause")
        assert vault.post(f"/transfers/{transfer}/resume").body["state"] == "queued"
        assert begin(vault, transfer) == MOVING

    def test_who_approved_it_cannot_resume_it_alone(self, vault):
        """Two people are needed for what moves from now on."""
        transfer = waiting(vault)
        approve(vault, transfer)
        vault.post(f"/transfers/{transfer}/pause")
        held = vault.post(f"/transfers/{transfer}/resume", role="operator", who=BO).body
        assert (held["state"], held["approval"]["asked_for"]) == ("awaiting_approval", [as_shown(BO)])
        assert approve(vault, transfer).status == 403
        assert vault.post(f"/transfers/{transfer}/approval").status == 202

    @pytest.mark.parametrize(("hours", "moves"), [(23, True), (25, False)])
    def test_it_ends_after_a_day_for_what_has_not_started(self, clock, vault, hours, moves):
        transfer = waiting(vault)
        approve(vault, transfer)
        clock.now += timedelta(hours=hours)
        assert begin(vault, transfer) == (MOVING if moves else [])
        if not moves:
            shown = vault.get(f"/transfers/{transfer}").body
            assert (shown["state"], shown["approval"]["by"]) == ("awaiting_approval", None)
            record = vault.get("/audit", transfer_id=transfer).body["records"][0]
            assert (record["action"], record["decision"]) == ("transfer.started", "approval")
            approve(vault, transfer)
            assert begin(vault, transfer) == MOVING

    def test_what_has_started_goes_on_after_a_day(self, clock, vault):
        transfer = waiting(vault)
        approve(vault, transfer)
        begin(vault, transfer)
        report(Started, transfer, via="direct")
        clock.now += timedelta(hours=30)
        assert wiring.lease_sweeper().sweep() == 1
        clock.now += timedelta(minutes=1)
        assert begin(vault, transfer) == MOVING

    def test_a_retry_of_one_host_leaves_the_approval_that_another_awaits(self, clock, vault):
        """Server-c fails at once; server-d stays away until the approval is over, and awaits another."""
        vault.join("server-d")
        body = {**RAW, "destinations": [*RAW["destinations"], "server-d:/primary/"]}
        transfer = vault.post("/transfers", body).body["transfer_id"]
        approve(vault, transfer)
        agent = adapters.agent_store().get("server-d")
        wiring.agent_service().disconnected("server-d", adapters.clock(), agent.session + 1)
        begin(vault, transfer)
        report(Failed, transfer, progress=Progress(), problem=Problem(code="source-missing", message="gone"))
        clock.now += timedelta(hours=25)
        wiring.agent_service().connected("server-d", adapters.clock(), agent.session + 2)
        begin(vault, transfer)
        states = [hop["state"] for hop in vault.get(f"/transfers/{transfer}").body["hops"]]
        assert states == ["failed", "awaiting_approval"]

        vault.call("DELETE", "/policies/four-eyes", why="for an hour")
        retried = vault.post(f"/transfers/{transfer}/retry").body
        assert [hop["state"] for hop in retried["hops"]] == ["queued", "awaiting_approval"]
        assert approve(vault, transfer).status == 202
        begin(vault, transfer)
        states = [hop["state"] for hop in vault.get(f"/transfers/{transfer}").body["hops"]]
        assert states[1] == "offered"

    def test_a_policy_that_comes_while_it_runs_holds_it_and_its_carrier_is_told(self, clock, vault):
        vault.call("DELETE", "/policies/four-eyes", why="not yet")
        transfer = vault.post("/transfers", RAW).body["transfer_id"]
        assert begin(vault, transfer) == MOVING
        report(Started, transfer, via="direct")
        put(vault, "four-eyes", FOUR_EYES)
        clock.now += timedelta(minutes=2)
        wiring.lease_sweeper().sweep()
        clock.now += timedelta(minutes=1)
        begin(vault, transfer)
        held = adapters.transfer_store().get(transfer)
        assert held.state == "awaiting_approval"
        row = TimelineRow(transfer, became(held.hops[0], held.hops[0], CROSSHAUL, clock.now), None)
        told = [(agent, command.kind) for agent, command in commands_for(held, row)]
        assert told == [("server-c", "pause"), ("server-b", "release")]


def test_a_new_policy_counts_when_it_is_tried_again(vault):
    transfer = waiting(vault)
    vault.post(f"/transfers/{transfer}/approval", role="operator", who=BO)
    vault.post(f"/transfers/{transfer}/pause")
    put(vault, "more-eyes", FOUR_EYES)
    assert vault.post(f"/transfers/{transfer}/resume").body["state"] == "awaiting_approval"


class TestTemplates:
    """Templates act as their owner, within the rights of their last author."""

    @pytest.fixture
    def arrived(self, vault):
        from lambdas.domain.object_batch import ObjectCreated

        marks = iter(range(100))

        def arrive():
            return wiring.object_events().handle(
                [ObjectCreated("media", "new-videos/a.mov", str(next(marks)), 5)]
            )

        vault.post("/templates", {**VIDEOS, "destinations": ["server-c:/primary/"]}, role="operator", who=BO)
        return arrive

    def test_a_firing_waits_like_a_persons_request(self, vault, arrived):
        assert arrived() == []
        [transfer] = vault.get("/transfers").body["transfers"]
        assert transfer["state"] == "awaiting_approval"
        address = f"/transfers/{transfer['transfer_id']}/approval"
        assert vault.post(address, role="operator", who=BO).status == 403, "it is the owner's own"
        assert vault.post(address).status == 202

    def test_an_owner_who_lost_the_group_moves_nothing_any_more(self, vault, arrived):
        vault.people.groups[BO] = ("viewer",)
        assert arrived() == []
        assert vault.get("/transfers").body["transfers"] == []
        [refusal] = vault.get("/audit", person="template:new-videos").body["records"]
        assert (refusal["decision"], refusal["about"]) == ("refused", "template new-videos")

    def test_whoever_changes_another_persons_template_gains_nothing_by_it(self, vault, arrived):
        vault.call("DELETE", "/policies/four-eyes", why="not here")
        only_admins = """forbid (principal, action == Action::"transfer", resource in Tag::"zone=vault")
        unless { principal in Group::"admin" };"""
        put(vault, "admins-to-vault", only_admins)
        mine = {**VIDEOS, "name": "anas", "destinations": ["server-c:/primary/"]}
        vault.post("/templates", mine)
        vault.call("DELETE", "/templates/new-videos")
        arrived()
        assert len(vault.get("/transfers").body["transfers"]) == 1
        vault.call("PUT", "/templates/anas", mine, role="operator", who=BO)
        arrived()
        assert len(vault.get("/transfers").body["transfers"]) == 1
