"""What starts later than it was asked for is decided again, by the groups that people have then.

A token, a waiting transfer or a template may be older than the rights of the person behind it.
"""

from datetime import timedelta

import pytest

from events.progress import Progress
from events.reports import Checkpoint, Started, Succeeded
from lambdas import adapters, wiring
from lambdas.aws.user_directory import CACHE_TTL_S, CognitoDirectory
from lambdas.domain import problems
from lambdas.domain.object_batch import ObjectCreated
from lambdas.domain.timeline import CROSSHAUL, became
from lambdas.store.transfers import TimelineRow
from lambdas.transfers.stream_handler import commands_for
from tests.support.control_plane import claims_of
from tests.support.fakes import as_shown
from tests.unit.lambdas.aws.test_user_directory import FakePool
from tests.unit.lambdas.policies.test_approval import MOVING, begin, report
from tests.unit.lambdas.policies.test_policies import RAW, put
from tests.unit.lambdas.templates.test_api_templates import VIDEOS

ANA, BO = "ana@example.org", "bo@example.org"
CHAIN = {
    "source": "server-b:/data/raw/",
    "destinations": ["server-c:/primary/", "server-d:/primary/"],
    "shape": "chain",
}
LEFT = ["gone", "moved to another team"]


@pytest.fixture
def fleet(clock, here):
    for name in ("server-b", "server-c", "server-d"):
        here.join(name)
    return here


def leaves(here, how):
    """Delete Bo's account, or take his group."""
    if how == "gone":
        del here.people.groups[BO]
    else:
        here.people.groups[BO] = ("viewer",)


def ask(here, body=RAW):
    return here.post("/transfers", body, role="operator", who=BO).body["transfer_id"]


def away(name):
    store = adapters.agent_store()
    agent = store.get(name)
    wiring.agent_service().disconnected(name, adapters.clock(), agent.session + 1)


def back(name):
    store = adapters.agent_store()
    agent = store.get(name)
    wiring.agent_service().connected(name, adapters.clock(), agent.session + 1)


def refused(here, transfer, number=0):
    """Check that a hop ended by a refusal, which people and the audit can read."""
    hop = here.get(f"/transfers/{transfer}").body["hops"][number]
    records = here.get("/audit", transfer_id=transfer).body["records"]
    [record] = [one for one in records if one["action"] == "transfer.started"]
    assert (hop["state"], hop["problem"]["code"]) == ("failed", problems.FORBIDDEN.code)
    assert f"{BO} may not move server-" in hop["problem"]["message"]
    assert record["decision"] == "refused"
    assert record["why"] == hop["problem"]["message"]
    return True


class TestATransferThatHasWaited:
    @pytest.mark.parametrize("how", LEFT)
    def test_moves_nothing_for_who_has_left(self, fleet, clock, how):
        away("server-c")
        transfer = ask(fleet)
        leaves(fleet, how)
        clock.now += timedelta(minutes=2)
        back("server-c")
        assert begin(fleet, transfer) == []
        assert refused(fleet, transfer)

    def test_moves_for_who_is_still_there(self, fleet, clock):
        away("server-c")
        transfer = ask(fleet)
        clock.now += timedelta(hours=20)
        back("server-c")
        assert begin(fleet, transfer) == MOVING

    def test_a_policy_that_came_since_counts(self, fleet, clock):
        away("server-c")
        transfer = ask(fleet)
        put(fleet, "freeze", 'forbid (principal, action == Action::"transfer", resource);')
        clock.now += timedelta(minutes=2)
        back("server-c")
        assert begin(fleet, transfer) == []
        assert refused(fleet, transfer)

    def test_a_start_within_a_minute_is_not_decided_twice(self, fleet, clock, monkeypatch):
        transfer = ask(fleet)
        monkeypatch.setattr(wiring, "authorizer", lambda: pytest.fail("decided twice"))
        clock.now += timedelta(seconds=59)
        assert begin(fleet, transfer) == MOVING

    def test_a_templates_transfer_is_decided_for_its_owner(self, fleet, clock):
        fleet.post("/templates", {**VIDEOS, "destinations": ["server-c:/primary/"]}, role="operator", who=BO)
        away("server-c")
        assert wiring.object_events().handle([ObjectCreated("media", "new-videos/a.mov", "1", 5)]) == []
        [transfer] = [one["transfer_id"] for one in fleet.get("/transfers").body["transfers"]]
        leaves(fleet, "gone")
        clock.now += timedelta(minutes=2)
        back("server-c")
        assert begin(fleet, transfer) == []
        record = fleet.get("/audit", transfer_id=transfer).body["records"][0]
        assert (record["who"], record["decision"]) == (as_shown("template:new-videos"), "refused")


