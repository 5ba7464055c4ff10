"""What waits for a person is found at any age, until somebody has dealt with it."""

from collections import Counter
from datetime import timedelta

import pytest

from events.base import Problem
from events.reports import Failed, Paused, Started, Succeeded
from events.states import Attention, HopState
from lambdas.domain.errors import StateError
from lambdas.domain.transfer import Transfer
from tests.support.fakes import ADA, BOB
from tests.support.world import ControlPlaneFixture


def failed(world: ControlPlaneFixture, *, dry_run: bool = False) -> str:
    transfer_id = world.request("a:/data/", "b:/archive/", options={"dry_run": dry_run})
    world.stream()
    world.report(Started, world.hop(transfer_id))
    world.report(Failed, world.hop(transfer_id), seq=2)
    world.stream()
    assert world.hop(transfer_id).state == HopState.FAILED
    return transfer_id


def groups(world: ControlPlaneFixture) -> dict[Attention, int]:
    return {group.reason: group.count for group in world.transfer_service.attention().groups}


def test_a_failure_of_last_year_is_found_behind_hundreds_of_later_successes(world: ControlPlaneFixture):
    old = failed(world)
    world.clock.forward(days=400)
    for _ in range(25):
        transfer_id = world.request("a:/data/", "b:/archive/")
        world.stream()
        world.report(Succeeded, world.hop(transfer_id))
    (group,) = world.transfer_service.attention().groups
    assert (group.reason, group.count) == (Attention.FAILED, 1)
    assert [one.transfer_id for one in group.newest] == [old]


def test_more_failures_than_are_named_are_counted(world: ControlPlaneFixture):
    ids = [failed(world) for _ in range(5)]
    (group,) = world.transfer_service.attention().groups
    assert group.count == 5
    assert [one.transfer_id for one in group.newest] == ids[:1:-1]


def test_who_acknowledges_a_failure_is_in_its_timeline_and_it_needs_nobody_any_more(
    world: ControlPlaneFixture,
):
    transfer_id = failed(world)
    world.transfer_service.acknowledge(transfer_id, BOB)
    view = world.transfer_service.acknowledge(transfer_id, ADA)
    assert view.acknowledged_by == BOB, "the first one counts"
    assert [one.by for one in view.timeline if one.what == "acknowledged"] == [BOB]
    assert groups(world) == {}


def test_a_retry_that_fails_again_needs_attention_again(world: ControlPlaneFixture):
    transfer_id = failed(world)
    world.transfer_service.acknowledge(transfer_id, ADA)
    world.transfer_service.retry(transfer_id, ADA)
    assert groups(world) == {}
    world.stream()
    world.report(Failed, world.hop(transfer_id))
    assert groups(world) == {Attention.FAILED: 1}
    assert world.transfer_service.get(transfer_id).acknowledged_by is None


def test_what_runs_cannot_be_acknowledged(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    with pytest.raises(StateError, match="it is queued"):
        world.transfer_service.acknowledge(transfer_id, ADA)


def test_a_pause_by_an_agent_needs_somebody_and_one_by_a_person_does_not(world: ControlPlaneFixture):
    full = Problem(code="disk-full", message="The disk is full.")
    by_agent, by_person = (world.request("a:/data/", f"b:/archive/{place}/") for place in ("full", "later"))
    world.stream()
    world.report(Started, world.hop(by_agent))
    world.report(Paused, world.hop(by_agent), seq=2, problem=full)
    world.transfer_service.pause(by_person, ADA)
    (group,) = world.transfer_service.attention().groups
    assert (group.reason, group.count) == (Attention.PAUSED, 1)
    assert [one.transfer_id for one in group.newest] == [by_agent]

    world.transfer_service.pause(by_agent, ADA)
    assert groups(world) == {}, "a person has it in hand"


def test_a_preview_that_fails_was_seen_by_whoever_asked_for_it(world: ControlPlaneFixture):
    failed(world, dry_run=True)
    assert groups(world) == {}


def test_what_is_queued_is_counted(world: ControlPlaneFixture):
    world.agents.is_now("b", "offline")
    for number in range(3):
        world.request("a:/data/", f"b:/archive/{number}/")
    world.stream()
    assert world.transfer_service.attention().queued == 3


def test_the_index_says_the_same_as_the_state_whatever_happens(world: ControlPlaneFixture):
    """Reads each transfer, as nobody does in production, and compares."""
    ids = [failed(world), world.request("a:/data/", "b:/archive/x/"), failed(world, dry_run=True)]
    world.transfer_service.cancel(ids[1], ADA)
    world.clock.forward(minutes=1)
    world.transfer_service.retry(ids[0], ADA)
    transfers: list[Transfer] = [world.store.get(one) for one in ids]
    expected = Counter(one.attention for one in transfers if one.attention)
    assert groups(world) == dict(expected)
    assert world.clock() - transfers[0].created_at >= timedelta(minutes=1)
