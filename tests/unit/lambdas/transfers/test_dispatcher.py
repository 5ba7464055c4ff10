"""From a request to commands: what follows from each timeline entry, and in which order."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from unittest.mock import patch

import pytest
from botocore.client import BaseClient

from events.base import Problem
from events.commands import Cancel, Move, Serve
from events.facts import TransferFinished, TransferRequested
from events.options import Options
from events.progress import Progress
from events.reports import Capabilities, Checkpoint, Failed, Paused, RemoteState, Started, Succeeded
from events.requests import TransferRequest
from events.states import HopState, TransferState
from lambdas.domain import problems
from lambdas.domain.errors import (
    AgentOfflineError,
    AgentTooOldError,
    AgentUnknownError,
    OutsideRootsError,
    ReadOnlyError,
    ReusedKeyError,
    StaleError,
    StateError,
)
from lambdas.domain.hop import MAX_ATTEMPTS, MAX_BACKOFF, OFFER_LEASE
from lambdas.domain.plan import TransferSpec
from lambdas.transfers.dispatcher import DispatchSettings
from lambdas.transfers.service import Query
from tests.support.fakes import ADA, BOB, an_agent
from tests.support.waiting import HANG_TIMEOUT_S
from tests.support.world import A_CONNECTION, ControlPlaneFixture, a_transfer, items_written


def test_a_direct_hop_is_served_and_moved_with_one_token(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/raw/", "b:/archive/raw/")
    assert world.fleet.sent == [], "nothing is sent in the call that writes"
    world.stream()
    (to_a, serve), (to_b, move) = world.fleet.sent
    assert (to_a, to_b) == ("a", "b")
    assert isinstance(serve, Serve)
    assert isinstance(move, Move)
    assert (serve.path, serve.peer.certificate) == ("/data/raw/", "certificate of b")
    assert serve.until - world.hop(transfer_id).offered_at == timedelta(hours=24)
    assert move.route.kind == "direct"
    assert move.route.source.certificate == "certificate of a"
    assert move.route.endpoints == ("a.example.com:4460",)
    assert move.route.own_endpoints == serve.endpoints == ("b.example.com:4460",)
    assert world.fleet.signed[move.route.hop_token] == ("a", serve)
    assert len(world.fleet.signed) == 2, "two signatures a hop"
    assert world.hop(transfer_id).state == HopState.OFFERED


@pytest.mark.parametrize("destination", ["s3://media/in/", "b:/archive/raw/"])
def test_a_push_to_s3_that_has_used_up_its_attempts_is_told_to_discard_what_it_kept(
    world: ControlPlaneFixture, destination
):
    """Its unfinished uploads would be paid for. What a pull kept costs nothing, and helps a retry."""
    transfer_id = world.request("a:/data/raw/", destination)
    problem = Problem(code="s3-failed", message="S3 failed.", retryable=True)
    for attempt in range(MAX_ATTEMPTS):
        world.clock.forward(seconds=MAX_BACKOFF.total_seconds() if attempt else 0)
        world.stream()
        world.stream_handler.advance(world.store.get(transfer_id))
        assert world.hop(transfer_id).state == HopState.OFFERED
        assert not [sent for _, sent in world.fleet.sent if isinstance(sent, Cancel)]
        world.report(Failed, world.hop(transfer_id), problem=problem)
    world.stream()
    hop = world.hop(transfer_id)
    assert hop.state == HopState.FAILED
    cancels = [(to, sent.attempt) for to, sent in world.fleet.sent if isinstance(sent, Cancel)]
    assert cancels == ([("a", hop.attempt)] if destination.startswith("s3:") else [])


@pytest.mark.parametrize("loopback", [True, False])
def test_no_agent_is_told_to_dial_its_own_host(world: ControlPlaneFixture, loopback):
    """Its peers scan no ports for it. Only the demonstration's agents are on one host."""
    for agent_id in ("a", "b"):
        agent = world.agents.get(agent_id)
        lies = ("127.0.0.1:22", "localhost:5432", "169.254.169.254:80", "[fe80::1]:1", "10.0.0.9:4460")
        world.agents.known[agent_id] = replace(agent, endpoints=lies)
    world.dispatcher._settings = DispatchSettings(lambda _: "eu-central-1", None, loopback_lanes=loopback)
    world.request("a:/data/raw/", "b:/archive/raw/")
    world.stream()
    (_, serve), (_, move) = world.fleet.sent
    expected = (*(("127.0.0.1:22", "localhost:5432") if loopback else ()), "10.0.0.9:4460")
    assert serve.endpoints == move.route.endpoints == move.route.own_endpoints == expected