@pytest.mark.parametrize("how", LEFT)
class TestWhatFollowsAStart:
    def test_the_next_hop_of_a_chain_is_refused(self, fleet, how):
        transfer = ask(fleet, CHAIN)
        assert begin(fleet, transfer) == MOVING
        leaves(fleet, how)
        done = {"progress": {"bytes_done": 9, "files_done": 1}, "digest": "d", "seconds": 1.5}
        report(lambda **about: Succeeded.model_validate({**about, **done}), transfer)
        assert begin(fleet, transfer) == []
        assert refused(fleet, transfer, 1)

    def test_an_automatic_retry_is_refused_and_the_carrier_is_told(self, fleet, clock, how):
        transfer = ask(fleet)
        assert begin(fleet, transfer) == MOVING
        report(Started, transfer, via="direct")
        leaves(fleet, how)
        clock.now += timedelta(minutes=2)
        assert wiring.lease_sweeper().sweep() == 1
        clock.now += timedelta(minutes=1)
        assert begin(fleet, transfer) == []
        assert refused(fleet, transfer)
        ended = adapters.transfer_store().get(transfer)
        row = TimelineRow(transfer, became(ended.hops[0], ended.hops[0], CROSSHAUL, clock.now), "finished")
        told = [(agent, command.kind) for agent, command in commands_for(ended, row)]
        assert told == [("server-c", "cancel"), ("server-b", "release")]

    def test_another_person_may_start_it_as_their_own(self, fleet, clock, how):
        away("server-c")
        transfer = ask(fleet)
        leaves(fleet, how)
        clock.now += timedelta(minutes=2)
        back("server-c")
        begin(fleet, transfer)
        assert fleet.post(f"/transfers/{transfer}/retry").status == 202
        clock.now += timedelta(minutes=2)
        assert begin(fleet, transfer) == MOVING, "from now on it is Ana's"

    def test_their_own_retry_is_refused_whatever_their_token_says(self, fleet, how):
        transfer = ask(fleet)
        fleet.post(f"/transfers/{transfer}/cancel")
        leaves(fleet, how)
        answer = fleet.post(f"/transfers/{transfer}/retry", claims=claims_of(BO, "operator"))
        assert answer.problem == problems.FORBIDDEN


class TestTheSizeIsTheOneThatWasDecided:
    """Every host of a transfer gets the same files: its size is no sum over hosts."""

    AT_MOST = """forbid (principal, action == Action::"transfer", resource)
    when { context has size && context.size > %d };"""

    @pytest.fixture
    def batch(self, fleet):
        """Return a function that starts a batch of 5,000 bytes to two hosts, with server-c away."""
        destinations = ["server-c:/primary/", "server-d:/primary/"]
        fleet.post("/templates", {**VIDEOS, "destinations": destinations, "shape": "fan_out"})

        def start():
            away("server-c")
            wiring.object_events().handle([ObjectCreated("media", "new-videos/a.mov", "1", 5_000)])
            [transfer] = [one["transfer_id"] for one in fleet.get("/transfers").body["transfers"]]
            return transfer

        return start

    @staticmethod
    def list_all(transfer):
        """Let both hosts report that they have listed 5,000 bytes."""
        for hop in adapters.transfer_store().get(transfer).hops:
            about = {"transfer_id": transfer, "hop_id": hop.hop_id, "attempt": hop.attempt}
            at = {**about, "at": adapters.clock()}
            progress = Progress(bytes_total=5_000, files_total=1)
            wiring.report_handler().apply(hop.carrier, Started(**at, seq=1, via="s3"))
            wiring.report_handler().apply(hop.carrier, Checkpoint(**at, seq=2, progress=progress))

    def test_a_batch_that_waited_is_refused_by_a_limit_that_came_since(self, fleet, clock, batch):
        transfer = batch()
        put(fleet, "small-only", self.AT_MOST % 4_000)
        clock.now += timedelta(minutes=2)
        back("server-c")
        begin(fleet, transfer)
        hop = fleet.get(f"/transfers/{transfer}").body["hops"][0]
        assert (hop["state"], hop["problem"]["code"]) == ("failed", problems.FORBIDDEN.code)

    def test_a_limit_above_the_batch_stops_no_automatic_retry(self, fleet, clock, batch):
        put(fleet, "small-only", self.AT_MOST % 9_000)
        transfer = batch()
        back("server-c")
        begin(fleet, transfer)
        self.list_all(transfer)
        clock.now += timedelta(minutes=2)
        wiring.lease_sweeper().sweep()
        clock.now += timedelta(minutes=1)
        begin(fleet, transfer)
        hops = adapters.transfer_store().get(transfer).hops
        assert [(hop.state, hop.attempt) for hop in hops] == [("offered", 2)] * 2

    @pytest.mark.parametrize(("limit", "status"), [(9_000, 202), (4_000, 403)])
    def test_a_persons_retry_is_decided_by_what_one_host_listed(self, fleet, limit, status):
        body = {**RAW, "destinations": ["server-c:/primary/", "server-d:/primary/"]}
        transfer = ask(fleet, body)
        begin(fleet, transfer)
        self.list_all(transfer)
        put(fleet, "small-only", self.AT_MOST % limit)
        fleet.post(f"/transfers/{transfer}/cancel")
        assert fleet.post(f"/transfers/{transfer}/retry").status == status
        assert adapters.transfer_store().get(transfer).authorized_size == (5_000 if status == 202 else None)


