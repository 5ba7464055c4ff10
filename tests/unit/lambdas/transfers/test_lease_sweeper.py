"""The sweep every minute continues what got stuck; an idle table costs one query."""

from datetime import timedelta
from threading import Barrier

import pytest

from events.base import Problem
from events.reports import Failed, Started, Succeeded
from events.states import HopState
from lambdas.domain import problems
from lambdas.domain.errors import StaleError
from lambdas.transfers.lease_sweeper import LeaseSweeper
from lambdas.transfers.writer import MAX_ATTEMPTS
from tests.support.fakes import ADA
from tests.support.waiting import HANG_TIMEOUT_S
from tests.support.world import ControlPlaneFixture


def test_nothing_is_due(world: ControlPlaneFixture):
    assert world.lease_sweeper.sweep() == 0


def test_a_transfer_whose_stream_was_lost_is_dispatched_all_the_same(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.clock.forward(seconds=60)
    assert world.lease_sweeper.sweep() == 1
    assert world.hop(transfer_id).state == HopState.OFFERED
    assert world.fleet.kinds() == [("a", "serve"), ("b", "move")]


def test_a_chain_whose_stream_was_lost_goes_on_all_the_same(world: ControlPlaneFixture):
    transfer_id = world.request("s3://media/", "b:/archive/", "c:/archive/", shape="chain")
    world.stream()
    world.report(Succeeded, world.hop(transfer_id))
    world.clock.forward(seconds=60)
    world.lease_sweeper.sweep()
    assert world.hop(transfer_id, 1).state == HopState.OFFERED


def test_a_lapsed_lease_offers_again_under_a_new_attempt(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    world.report(Started, world.hop(transfer_id))
    world.clock.forward(seconds=61)
    world.lease_sweeper.sweep()
    world.stream()
    hop = world.hop(transfer_id)
    assert (hop.state, hop.attempt, hop.problem.code) == (HopState.QUEUED, 2, problems.AGENT_SILENT.code)
    assert hop.retry_at - hop.changed_at == timedelta(seconds=10)


def a_failed_attempt(world: ControlPlaneFixture) -> str:
    """Return a transfer of one hop whose first attempt has failed, and which is due again in 10 s."""
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    world.report(Started, world.hop(transfer_id))
    broken = Problem(code="connection-lost", message="The line was cut.", retryable=True)
    world.report(Failed, world.hop(transfer_id), seq=2, problem=broken)
    world.stream()
    assert world.hop(transfer_id).state == HopState.QUEUED
    return transfer_id


def test_a_retry_starts_when_it_is_due_and_not_with_the_next_sweep(world: ControlPlaneFixture):
    transfer_id = a_failed_attempt(world)
    world.clock.forward(seconds=9)
    assert not world.retries.due()
    world.clock.forward(seconds=1)
    assert world.retries.due() == [f"{transfer_id}-0"]
    world.lease_sweeper.check(transfer_id, 0)
    hop = world.hop(transfer_id)
    assert (hop.state, hop.attempt, hop.offered_at) == (HopState.OFFERED, 2, world.clock())


@pytest.mark.parametrize("checks", [1, 3])
def test_a_check_that_comes_early_or_again_changes_nothing(world: ControlPlaneFixture, checks):
    transfer_id = a_failed_attempt(world)
    before = world.hop(transfer_id)
    world.clock.forward(seconds=5)
    for _ in range(checks):
        world.lease_sweeper.check(transfer_id, 0)
    assert world.hop(transfer_id) == before  # the sweep still finds it at its time
    world.clock.forward(seconds=5)
    for _ in range(checks):
        world.lease_sweeper.check(transfer_id, 0)
    assert world.hop(transfer_id).attempt == 2
    assert world.fleet.kinds() == [("a", "serve"), ("b", "move")] * 2


def test_a_retry_of_a_paused_or_deleted_transfer_does_not_start(world: ControlPlaneFixture):
    transfer_id = a_failed_attempt(world)
    world.transfer_service.pause(transfer_id, ADA)
    world.clock.forward(seconds=10)
    world.lease_sweeper.check(transfer_id, 0)
    world.lease_sweeper.check("0" * 20, 0)
    assert world.hop(transfer_id).state == HopState.PAUSED


def test_only_hops_that_wait_for_a_time_are_checked_at_one(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    world.report(Started, world.hop(transfer_id))
    world.transfer_service.pause(transfer_id, ADA)
    world.stream()
    world.transfer_service.resume(transfer_id, ADA)
    world.stream()
    assert world.retries.times == {}


def test_an_agent_that_answers_no_offer_is_disconnected_so_that_it_subscribes_again(
    world: ControlPlaneFixture,
):
    """It connects and reports, but the broker has lost what it subscribed to."""
    first, second = (world.request("a:/data/", f"b:/archive/{number}/") for number in (1, 2))
    offers = 0
    while not world.fleet.cut_off:
        world.stream()
        offers += world.fleet.kinds().count(("b", "move"))
        world.clock.forward(seconds=61)
        world.lease_sweeper.sweep()
        assert offers < 20
    assert world.fleet.cut_off == ["b"], "once for both hops, and the source has not to answer"
    assert offers == 4
    for transfer_id in (first, second):
        assert world.hop(transfer_id).state == HopState.QUEUED
    world.clock.forward(minutes=20)
    world.lease_sweeper.sweep()
    for transfer_id in (first, second):
        world.report(Started, world.hop(transfer_id))
    world.clock.forward(minutes=20)
    world.lease_sweeper.sweep()
    assert world.fleet.cut_off == ["b"], "it hears again"


def test_hops_of_absent_agents_are_looked_at_less_and_less_often(world: ControlPlaneFixture):
    world.agents.is_now("b", "offline")
    transfer_id = world.request("a:/data/", "b:/archive/")
    looks = 0
    for _ in range(120):
        world.clock.forward(minutes=1)
        looks += world.lease_sweeper.sweep()
    assert world.hop(transfer_id).state == HopState.QUEUED
    assert 10 < looks < 20


def test_one_that_fails_does_not_keep_the_others_waiting(world: ControlPlaneFixture, monkeypatch):
    first = world.request("a:/data/", "b:/archive/")
    world.clock.forward(seconds=1)
    second = world.request("c:/data/", "d:/archive/")
    get = world.store.get

    def failing(transfer_id):
        if transfer_id == first:
            raise RuntimeError("a row nobody can read")
        return get(transfer_id)

    monkeypatch.setattr(world.store, "get", failing)
    world.clock.forward(minutes=2)
    with pytest.raises(ExceptionGroup, match="could not be swept"):
        world.lease_sweeper.sweep()
    assert world.hop(second).state == HopState.OFFERED


def test_a_sweep_ends_before_the_next_one_begins(world: ControlPlaneFixture, monkeypatch):
    for number in range(3):
        world.request("a:/data/", f"b:/archive/{number}/")
    world.clock.forward(minutes=2)
    bring_on = world.stream_handler.advance

    def slowly(transfer):
        world.clock.forward(seconds=25)
        bring_on(transfer)

    monkeypatch.setattr(world.stream_handler, "advance", slowly)
    assert sweeper(world, threads=1).sweep() == 2


def sweeper(world: ControlPlaneFixture, threads: int) -> LeaseSweeper:
    return LeaseSweeper(
        world.store, world.writer, world.stream_handler, world.clock, world.fleet.cut, threads
    )


def test_after_an_outage_as_many_hops_are_offered_at_once_as_there_are_threads(
    world: ControlPlaneFixture, monkeypatch
):
    """One after the other were 500 a minute; ten thousand hops would have waited for twenty minutes."""
    transfers = [world.request("a:/data/", f"b:/archive/{number}/") for number in range(8)]
    world.clock.forward(minutes=2)
    bring_on, together = world.stream_handler.advance, Barrier(4, timeout=HANG_TIMEOUT_S)

    def waiting(transfer):
        together.wait()
        bring_on(transfer)

    monkeypatch.setattr(world.stream_handler, "advance", waiting)
    assert sweeper(world, threads=4).sweep() == 8
    assert {world.hop(transfer_id).state for transfer_id in transfers} == {HopState.OFFERED}


def test_hops_of_one_transfer_do_not_write_against_each_other(world: ControlPlaneFixture, monkeypatch):
    """Fifty leases that lapse together change one header; in parallel, most attempts would be refused."""
    ends = [f"{agent}:/archive/{number}/" for agent in "bcd" for number in range(2)]
    transfer_id = world.request("a:/data/", *ends)
    world.stream()
    for hop in world.store.get(transfer_id).hops:
        world.report(Started, hop)
    world.clock.forward(seconds=90)
    monkeypatch.setattr(world.writer, "_wait", lambda _: pytest.fail("an attempt was refused"))
    assert world.lease_sweeper.sweep() == len(ends)
    assert {hop.state for hop in world.store.get(transfer_id).hops} == {HopState.QUEUED}


def test_patience_with_others_has_an_end(world: ControlPlaneFixture, monkeypatch):
    transfer_id = world.request("a:/data/", "b:/archive/")
    tries = []

    def always_late(*change):
        tries.append(change)
        raise StaleError("Transfer")

    monkeypatch.setattr(world.store, "write_change", always_late)
    with pytest.raises(StaleError):
        world.transfer_service.pause(transfer_id, ADA)
    assert len(tries) == MAX_ATTEMPTS
