"""Approval: a transfer that needs a second person waits for one, and cannot bypass that."""

import pytest

from lambdas import adapters, wiring
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


def test_what_was_approved_is_not_asked_for_again(vault):
    transfer = waiting(vault)
    vault.post(f"/transfers/{transfer}/approval", role="operator", who=BO)
    vault.post(f"/transfers/{transfer}/cancel")
    assert vault.post(f"/transfers/{transfer}/retry").body["state"] == "queued"


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
