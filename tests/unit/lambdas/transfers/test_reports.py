"""Agents' reports applied to the table: single reports and the hops of a Hello, on time or late."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from events.base import Problem
from events.facts import TransferFinished
from events.progress import Progress
from events.reports import (
    AgentHop,
    Capabilities,
    Checkpoint,
    Failed,
    Hello,
    Paused,
    Refused,
    Started,
    Succeeded,
)
from events.states import HopState
from lambdas.domain.hop import Hop
from lambdas.transfers.report_handler import MAX_CANCELS
from lambdas.transfers.service import Query
from tests.support.fakes import ADA
from tests.support.moto_shortcuts import one_call_at_a_time
from tests.support.world import ControlPlaneFixture


def running(world: ControlPlaneFixture, source: str = "a:/data/", destination: str = "b:/archive/") -> Hop:
    transfer_id = world.request(source, destination)
    world.stream()
    world.report(Started, world.hop(transfer_id))
    world.stream()
    world.fleet.kinds()
    return world.hop(transfer_id)


def hello(world: ControlPlaneFixture, *hops: AgentHop) -> Hello:
    return Hello(
        at=world.clock(),
        version="0.1.0",
        hostname="b.example.com",
        capabilities=Capabilities(),
        endpoints=(),
        lane_certificate="pem",
        roots=(),
        hops=hops,
    )


def held(hop: Hop, attempt: int | None = None, state: str = "running") -> AgentHop:
    return AgentHop.model_validate(
        {
            "transfer_id": hop.transfer_id,
            "hop_id": hop.hop_id,
            "attempt": attempt or hop.attempt,
            "state": state,
        }
    )


def now(world: ControlPlaneFixture, hop: Hop) -> Hop:
    return world.hop(hop.transfer_id, hop.number)


def test_a_checkpoint_stores_progress_and_renews_the_lease_without_a_timeline_entry(
    world: ControlPlaneFixture,
):
    hop = running(world)
    lines = len(world.store.timeline(hop.transfer_id)[0])
    world.clock.forward(seconds=50)
    world.report(Checkpoint, hop, seq=2, progress=Progress(bytes_done=7))
    after = now(world, hop)
    assert (after.progress.bytes_done, after.seq) == (7, 2)
    assert after.due_at == world.clock() + timedelta(seconds=60)
    assert len(world.store.timeline(hop.transfer_id)[0]) == lines


def test_late_repeated_and_foreign_reports_change_nothing(world: ControlPlaneFixture):
    hop = running(world)
    world.report(Checkpoint, hop, seq=5)
    before = now(world, hop)
    world.report(Checkpoint, hop, seq=5, progress=Progress(bytes_done=1))
    world.report(Paused, hop, seq=4)
    world.report_handler.apply("a", Failed.model_validate(_failed(world, hop, seq=9)))
    world.report_handler.apply("b", Failed.model_validate(_failed(world, hop, hop_id=f"{'x' * 20}-0")))
    assert now(world, hop) == before


def _failed(world: ControlPlaneFixture, hop: Hop, **more):
    problem = Problem(code="trouble", message="x")
    return {
        "transfer_id": hop.transfer_id,
        "hop_id": hop.hop_id,
        "attempt": hop.attempt,
        "seq": 9,
        "at": world.clock(),
        "progress": {},
        "problem": problem,
        **more,
    }


def test_a_report_about_nothing_is_dropped(world: ControlPlaneFixture):
    hop = running(world)
    gone = {"transfer_id": "x" * 20, "hop_id": f"{'x' * 20}-0"}
    world.report_handler.apply("b", Failed.model_validate(_failed(world, hop, **gone)))


def test_a_retryable_failure_comes_back_by_the_sweeper(world: ControlPlaneFixture):
    hop = running(world)
    problem = Problem(code="connection-lost", message="cut", retryable=True)
    world.report(Failed, hop, seq=2, problem=problem)
    world.stream()
    queued = now(world, hop)
    assert (queued.state, queued.problem, queued.attempt) == (HopState.QUEUED, problem, 2)
    assert world.fleet.kinds() == []
    world.clock.forward(seconds=10)
    world.lease_sweeper.sweep()
    assert world.fleet.kinds() == [("a", "serve"), ("b", "move")]


def test_a_success_is_not_lost_though_the_control_plane_was_away_for_hours(world: ControlPlaneFixture):
    hop = running(world)
    world.clock.forward(hours=5)
    world.lease_sweeper.sweep()
    world.stream()
    assert now(world, hop).attempt == 2
    world.report(Succeeded, hop, seq=9)
    world.stream()
    assert (now(world, hop).state, now(world, hop).attempt) == (HopState.SUCCEEDED, 2)
    assert world.fleet.kinds()[-1] == ("a", "release")


def test_a_hello_without_a_running_hop_sends_it_anew(world: ControlPlaneFixture):
    hop = running(world)
    world.clock.forward(seconds=5)
    world.report_handler.reconcile("b", hello(world))
    assert (now(world, hop).state, now(world, hop).attempt) == (HopState.QUEUED, 2)
    world.clock.forward(seconds=10)
    world.lease_sweeper.sweep()
    assert world.fleet.kinds() == [("a", "serve"), ("b", "move")]


def test_a_hello_that_had_no_room_for_all_hops_says_nothing_of_those_it_does_not_name(
    world: ControlPlaneFixture,
):
    hop = running(world)
    world.clock.forward(seconds=5)
    world.report_handler.reconcile("b", hello(world).model_copy(update={"hops_omitted": 1}))
    assert now(world, hop) == hop
    assert world.fleet.sent == []


def test_the_sources_hello_says_nothing_of_what_it_does_not_carry(world: ControlPlaneFixture):
    hop = running(world)
    world.clock.forward(seconds=5)
    world.report_handler.reconcile("a", hello(world))
    assert now(world, hop) == hop
    assert world.fleet.sent == []


def test_a_hello_with_what_it_should_hold_changes_nothing(world: ControlPlaneFixture):
    hop = running(world)
    world.report_handler.reconcile("b", hello(world, held(hop)))
    assert now(world, hop) == hop
    assert world.fleet.sent == []


def test_a_hello_hears_of_the_asks_it_missed(world: ControlPlaneFixture):
    paused, cancelled = running(world), running(world, "c:/data/", "b:/archive/c/")
    world.transfer_service.pause(paused.transfer_id, ADA)
    world.transfer_service.cancel(cancelled.transfer_id, ADA)
    unknown = AgentHop(transfer_id="x" * 20, hop_id=f"{'x' * 20}-3", attempt=4, state="paused")
    world.report_handler.reconcile("b", hello(world, held(paused), held(cancelled), unknown))
    assert [(command.kind, command.attempt) for _, command in world.fleet.sent] == [
        ("pause", 1),
        ("cancel", 1),
        ("cancel", 4),
    ]


def test_a_hello_that_lists_a_thousand_hops_makes_few_signatures(world: ControlPlaneFixture):
    """An agent may list what it likes, and each command is a signature of KMS."""
    made_up = [
        AgentHop(transfer_id=f"{number:020d}", hop_id=f"{number:020d}-0", attempt=1, state="running")
        for number in range(1000)
    ]
    paused = running(world)
    world.transfer_service.pause(paused.transfer_id, ADA)
    world.fleet.kinds()
    world.report_handler.reconcile("b", hello(world, *made_up, *made_up, held(paused)))
    kinds = world.fleet.kinds()
    assert kinds.count(("b", "cancel")) == MAX_CANCELS
    assert kinds.count(("b", "pause")) == 1, "which is real, and always told"


def test_a_hop_that_is_listed_often_is_corrected_once(world: ControlPlaneFixture):
    hop = running(world)
    world.transfer_service.cancel(hop.transfer_id, ADA)
    world.fleet.kinds()
    world.report_handler.reconcile("b", hello(world, *[held(hop)] * 20))
    assert world.fleet.kinds() == [("b", "cancel")]


def test_an_agent_still_at_work_on_an_ended_hop_is_told_again(world: ControlPlaneFixture):
    """Its Hello listed more hops than are corrected at once, and this was none of them."""
    hop = running(world)
    world.transfer_service.cancel(hop.transfer_id, ADA)
    world.fleet.kinds()
    world.report(Checkpoint, hop, seq=3)
    assert world.fleet.kinds() == [], "it was on its way when the hop ended"
    world.clock.forward(minutes=2)
    world.report(Checkpoint, hop, seq=4)
    assert world.fleet.kinds() == [("b", "cancel")]
    world.report(Succeeded, hop, seq=5)
    assert world.fleet.kinds() == [], "this one has ended there, too"


@pytest.mark.parametrize("agent_id", ["a", "b"])
def test_an_offer_that_may_be_lost_is_repeated(world: ControlPlaneFixture, agent_id):
    """It was sent between the agent's connecting and its listening."""
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    world.fleet.kinds()
    world.report_handler.reconcile(agent_id, hello(world))
    assert (world.hop(transfer_id).state, world.hop(transfer_id).attempt) == (HopState.OFFERED, 2)
    assert world.fleet.kinds() == [("a", "serve"), ("b", "move")]