class TestATokenIsOlderThanTheAccount:
    """API Gateway accepts a token for an hour, whatever happens to the account in that time."""

    @pytest.fixture
    def pool(self, here):
        """Yield a real user pool, behind a directory whose clock the test moves."""
        made = FakePool()
        made.cognito.create_group(UserPoolId=made.id, GroupName="admin")
        made.now = 1000.0
        for name in ("server-b", "server-c"):
            here.join(name)
        here.people = CognitoDirectory(made.cognito, made.id, timer=lambda: made.now)
        return made

    CHANGES = [
        ("POST", "/transfers", RAW),
        ("DELETE", "/agents/server-b", None),
        ("POST", "/agents/enrollments", {"agent_id": "server-x"}),
        ("PUT", "/policies/mine", {"text": "permit (principal, action, resource);", "why": "for a test"}),
        ("POST", "/templates", VIDEOS),
        ("GET", "/transfers", None),
    ]

    @pytest.mark.parametrize(("method", "path", "body"), CHANGES)
    @pytest.mark.parametrize("how", ["admin_disable_user", "admin_delete_user"])
    def test_who_was_disabled_is_out_within_a_minute(self, here, pool, how, method, path, body):
        bo = pool.person(BO)
        token = claims_of(BO, "admin", sub=bo.id)
        pool.cognito.admin_add_user_to_group(UserPoolId=pool.id, Username=BO, GroupName="admin")
        assert here.get("/agents", claims=token).status == 200
        getattr(pool.cognito, how)(UserPoolId=pool.id, Username=BO)
        pool.now += CACHE_TTL_S + 1
        answer = here.call(method, path, body, claims=token)
        assert answer.problem == problems.FORBIDDEN
        assert "deleted or disabled" in answer.body["detail"]
        assert CACHE_TTL_S <= 60

    def test_a_group_that_was_taken_counts_no_more(self, here, pool):
        bo = pool.person(BO)
        pool.cognito.admin_add_user_to_group(UserPoolId=pool.id, Username=BO, GroupName="admin")
        token = claims_of(BO, "admin", sub=bo.id)
        assert here.post("/agents/enrollments", {"agent_id": "server-x"}, claims=token).status == 201
        pool.cognito.admin_remove_user_from_group(UserPoolId=pool.id, Username=BO, GroupName="admin")
        pool.now += CACHE_TTL_S + 1
        answer = here.post("/agents/enrollments", {"agent_id": "server-y"}, claims=token)
        assert answer.problem == problems.FORBIDDEN
        assert here.post("/transfers", RAW, claims=token).status == 202, "an operator as before"

    def test_a_token_that_names_groups_of_its_own_gains_nothing(self, here, pool):
        bo = pool.person(BO)
        token = claims_of(BO, "admin,operator", sub=bo.id)
        assert here.call("DELETE", "/agents/server-b", claims=token).problem == problems.FORBIDDEN