@pytest.mark.parametrize("symlinks", ["keep", "follow"])
def test_the_source_is_told_what_its_peer_may_read(world: ControlPlaneFixture, symlinks):
    options = Options(include=("*.mov",), exclude=("proxies/",), symlinks=symlinks)
    world.request("a:/data/raw/", "b:/archive/raw/", options=options)
    world.stream()
    (_, serve), (_, move) = world.fleet.sent
    assert serve.options == move.options == options
    assert serve.selection == move.selection


def test_a_hop_that_may_be_relayed_has_a_place_of_its_own_that_says_nothing(world: ControlPlaneFixture):
    for relay in ("allowed", "never"):
        world.request("a:/data/raw/", "b:/archive/raw/", options=Options(relay=relay))
        world.stream()
    (_, serve), (_, move), (_, never_served), (_, never_moved) = world.fleet.sent
    assert serve.relay == move.route.relay
    assert serve.relay.bucket == "relay"
    assert re.fullmatch("[0-9a-f]{32}/", serve.relay.prefix)
    assert serve.transfer_id not in serve.relay.prefix
    assert (never_served.relay, never_moved.route.relay) == (None, None)


def test_other_routes_need_one_command(world: ControlPlaneFixture):
    world.request("s3://media/new/", "b:/archive/")
    world.request("c:/data/", "c:/archive/")
    remotes = (RemoteState(name="disk", access="rw"),)
    world.agents.known["d"] = an_agent("d", capabilities=Capabilities(remotes=remotes))
    world.request("d:disk:in/", "d:/archive/")
    world.stream()
    assert sorted((to, command.route.kind) for to, command in world.fleet.sent) == [
        ("b", "s3"),
        ("c", "local"),
        ("d", "remote"),
    ]


