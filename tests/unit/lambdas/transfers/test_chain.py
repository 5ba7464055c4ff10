"""Streaming chains: when the second hop starts, when it waits, and what stops it."""

from dataclasses import replace

import pytest

from events.base import Problem
from events.commands import Move, Serve
from events.locations import AgentLocation, S3Location
from events.options import Options
from events.progress import Progress
from events.reports import PREVIOUS_HOP_NOT_RUNNING, Capabilities, Checkpoint, Failed, Started, Succeeded
from events.states import HopState, TransferState
from lambdas.domain.errors import StateError
from lambdas.domain.plan import TransferSpec
from tests.support.fakes import ADA
from tests.support.world import ControlPlaneFixture

RESTS = Problem(code=PREVIOUS_HOP_NOT_RUNNING, message="not at work", retryable=True)
STREAMING = Capabilities(streaming=True)


@pytest.fixture
def world(world):
    for name, agent in world.agents.known.items():
        world.agents.known[name] = replace(agent, capabilities=STREAMING)
    return world


def begun(world: ControlPlaneFixture, source: str = "s3://media/new/", **options: object) -> str:
    """Start a chain through b to c whose first hop is at work; clear what was sent for it."""
    transfer_id = world.request(
        source, "b:/archive/", "c:/archive/", shape="chain", options=Options(**options)
    )
    world.stream()
    assert world.hop(transfer_id, 1).state == HopState.WAITING
    world.fleet.sent.clear()
    world.report(Started, world.hop(transfer_id))
    world.stream()
    return transfer_id


def test_the_second_hop_follows_the_first_as_soon_as_that_is_at_work(world: ControlPlaneFixture):
    transfer_id = begun(world)
    (to_b, serve), (to_c, move) = world.fleet.sent
    assert (to_b, to_c) == ("b", "c")
    assert isinstance(serve, Serve)
    assert isinstance(move, Move)
    assert serve.previous_hop == move.previous_hop == f"{transfer_id}-0"
    assert world.hop(transfer_id, 1).state == HopState.OFFERED


