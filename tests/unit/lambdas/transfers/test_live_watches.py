"""Agents publish live progress only of transfers that someone watches, under one lease for all watchers."""

import pytest

from events.commands import Move, Watch
from events.reports import Failed, Started, Succeeded
from lambdas.transfers.live_watches import LEASE, LiveWatches
from tests.support.fakes import ADA
from tests.support.world import ControlPlaneFixture, items_written


@pytest.fixture
def watches(world: ControlPlaneFixture) -> LiveWatches:
    return LiveWatches(world.store, world.fleet, world.clock)


def running(world: ControlPlaneFixture, *destinations: str) -> str:
    """Return a transfer from a to these, whose hops run; forget the commands that started it."""
    transfer_id = world.request("a:/data/raw/", *destinations)
    world.stream()
    for hop in world.store.get(transfer_id).hops:
        world.report(Started, hop)
    world.stream()
    world.fleet.sent.clear()
    return transfer_id


def test_opening_a_page_tells_each_carrier_once(world: ControlPlaneFixture, watches: LiveWatches):
    transfer_id = running(world, "b:/archive/", "c:/archive/")
    watches.watch([transfer_id])
    told = Watch(transfer_id=transfer_id, seconds=90)
    assert world.fleet.sent == [("b", told), ("c", told)], "the source has nothing to tell"


@pytest.mark.parametrize("watchers", [1, 5])
def test_ten_minutes_of_watching_cost_the_same_however_many_watch(
    world: ControlPlaneFixture, watches: LiveWatches, watchers: int
):
    """Each page asks every 30 s. A hop that ran for ten minutes unwatched used to publish 600 messages."""
    transfer_id = running(world, "b:/archive/")
    with items_written() as written:
        for _ in range(20):
            for _ in range(watchers):
                watches.watch([transfer_id])
            world.clock.forward(seconds=30)
    assert len(world.fleet.sent) == len(written) == 10


def test_a_lease_never_lapses_between_two_requests_of_an_open_page(
    world: ControlPlaneFixture, watches: LiveWatches
):
    transfer_id = running(world, "b:/archive/")
    until = world.clock()
    for _ in range(20):
        watches.watch([transfer_id])
        if world.fleet.sent:
            world.fleet.sent.clear()
            until = world.clock() + LEASE
        world.clock.forward(seconds=30)
        assert until > world.clock()


def test_the_next_attempt_of_a_watched_hop_publishes_at_once(
    world: ControlPlaneFixture, watches: LiveWatches
):
    transfer_id = running(world, "b:/archive/")
    watches.watch([transfer_id])
    world.report(Failed, world.hop(transfer_id), seq=2)
    world.stream()
    world.clock.forward(seconds=30)
    world.transfer_service.retry(transfer_id, ADA)
    world.stream()
    [move] = [command for _, command in world.fleet.sent if isinstance(command, Move)]
    assert 55 < move.watch_s <= 60, "what is left of the lease"


def test_the_agent_of_a_chain_s_next_hop_learns_that_someone_watches(
    world: ControlPlaneFixture, watches: LiveWatches
):
    transfer_id = world.request("a:/data/raw/", "b:/archive/", "c:/archive/", shape="chain")
    watches.watch([transfer_id])
    world.stream()
    world.report(Started, world.hop(transfer_id))
    world.report(Succeeded, world.hop(transfer_id), seq=2)
    world.stream()
    watched = {agent for agent, one in world.fleet.sent if isinstance(one, Move) and one.watch_s}
    assert watched == {"b", "c"}


def test_after_the_pages_were_closed_nothing_is_published_any_more(
    world: ControlPlaneFixture, watches: LiveWatches
):
    transfer_id = world.request("a:/data/raw/", "b:/archive/")
    watches.watch([transfer_id])
    world.clock.forward(seconds=91)
    world.stream()
    [move] = [command for _, command in world.fleet.sent if isinstance(command, Move)]
    assert move.watch_s == 0


def test_what_has_ended_or_never_existed_costs_a_read_and_nothing_else(
    world: ControlPlaneFixture, watches: LiveWatches
):
    transfer_id = running(world, "b:/archive/")
    world.report(Succeeded, world.hop(transfer_id), seq=2)
    world.stream()
    world.fleet.sent.clear()
    with items_written() as written:
        watches.watch([transfer_id, "0" * 20])
    assert world.fleet.sent == written == []


def test_of_two_pages_that_open_together_one_tells_the_agents(
    world: ControlPlaneFixture, watches: LiveWatches
):
    transfer_id = running(world, "b:/archive/")
    before = world.store.get(transfer_id).watched_until
    assert world.store.extend_watch(transfer_id, before, world.clock() + LEASE)
    assert not world.store.extend_watch(transfer_id, before, world.clock() + LEASE)


def test_watching_does_not_disturb_a_change_that_is_being_written(
    world: ControlPlaneFixture, watches: LiveWatches
):
    transfer_id = running(world, "b:/archive/")
    revision = world.store.get(transfer_id).revision
    watches.watch([transfer_id])
    assert world.store.get(transfer_id).revision == revision