def test_a_transfer_from_request_to_event(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/raw/", "b:/archive/raw/")
    world.stream()
    world.report(Started, world.hop(transfer_id))
    assert world.transfer_service.get(transfer_id).hops[0].connection == A_CONNECTION
    world.stream()
    world.fleet.kinds()
    world.report(Succeeded, world.hop(transfer_id), seq=2)
    world.stream()
    assert world.fleet.kinds() == [("a", "release")]
    view = world.transfer_service.get(transfer_id)
    assert (view.state, view.hops[0].digest, view.progress.files_done) == ("succeeded", "d", 1)
    assert [moment.what for moment in view.timeline] == [
        "requested",
        "hop 1 offered to b",
        "hop 1 started (direct, server-c dialed 10.0.0.2:4460)",
        "hop 1 succeeded",
    ]
    assert [moment.by.name for moment in view.timeline] == ["ada", "crosshaul", "agent:b", "agent:b"]
    requested, finished = world.facts.published
    assert isinstance(requested, TransferRequested)
    assert isinstance(finished, TransferFinished)
    assert (finished.state, finished.bytes, finished.files) == (TransferState.SUCCEEDED, 9, 1)


def test_what_a_hop_costs(world: ControlPlaneFixture):
    """The promise of docs/architecture.md: a small, fixed number of writes, signatures and messages."""
    with items_written() as written:
        transfer_id = world.request("a:/data/raw/", "b:/archive/raw/")
        assert written == [3], "header, hop, line; what a person asks for also has one audit record"
        world.stream_handler.advance(world.store.get(transfer_id))
        assert written == [3, 2], "the hop and a line; the transfer is queued as before"
        world.report(Started, world.hop(transfer_id))
        world.report(Checkpoint, world.hop(transfer_id), seq=2)
        world.report(Checkpoint, world.hop(transfer_id), seq=2)
        world.report(Succeeded, world.hop(transfer_id), seq=3)
        world.lease_sweeper.sweep()
        assert written == [3, 2, 3, 1, 6], "the end is also added to the totals, and to the month's costs"
    world.stream()
    assert len(world.fleet.signed) == len(world.fleet.sent) == 3, "serve, move, release"
    assert len(world.notifier.announced) == 4, "asked for, offered, started, arrived"


def test_a_chain_goes_on_when_its_first_hop_has_succeeded(world: ControlPlaneFixture):
    transfer_id = world.request("s3://media/new/", "b:/archive/", "d:/archive/", shape="chain")
    world.stream()
    assert world.fleet.kinds() == [("b", "move")]
    world.report(Succeeded, world.hop(transfer_id))
    world.stream()
    assert world.fleet.kinds() == [("b", "serve"), ("d", "move")]
    world.report(Succeeded, world.hop(transfer_id, 1))
    world.stream()
    assert world.transfer_service.get(transfer_id).state == TransferState.SUCCEEDED


@pytest.mark.parametrize("destinations", [2, 12])
@pytest.mark.parametrize("report", [Started, Succeeded])
def test_what_one_of_many_destinations_does_costs_the_reads_of_its_own_hop(
    world: ControlPlaneFixture, report, destinations
):
    """Fifty destinations write two hundred entries; each used to read all fifty hops."""
    transfer_id = world.request("a:/data/raw/", *(f"b:/archive/{number}/" for number in range(destinations)))
    world.stream()
    if report is not Started:
        world.report(Started, world.hop(transfer_id))
        world.stream()
    world.report(report, world.hop(transfer_id), seq=2)
    [entry] = world.new_rows()
    world.fleet.kinds()
    with hops_read() as read:
        world.stream_handler.handle(entry)
    assert sum(read) == 2, "the hop and its neighbor, which does not follow it"
    assert world.notifier.announced[-1] == transfer_id
    assert world.fleet.kinds() == ([("a", "release")] if report is Succeeded else [])


@contextmanager
def hops_read() -> Iterator[list[int]]:
    """Record how many hops each call reads."""
    read: list[int] = []
    really = BaseClient._make_api_call

    def counting(self, operation, arguments):
        answer = really(self, operation, arguments)
        found = [*answer.get("Items", ()), *([answer["Item"]] if "Item" in answer else ())]
        read.append(sum(item["part"]["S"].startswith("hop#") for item in found))
        return answer

    with patch.object(BaseClient, "_make_api_call", counting):
        yield read


def test_the_destinations_of_a_fan_out_are_offered_at_once(world: ControlPlaneFixture, monkeypatch):
    """One after the other, the last of fifty servers waited for four seconds."""
    world.dispatcher._settings = DispatchSettings(lambda _: "eu-central-1", None, threads=3)
    transfer_id = world.request("a:/data/raw/", "b:/archive/", "c:/archive/", "d:/archive/")
    together, find = Barrier(3, timeout=HANG_TIMEOUT_S), world.agents.get

    def waiting(agent_id):
        if agent_id != "a":
            together.wait()
        return find(agent_id)

    monkeypatch.setattr(world.agents, "get", waiting)
    world.stream()
    assert {hop.state for hop in world.store.get(transfer_id).hops} == {HopState.OFFERED}
    assert sorted(world.fleet.kinds()) == sorted([("a", "serve")] * 3 + [(name, "move") for name in "bcd"])


def test_a_chain_ends_with_its_first_hop_and_can_be_retried(world: ControlPlaneFixture):
    transfer_id = world.request("s3://media/new/", "b:/archive/", "c:/archive/", "d:/archive/", shape="chain")
    world.stream()
    world.report(Failed, world.hop(transfer_id))
    world.stream()
    view = world.transfer_service.get(transfer_id)
    assert [hop.state for hop in view.hops] == ["failed"] * 3
    assert (view.state, view.problem.code) == ("failed", "source-missing")
    assert view.hops[2].problem.code == problems.PREVIOUS_HOP_ENDED.code
    world.fleet.kinds()
    again = world.transfer_service.retry(transfer_id, ADA)
    assert [hop.state for hop in again.hops] == ["queued", "waiting", "waiting"]
    assert (again.state, again.ended_at, again.problem) == ("queued", None, None)
    world.stream()
    assert world.fleet.kinds() == [("b", "move")]
    assert world.hop(transfer_id).attempt == 2


def test_an_absent_agent_is_waited_for(world: ControlPlaneFixture):
    world.agents.is_now("a", "offline")
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    assert world.fleet.sent == []
    world.agents.is_now("a", "online")
    world.stream_handler.agent_online("a")
    assert world.fleet.kinds() == [("a", "serve"), ("b", "move")]
    assert world.hop(transfer_id).state == HopState.OFFERED


def test_what_cannot_be_is_refused_and_nothing_is_written(world: ControlPlaneFixture):
    world.agents.is_now("c", "offline")
    for source, destination, options, error in (
        ("a:/data/", "nobody:/archive/", {}, AgentUnknownError),
        ("a:/etc/", "b:/archive/", {}, OutsideRootsError),
        ("a:/data/", "b:/data/x/", {}, ReadOnlyError),
        ("a:/data/", "c:/archive/", {"if_offline": "refuse"}, AgentOfflineError),
    ):
        with pytest.raises(error):
            world.request(source, destination, options=options)
    assert world.transfer_service.list_transfers(Query()).transfers == ()


def test_an_agent_that_was_removed_fails_its_hops(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/", "c:/archive/")
    del world.agents.known["b"]
    world.stream()
    view = world.transfer_service.get(transfer_id)
    assert [hop.state for hop in view.hops] == ["failed", "offered"]
    assert view.hops[0].problem.code == problems.AGENT_UNKNOWN.code


def test_an_agent_that_would_upload_where_it_was_to_look_is_not_told_to(world: ControlPlaneFixture):
    able = Capabilities(previews_uploads=True)
    rehearsal = {"dry_run": True}
    with pytest.raises(AgentTooOldError) as refused:
        world.request("a:/data/", "s3://media/x/", options=Options(**rehearsal))
    assert refused.value.problem.code == problems.AGENT_TOO_OLD.code
    world.agents.known["a"] = an_agent("a", capabilities=able)
    transfer_id = world.request("a:/data/", "s3://media/x/", options=Options(**rehearsal))
    world.agents.known["a"] = an_agent("a")  # went back to its version of before
    world.stream()
    assert world.fleet.sent == []
    assert world.hop(transfer_id).problem.code == problems.AGENT_TOO_OLD.code
    world.request("a:/data/", "b:/archive/", options=Options(**rehearsal))
    world.stream()
    assert ("b", "move") in world.fleet.kinds()


def test_the_same_key_makes_the_same_transfer(world: ControlPlaneFixture):
    wish = TransferRequest(source="a:/data/", destinations=("b:/archive/",))
    other = TransferRequest(source="a:/data/", destinations=("c:/archive/",))
    first = world.transfer_service.request_transfer(ADA, wish, "key")
    world.agents.is_now("b", "offline")
    assert world.transfer_service.request_transfer(ADA, wish, "key").transfer_id == first.transfer_id
    assert world.transfer_service.request_transfer(BOB, wish, "key").transfer_id != first.transfer_id
    with pytest.raises(ReusedKeyError):
        world.transfer_service.request_transfer(ADA, other, "key")


def test_a_template_writes_what_belongs_to_it_in_the_same_transaction(world: ControlPlaneFixture):
    wish = TransferSpec(**{name: getattr(a_transfer("b"), name) for name in ("source", "destinations")})
    marks = []
    transfer_id = world.transfer_service.create_from_template(wish, "new-videos", "batch 1", marks.append)
    assert len(marks) == 1
    view = world.transfer_service.get(transfer_id)
    assert (view.template_id, view.created_by.id) == ("new-videos", "template:new-videos")
    with pytest.raises(StaleError):
        world.transfer_service.create_from_template(wish, "new-videos", "batch 1", marks.append)


def test_cancel_tells_both_agents(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    world.fleet.kinds()
    assert world.transfer_service.cancel(transfer_id, ADA).state == TransferState.CANCELLED
    world.stream()
    assert world.fleet.kinds() == [("b", "cancel"), ("a", "release")]
    assert world.transfer_service.cancel(transfer_id, ADA).state == TransferState.CANCELLED
    world.report(Succeeded, world.hop(transfer_id))
    assert world.hop(transfer_id).state == HopState.CANCELLED


def test_cancel_before_any_offer_sends_no_command(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.transfer_service.cancel(transfer_id, ADA)
    world.stream()
    assert world.fleet.sent == []


def test_pause_and_resume(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    world.report(Started, world.hop(transfer_id))
    world.fleet.kinds()
    assert world.transfer_service.pause(transfer_id, ADA).state == TransferState.PAUSED
    world.stream()
    assert world.fleet.kinds() == [("b", "pause"), ("a", "release")]
    world.report(Paused, world.hop(transfer_id), seq=2, progress=Progress(bytes_done=3))
    assert world.transfer_service.pause(transfer_id, ADA).hops[0].progress.bytes_done == 3
    assert world.transfer_service.resume(transfer_id, ADA).state == TransferState.QUEUED
    world.stream()
    assert world.fleet.kinds() == [("a", "serve"), ("b", "move")]
    assert world.hop(transfer_id).attempt == 2


def test_a_hop_its_agent_paused_by_itself_is_served_on(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    world.fleet.kinds()
    world.report(Paused, world.hop(transfer_id))
    world.stream()
    assert world.fleet.sent == []
    world.report(Started, world.hop(transfer_id), seq=2)
    assert world.hop(transfer_id).state == HopState.RUNNING


@pytest.mark.parametrize("ask", ["pause", "resume", "cancel", "retry"])
def test_it_may_be_too_late_for_an_ask(world: ControlPlaneFixture, ask: str):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    world.report(Succeeded, world.hop(transfer_id))
    with pytest.raises(StateError) as refusal:
        getattr(world.transfer_service, ask)(transfer_id, ADA)
    assert refusal.value.problem.advice


def test_a_broker_that_is_away_costs_time_but_no_transfer(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.fleet.broken = True
    with pytest.raises(ConnectionError):
        world.stream()
    world.fleet.broken = False
    world.clock.forward(seconds=31)
    world.lease_sweeper.sweep()
    world.clock.forward(seconds=11)
    world.lease_sweeper.sweep()
    assert world.fleet.kinds() == [("a", "serve"), ("b", "move")]
    assert world.hop(transfer_id).attempt == 2


def test_a_line_of_what_is_gone_is_not_reacted_to(world: ControlPlaneFixture):
    world.request("a:/data/", "b:/archive/")
    (line,) = (row for row in world.new_rows() if row["part"].startswith("at#"))
    world.stream_handler.handle({**line, "transfer_id": "x" * 20})
    assert world.fleet.sent == []


def test_the_timeline_names_a_problem_where_it_occurs_and_nowhere_else(world: ControlPlaneFixture):
    """The offer that follows a failure has not failed, nor has the offer that nobody answered failed so."""
    transfer_id = world.request("a:/data/raw/", "b:/archive/raw/")
    problem = Problem(code="disk-full", message="The disk is full.", retryable=True)
    world.stream()
    for _ in range(2):  # the second attempt fails before it has started, in the same words
        world.report(Failed, world.hop(transfer_id), problem=problem)
        world.clock.forward(seconds=MAX_BACKOFF.total_seconds())
        world.stream_handler.advance(world.store.get(transfer_id))
    world.clock.forward(seconds=OFFER_LEASE.total_seconds() + 1)
    world.lease_sweeper.sweep()
    world.clock.forward(seconds=1)
    world.transfer_service.cancel(transfer_id, ADA)
    entries, _ = world.store.timeline(transfer_id)
    assert [(entry.what, entry.problem and entry.problem.code) for entry in entries] == [
        ("requested", None),
        ("hop 1 offered to b", None),
        ("hop 1 queued again, attempt 2", "disk-full"),
        ("hop 1 offered to b", None),
        ("hop 1 queued again, attempt 3", "disk-full"),
        ("hop 1 offered to b", None),
        ("hop 1 queued again, attempt 4", None),
        ("cancelled", None),
    ]


def test_reacting_twice_sends_no_second_offer(world: ControlPlaneFixture):
    world.request("a:/data/", "b:/archive/")
    world.stream()
    world.fleet.kinds()
    world.stream_handler.agent_online("a")
    world.stream_handler.agent_online("b")
    assert world.fleet.sent == []


def test_reacting_late_tells_no_agent_what_is_no_longer_so(world: ControlPlaneFixture):
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    world.report(Failed, world.hop(transfer_id))
    world.transfer_service.retry(transfer_id, ADA)
    world.fleet.kinds()
    world.stream()
    assert world.fleet.kinds() == [("a", "serve"), ("b", "move")]
    assert not any(isinstance(fact, TransferFinished) for fact in world.facts.published)