def test_a_longer_chain_follows_hop_by_hop(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/", "c:/archive/", "d:/archive/", shape="chain")
    world.stream()
    world.report(Started, world.hop(transfer_id, 0))
    world.stream()
    assert world.hop(transfer_id, 2).state == HopState.WAITING
    world.report(Started, world.hop(transfer_id, 1))
    world.stream()
    assert world.fleet.sent[-1][1].previous_hop == f"{transfer_id}-1"


def test_a_hop_that_begins_after_the_first_has_succeeded_follows_nothing(world: ControlPlaneFixture):
    world.agents.is_now("c", "offline")
    transfer_id = begun(world)
    assert world.fleet.sent == []
    world.report(Succeeded, world.hop(transfer_id), seq=2)
    world.agents.is_now("c", "online")
    world.stream()
    assert [command.previous_hop for _, command in world.fleet.sent] == [None, None]


@pytest.mark.parametrize(
    "option", [{"chain": "whole"}, {"verify": "reread"}, {"delete_extra": True}, {"overwrite": "never"}]
)
def test_it_waits_for_all_where_that_is_asked_or_safer(world: ControlPlaneFixture, option):
    transfer_id = begun(world, "a:/data/", **option)
    assert world.fleet.sent == []
    assert world.hop(transfer_id, 1).state == HopState.WAITING
    world.report(Succeeded, world.hop(transfer_id), seq=2)
    world.stream()
    assert world.hop(transfer_id, 1).state == HopState.OFFERED


@pytest.mark.parametrize("older", ["b", "c"])
def test_it_waits_for_all_where_an_agent_knows_of_no_chains(world: ControlPlaneFixture, older):
    world.agents.known[older] = replace(world.agents.known[older], capabilities=Capabilities())
    transfer_id = begun(world)
    assert world.fleet.sent == []
    world.report(Succeeded, world.hop(transfer_id), seq=2)
    world.stream()
    assert world.hop(transfer_id, 1).state == HopState.OFFERED


def test_a_hop_whose_first_has_come_to_rest_waits_and_follows_again(world: ControlPlaneFixture):
    transfer_id = begun(world)
    world.report(Started, world.hop(transfer_id, 1))
    failed = Problem(code="line-broke", message="x", retryable=True)
    world.report(Failed, world.hop(transfer_id), seq=2, problem=failed)
    world.report(Failed, world.hop(transfer_id, 1), seq=2, problem=RESTS)
    world.stream()
    waiting = world.hop(transfer_id, 1)
    assert (waiting.state, waiting.attempt, waiting.tries) == (HopState.WAITING, 2, 0)

    world.clock.forward(minutes=5)
    world.lease_sweeper.sweep()
    world.stream()
    assert world.hop(transfer_id, 1).state == HopState.WAITING
    world.report(Started, world.hop(transfer_id))
    world.stream()
    assert (world.hop(transfer_id, 1).state, world.hop(transfer_id, 1).attempt) == (HopState.OFFERED, 2)


def test_a_hop_that_waits_for_more_is_alive(world: ControlPlaneFixture):
    transfer_id = begun(world)
    world.report(Started, world.hop(transfer_id, 1))
    for seq in range(2, 30):
        world.clock.forward(seconds=30)
        world.report(Checkpoint, world.hop(transfer_id), seq=seq)
        world.report(Checkpoint, world.hop(transfer_id, 1), seq=seq)
        world.lease_sweeper.sweep()
    world.stream()
    assert [hop.state for hop in world.store.get(transfer_id).hops] == [HopState.RUNNING] * 2


@pytest.mark.parametrize("by_person", [False, True])
def test_when_the_first_ends_otherwise_the_second_is_stopped(world: ControlPlaneFixture, by_person):
    transfer_id = begun(world)
    world.report(Started, world.hop(transfer_id, 1))
    world.stream()
    world.fleet.kinds()
    if by_person:
        world.transfer_service.cancel(transfer_id, ADA)
    else:
        world.report(Failed, world.hop(transfer_id), seq=2)
    world.stream()
    ended = HopState.CANCELLED if by_person else HopState.FAILED
    assert [hop.state for hop in world.store.get(transfer_id).hops] == [ended, ended]
    told = world.fleet.kinds()
    assert ("c", "cancel") in told
    assert ("b", "release") in told


def failed_for_one_of_eighty(world: ControlPlaneFixture, transfer_id: str) -> None:
    """Report that the first hop ends: 79 objects arrived, one is archived."""
    archived = Problem(code="s3-archived", message="s3://media/new/x is archived.")
    world.report(
        Failed,
        world.hop(transfer_id),
        seq=9,
        problem=archived,
        failures=(archived,),
        failures_total=1,
        progress=Progress(files_done=79, files_total=80),
    )
    world.stream()


@pytest.mark.parametrize("chain", ["stream", "whole"])
def test_the_second_server_gets_what_arrived_and_the_rest_is_reported(world: ControlPlaneFixture, chain):
    transfer_id = begun(world, chain=chain)
    if chain == "stream":
        world.report(Started, world.hop(transfer_id, 1))
        failed_for_one_of_eighty(world, transfer_id)
        assert world.hop(transfer_id, 1).state == HopState.RUNNING
        world.report(Failed, world.hop(transfer_id, 1), seq=2, problem=RESTS)  # the head start is over
        world.stream()
    else:
        failed_for_one_of_eighty(world, transfer_id)
    assert world.hop(transfer_id, 1).state == HopState.OFFERED
    assert [command.previous_hop for _, command in world.fleet.sent[-2:]] == [None, None]

    world.report(Started, world.hop(transfer_id, 1))
    world.report(Succeeded, world.hop(transfer_id, 1), seq=3)
    world.stream()

    transfer = world.store.get(transfer_id)
    assert transfer.state == TransferState.PARTIALLY_FAILED
    second = transfer.hops[1]
    assert (second.state, second.problem.code) == (HopState.FAILED, "previous-hop-incomplete")
    assert second.failures_total == 1

    world.transfer_service.retry(transfer_id, ADA)
    assert [hop.state for hop in world.store.get(transfer_id).hops] == [HopState.QUEUED, HopState.WAITING]


def test_after_a_retry_a_success_of_what_had_arrived_before_does_not_count(world: ControlPlaneFixture):
    """The agent has moved all that there was, and reports a success, which comes twice."""
    transfer_id = begun(world, chain="whole")
    failed_for_one_of_eighty(world, transfer_id)
    forwarding = world.hop(transfer_id, 1)
    world.report(Started, forwarding)
    world.report(Succeeded, forwarding, seq=3)
    world.stream()
    world.transfer_service.retry(transfer_id, ADA)
    world.stream()
    world.report(Started, world.hop(transfer_id))
    world.report(Succeeded, world.hop(transfer_id), seq=9)
    world.stream()

    again = world.hop(transfer_id, 1)
    _, order = world.fleet.sent[-1]
    assert (order.hop_id, order.attempt) == (again.hop_id, again.attempt)
    assert forwarding.attempt < order.success_from <= order.attempt
    world.report(Succeeded, forwarding, seq=3)
    assert world.hop(transfer_id, 1).state == HopState.OFFERED
    world.report(Started, again)
    world.report(Succeeded, again, seq=3)
    assert world.store.get(transfer_id).state == TransferState.SUCCEEDED


def test_a_retry_waits_for_the_hop_that_forwards_a_part_so_that_the_last_server_gets_the_rest(
    world: ControlPlaneFixture,
):
    transfer_id = begun(world, chain="whole")
    failed_for_one_of_eighty(world, transfer_id)
    world.report(Started, world.hop(transfer_id, 1))
    world.stream()

    with pytest.raises(StateError) as refusal:
        world.transfer_service.retry(transfer_id, ADA)
    assert "when that hop has ended" in refusal.value.problem.advice
    assert world.hop(transfer_id).state == HopState.FAILED

    world.report(Succeeded, world.hop(transfer_id, 1), seq=2)
    world.stream()
    assert world.store.get(transfer_id).state == TransferState.PARTIALLY_FAILED

    world.transfer_service.retry(transfer_id, ADA)
    for number in (0, 1):
        world.stream()
        world.report(Started, world.hop(transfer_id, number))
        world.report(Succeeded, world.hop(transfer_id, number), seq=2)
        world.stream()
    transfer = world.store.get(transfer_id)
    assert transfer.state == TransferState.SUCCEEDED
    assert transfer.hops[1].attempt == 2, "the last server was offered the rest"


def test_a_chain_that_was_cancelled_while_it_forwards_a_part_can_be_retried(world: ControlPlaneFixture):
    transfer_id = begun(world, chain="whole")
    failed_for_one_of_eighty(world, transfer_id)
    world.report(Started, world.hop(transfer_id, 1))
    world.transfer_service.cancel(transfer_id, ADA)
    world.transfer_service.retry(transfer_id, ADA)
    assert [hop.state for hop in world.store.get(transfer_id).hops] == [HopState.QUEUED, HopState.WAITING]


def test_keys_that_are_no_path_are_reported_by_the_first_hop_and_not_asked_of_the_second(
    world: ControlPlaneFixture,
):
    keys = ("good", "x//y", "../up", "a/./b", "/lead", "marker/", "n\0ul")
    spec = TransferSpec(
        source=S3Location(bucket="media", prefix="new/"),
        destinations=tuple(AgentLocation(agent_id=name, path="/archive/") for name in "bc"),
        shape="chain",
        selection=keys,
        owner=ADA,
    )
    transfer_id = world.transfer_service.create_from_template(spec, "new", "batch 1", lambda *_: None)
    world.stream()
    world.report(Started, world.hop(transfer_id))
    world.stream()
    asked = {
        (command.kind, command.hop_id): command.selection
        for _, command in world.fleet.sent
        if command.kind in {"move", "serve"}
    }
    first, second = f"{transfer_id}-0", f"{transfer_id}-1"
    assert asked == {("move", first): keys, ("move", second): ("good",), ("serve", second): ("good",)}


def test_a_chain_that_deletes_does_not_go_on_in_part(world: ControlPlaneFixture):
    transfer_id = begun(world, source="a:/data/", delete_extra=True)
    failed_for_one_of_eighty(world, transfer_id)
    second = world.hop(transfer_id, 1)
    assert (second.state, second.problem.code) == (HopState.FAILED, "previous-hop-ended")


def test_a_pause_holds_both_and_a_resume_brings_on_both(world: ControlPlaneFixture):
    transfer_id = begun(world)
    world.report(Started, world.hop(transfer_id, 1))
    world.transfer_service.pause(transfer_id, ADA)
    world.stream()
    assert [hop.state for hop in world.store.get(transfer_id).hops] == [HopState.PAUSED] * 2
    world.transfer_service.resume(transfer_id, ADA)
    world.stream()
    assert world.hop(transfer_id, 1).state == HopState.WAITING
    world.report(Started, world.hop(transfer_id))
    world.stream()
    assert world.hop(transfer_id, 1).state == HopState.OFFERED