def test_an_offer_that_arrived_stays(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    world.fleet.kinds()
    world.report_handler.reconcile("b", hello(world, held(world.hop(transfer_id))))
    assert (world.hop(transfer_id).attempt, world.fleet.sent) == (1, [])


def test_why_a_command_was_not_obeyed_stands_with_the_hop(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    problem = Problem(code="command-expired", message="this host's clock is 3 h ahead", advice="Set it.")
    hop_id = f"{transfer_id}-0"
    for about in (hop_id, None, f"{'x' * 20}-0"):
        world.report_handler.record_refusal("b", Refused(at=world.clock(), hop_id=about, problem=problem))
    assert world.transfer_service.get(transfer_id).hops[0].problem == problem


def test_many_hops_that_end_at_once_all_count(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", *(f"b:/archive/{number}/" for number in range(12)))
    world.stream()
    hops = world.store.get(transfer_id).hops
    with one_call_at_a_time(), ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda hop: world.report(Succeeded, hop), hops))
    assert world.transfer_service.get(transfer_id).state == "succeeded"
    world.stream()
    assert len([fact for fact in world.facts.published if isinstance(fact, TransferFinished)]) == 1


def test_reports_of_two_hops_at_once_both_count(world: ControlPlaneFixture, monkeypatch):
    """The second is written between the first's reading and its writing."""
    transfer_id = world.request("a:/data/", "b:/archive/", "c:/archive/")
    world.stream()
    one, two = world.store.get(transfer_id).hops
    write = world.store.write_change

    def interrupted(*change):
        monkeypatch.setattr(world.store, "write_change", write)
        world.report(Succeeded, two)
        return write(*change)

    monkeypatch.setattr(world.store, "write_change", interrupted)
    world.report(Succeeded, one)
    assert world.transfer_service.get(transfer_id).state == "succeeded"


def test_an_outdated_speed_is_not_shown(world):
    hop = running(world)
    world.report(Checkpoint, hop, seq=2, progress=Progress(bytes_done=5, bytes_total=9, bytes_per_second=3))

    def seen() -> tuple[int, int, float | None]:
        view = world.transfer_service.get(hop.transfer_id)
        [listed] = world.transfer_service.list_transfers(Query()).transfers
        assert view.progress == view.hops[0].progress == listed.progress
        return view.progress.bytes_done, view.progress.bytes_per_second, view.hops[0].seconds_since_report

    assert seen() == (5, 3, 0)
    world.clock.forward(seconds=10)
    assert seen() == (5, 3, 10)
    world.clock.forward(seconds=10)
    assert seen() == (5, 0, 20)
    world.transfer_service.pause(hop.transfer_id, ADA)
    assert seen() == (5, 0, None)
