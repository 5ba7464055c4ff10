"""The service with a fake link, mover and lane: commands in, reports out, crashes in between."""

import asyncio
import json
import logging
import os
import sqlite3
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from agent.backoff import Backoff
from agent.cloud.messages import LinkError
from agent.command_keys import CommandKeys
from agent.config import Config, RootConfig
from agent.errors import HopError, HostError
from agent.files.roots import Roots
from agent.hops.attempt import AttemptIntervals, head
from agent.hops.journal import Journal
from agent.hops.record import HopRecord
from agent.identity.api_address import ApiAddress
from agent.identity.registration import Files
from agent.lane.peer_paths import PeerPath, PeerPathCache
from agent.logs import LogMemory
from agent.pull.active_pulls import ActivePulls
from agent.pull.pull import discard_hop
from agent.quarantine import Quarantine
from agent.service import Dependencies, Service
from agent.status import Status
from agent.supervision import Supervisor
from events.base import Problem
from events.commands import Browse, Cancel, Pause, Peer, ReadLog, Release, Relocate, Retire, Serve, Watch
from events.progress import Live, Progress
from events.reports import Browsed, Capabilities, DirectoryEntry, Failed
from tests.support.fakes_agent import (
    TRANSFER,
    FakeLane,
    FakeLink,
    FakeMover,
    Signer,
    a_registration,
    move,
    trust,
)
from tests.support.fakes_keys import rotation
from tests.support.fakes_updates import not_installed
from tests.support.waiting import HANG_TIMEOUT_S, until

SIGNER = Signer()
HOP = f"{TRANSFER}-0"
INTERVALS = AttemptIntervals(live=0.01, checkpoint=0.03, heartbeat=30)
BEATING = replace(INTERVALS, heartbeat=0.02, idle_heartbeat=0.02)


class FlowHost:
    """One host: its journal outlives the services that run on it."""

    def __init__(self, folder):
        self.folder = folder
        self.mover = FakeMover()
        self.lane = FakeLane()
        self.link = FakeLink()
        self.service = self.journal = None
        self.peer_paths = PeerPathCache()
        self.active_pulls = ActivePulls()
        self.stage_at = lambda url: a_registration(SIGNER).stage
        self.deliver_manifests = None
        self.metrics = {}
        self.memory = LogMemory()
        self.files = [RootConfig(path="/data", access="rw", directory=folder)]
        self.browse = lambda browse: Browsed(
            request_id=browse.request_id, entries=(DirectoryEntry(name="a", type="file", size=1),)
        )

    def send(self, command, **claims) -> bytes:
        message = SIGNER.envelope(command, **claims)
        self.link.deliver(message)
        return message

    def dependencies(self, journal, intervals, limit) -> Dependencies:
        registration = a_registration(SIGNER)
        roots = [{"path": "/data", "access": "rw", "directory": str(self.folder)}]
        return Dependencies(
            config=Config.model_validate({"roots": roots, "hops_at_once": limit, "metrics": self.metrics}),
            registration=registration,
            journal=journal,
            link=self.link,
            lane=self.lane,
            movers=self.mover,
            browse=self.browse,
            read_log=self.memory.excerpt,
            status=Status(self.folder / "status.json"),
            rotation=rotation(self.folder / "keys-of-host", self.link),
            command_keys=CommandKeys(registration, Files(self.folder), self.folder / "agent.toml"),
            api_address=ApiAddress(registration, Files(self.folder), self.stage_at),
            updates=not_installed(self.link, self.folder),
            capabilities=Capabilities(rclone="1.75.2"),
            intervals=intervals,
            peer_paths=self.peer_paths,
            active_pulls=self.active_pulls,
            deliver_manifests=self.deliver_manifests,
            supervisor=Supervisor(Backoff(first_s=0.01, max_s=0.02)),
            quarantine=Quarantine(self.folder),
            discard_hop=partial(discard_hop, Roots(self.files), self.folder),
        )

    @asynccontextmanager
    async def running(self, intervals=INTERVALS, limit=4, up=True):
        """Run a service on this host, with a link of its own; it ends as after SIGTERM."""
        self.link, self.mover, self.lane = FakeLink(), FakeMover(), FakeLane()
        self.journal = journal = Journal(self.folder / "journal.db", "reg")
        self.service = Service(self.dependencies(journal, intervals, limit))
        task = asyncio.create_task(self.service.run())
        if up:
            self.link.up()
        try:
            yield self
            self.service.stop()
            await asyncio.wait_for(task, HANG_TIMEOUT_S)
        finally:
            task.cancel()
            await asyncio.wait([task])
            journal.close()


@pytest.fixture
def host(tmp_path) -> FlowHost:
    return FlowHost(tmp_path)


def serve(attempt=1, until=None) -> Serve:
    return Serve(
        transfer_id=TRANSFER,
        hop_id=HOP,
        attempt=attempt,
        path="/data/",
        peer=Peer(agent_id="server-c", certificate="PEM"),
        until=until or datetime.now(UTC) + timedelta(hours=24),
    )


def command(kind, attempt=1):
    return kind(transfer_id=TRANSFER, hop_id=HOP, attempt=attempt)


async def test_a_hop_from_command_to_success(host):
    async with host.running():
        message = host.send(move())
        begun = await host.mover.has_begun()
        host.mover.progress_counters[0].add_existing(9)
        host.mover.observers[0].on_verify()
        host.mover.succeed(begun, "d1")
        [end] = await host.link.wait_for_reports("succeeded")
        await host.link.until(lambda: host.link.acknowledged)
    assert (end.digest, end.attempt, end.progress.bytes_done) == ("d1", 1, 9)
    kinds = [r.kind for r in host.link.reports if r.kind not in ("hello", "checkpoint")]
    assert kinds == ["started", "verifying", "succeeded"]
    numbers = [r.seq for r in host.link.reports if hasattr(r, "seq")]
    assert numbers == sorted(set(numbers))
    assert host.link.acknowledged == [message]


async def test_hello_at_every_connect_names_the_open_hops(host):
    async with host.running():
        [hello] = await host.link.wait_for_reports("hello")
        assert (hello.hops, hello.roots[0].path, hello.capabilities.rclone) == ((), "/data", "1.75.2")
        host.send(move())
        await host.mover.has_begun()
        host.link.down()
        host.link.up()
        hello = (await host.link.wait_for_reports("hello", 2))[1]
        assert [(h.hop_id, h.attempt, h.state) for h in hello.hops] == [(HOP, 1, "running")]


async def test_a_hello_that_the_broker_lost_is_sent_again_though_the_connection_stays_up(host, monkeypatch):
    """Until then the control plane would offer hops to the addresses and roots of the time before."""
    publish, lost = FakeLink.publish, []

    async def lose_first_hello(link: FakeLink, topic: str, payload: bytes, qos: int = 1) -> None:
        if b'"hello"' in payload and not lost:
            lost.append(payload)
            raise LinkError("no acknowledgment in time")
        await publish(link, topic, payload, qos)

    monkeypatch.setattr(FakeLink, "publish", lose_first_hello)
    async with host.running(intervals=BEATING):
        [hello] = await host.link.wait_for_reports("hello")
        assert hello.endpoints
        await host.link.wait_for_reports("heartbeat", 3)
        assert len(host.link.of("hello")) == len(lost) == 1


async def test_a_hello_that_the_control_plane_lost_is_repeated_over_the_same_connection(host):
    """The broker had taken it; after a rotation peers would be told the old certificate for days."""
    async with host.running(intervals=replace(INTERVALS, heartbeat=0.01, hello=0.05)):
        first, second = (await host.link.wait_for_reports("hello", 2))[:2]
        assert (second.endpoints, second.lane_certificate) == (first.endpoints, first.lane_certificate)
        assert second.at > first.at


async def test_hops_that_are_served_count_as_running(host):
    async with host.running(intervals=BEATING):
        host.lane.served = 2
        await until(lambda: [one.running for one in host.link.of("heartbeat")][-1:] == [2])


async def test_after_a_kill_the_hop_continues_with_its_attempt_and_its_seq(host):
    """Kill the first service while it works: nothing is closed, nothing reported."""
    journal = Journal(host.folder / "journal.db", "reg")
    first = asyncio.create_task(Service(host.dependencies(journal, INTERVALS, 4)).run())
    host.link.up()
    host.send(move())
    host.send(serve())
    await host.mover.has_begun()
    [started] = await host.link.wait_for_reports("started")
    first.cancel()
    await asyncio.wait([first])
    async with host.running():
        begun = await host.mover.has_begun()
        [again] = await host.link.wait_for_reports("started")
        assert begun == move()
        assert again.attempt == started.attempt
        assert again.seq > started.seq
        assert list(host.lane.serving) == [HOP]
    journal.close()


async def test_a_stop_reports_nothing_and_the_hop_continues_later(host):
    async with host.running():
        host.send(move())
        await host.mover.has_begun()
    assert host.mover.stopped == [move()]
    assert {r.kind for r in host.link.reports} <= {"hello", "started", "checkpoint"}
    async with host.running():
        await host.mover.has_begun()


async def test_a_replayed_command_is_refused_and_not_executed(host):
    async with host.running():
        message = host.send(move())
        begun = await host.mover.has_begun()
        host.mover.fail(begun, HopError(Problem(code="disk-full", message="full")))
        await host.link.wait_for_reports("failed")
        host.link.deliver(message)
        [refused] = await host.link.wait_for_reports("refused")
    assert refused.problem.code == "command-replayed"
    assert refused.command_id
    assert len(host.mover.begun) == 1
    assert host.link.acknowledged == [message, message]


@pytest.mark.parametrize("is_restarted", [True, False])
async def test_a_journal_begun_while_the_clock_was_ahead_takes_commands_once_it_is_right(host, is_restarted):
    def put_ahead() -> None:
        with sqlite3.connect(host.folder / "journal.db") as opened:
            opened.execute("UPDATE meta SET value = ? WHERE name = 'created_at'", (int(time.time()) + 7200,))
        opened.close()

    async with host.running():
        pass
    if is_restarted:
        put_ahead()
    really = time.time
    with pytest.MonkeyPatch.context() as ahead:
        if not is_restarted:
            put_ahead()
            ahead.setattr("agent.hops.journal.time.time", lambda: really() + 7200)
        async with host.running():
            ahead.undo()
            host.send(move())
            await host.mover.has_begun()


@pytest.mark.parametrize("damage", [b"noise" * 5000, b"", None])
async def test_a_command_is_not_executed_again_after_the_journal_is_damaged_or_lost(host, damage):
    journal = host.folder / "journal.db"
    async with host.running():
        pass
    with sqlite3.connect(journal) as opened:
        opened.execute("UPDATE meta SET value = '0' WHERE name = 'created_at'")
    opened.close()
    async with host.running():
        message = host.send(move(), iat=int(time.time()) - 20)
        begun = await host.mover.has_begun()
        host.mover.fail(begun, HopError(Problem(code="disk-full", message="full")))
        await host.link.wait_for_reports("failed")
    for path in host.folder.glob("journal.db*"):
        path.unlink()
    if damage is not None:
        journal.write_bytes(damage)
    async with host.running():
        host.link.deliver(message)
        [refused] = await host.link.wait_for_reports("refused")
        assert refused.problem.code == "command-replayed"
        assert "may have been executed before" in refused.problem.message
        assert host.mover.begun == []
        host.send(move())  # the control plane sends again what it misses
        await host.mover.has_begun()
    async with host.running():
        host.link.deliver(message)
        assert len(await host.link.wait_for_reports("refused")) == 1


@pytest.mark.parametrize("message", [b"garbage", b"\xff" * 10, b"{}", b"x" * 200_000])
async def test_a_malformed_message_is_refused_acknowledged_and_survived(host, message):
    async with host.running():
        host.link.deliver(message)
        await host.link.wait_for_reports("refused")
        host.send(move())
        await host.mover.has_begun()
    assert host.link.acknowledged[0] == message


async def test_a_failure_carries_its_problem_and_at_most_fifty_files(host):
    single = tuple(Problem(code="file-vanished", message="gone", path=str(n)) for n in range(80))
    async with host.running():
        host.send(move())
        begun = await host.mover.has_begun()
        problem = Problem(code="files-failed", message="80 files", retryable=True)
        host.mover.fail(begun, HopError(problem, single, 80))
        [failed] = await host.link.wait_for_reports("failed")
    assert failed.problem == problem
    assert (len(failed.failures), failed.failures_total) == (50, 80)


async def test_a_bug_in_a_mover_fails_the_hop_and_nothing_else(host, caplog):
    async with host.running():
        host.send(move(0))
        host.send(move(1))
        await host.mover.has_begun(2)
        host.mover.fail(move(0), KeyError("oops"))
        [failed] = await host.link.wait_for_reports("failed")
        assert (failed.problem.code, failed.problem.retryable) == ("agent-error", False)
        host.mover.succeed(move(1))
        await host.link.wait_for_reports("succeeded")


async def test_pause_stops_and_a_newer_move_continues(host):
    async with host.running():
        host.send(move())
        await host.mover.has_begun()
        host.mover.progress_counters[0].add_existing(500)
        host.send(command(Pause))
        [paused] = await host.link.wait_for_reports("paused")
        assert paused.progress.bytes_done == 500
        assert host.mover.stopped == [move()]
        host.send(move(attempt=2))
        assert (await host.mover.has_begun(2)).attempt == 2
        assert (await host.link.wait_for_reports("started", 2))[1].attempt == 2
    assert host.mover.discarded == []


async def test_a_paused_hop_stays_paused_over_a_restart(host):
    async with host.running():
        host.send(move())
        await host.mover.has_begun()
        host.send(command(Pause))
        await host.link.wait_for_reports("paused")
    async with host.running():
        [hello] = await host.link.wait_for_reports("hello")
        assert [h.state for h in hello.hops] == ["paused"]
        assert host.mover.begun == []
        assert host.link.of("paused") == []


async def test_cancel_stops_discards_and_reports(host):
    async with host.running():
        host.send(move())
        await host.mover.has_begun()
        host.send(command(Cancel))
        await host.link.wait_for_reports("cancelled")
        assert host.mover.stopped == host.mover.discarded == [move()]
        host.link.down()
        host.link.up()
        assert (await host.link.wait_for_reports("hello", 2))[1].hops == ()


async def test_a_cancel_of_a_hop_that_a_lost_journal_knew_removes_its_partial_files(host):
    """The journal was damaged and set aside; the control plane cancels what it had commanded before."""
    (host.folder / "hops").mkdir()
    (host.folder / "hops" / f"{HOP}.places").write_bytes(b"/data/in\0")
    (host.folder / "in").mkdir()
    partial_file = host.folder / "in" / f".crosshaul-{HOP}-0123456789abcdef"
    partial_file.write_bytes(b"half of it")
    (host.folder / "in/mine").write_bytes(b"mine")
    async with host.running():
        host.send(command(Cancel))
        await until(lambda: not partial_file.exists())
        assert [path.name for path in (host.folder / "in").iterdir()] == ["mine"]
        assert host.link.of("cancelled") == []


async def test_a_cancel_interrupted_by_a_kill_is_executed_at_the_next_start(host):
    journal = Journal(host.folder / "journal.db", "reg")
    service = Service(host.dependencies(journal, INTERVALS, 4))
    async with asyncio.TaskGroup() as group:
        hops = service._hop_manager(group.create_task)
        accept = service._commands(hops).accept
        assert accept(SIGNER.envelope(move()))
        assert accept(SIGNER.envelope(command(Cancel)))
    journal.close()
    async with host.running():
        await host.link.wait_for_reports("cancelled")
        assert host.mover.begun == []
        assert host.mover.discarded == [move()]


async def test_late_commands_change_nothing(host):
    async with host.running():
        host.send(move(attempt=3))
        await host.mover.has_begun()
        host.send(command(Pause, attempt=2))
        host.send(command(Cancel, attempt=1))
        host.send(move(attempt=2))
        host.send(move(1))
        await host.mover.has_begun(2)
        assert host.mover.stopped == []
        assert [m.attempt for m in host.mover.begun] == [3, 1]


async def test_a_higher_attempt_takes_over_a_running_hop(host):
    async with host.running():
        host.send(move())
        await host.mover.has_begun()
        host.send(move(attempt=2))
        begun = await host.mover.has_begun(2)
        assert host.mover.stopped == [move()]
        host.mover.succeed(begun)
        [end] = await host.link.wait_for_reports("succeeded")
        assert end.attempt == 2
    assert not host.link.of("failed")


async def test_a_repeated_move_is_answered_by_started_again(host):
    async with host.running():
        host.send(move())
        await host.mover.has_begun()
        host.send(move())
        first, second = await host.link.wait_for_reports("started", 2)
        assert second.seq > first.seq
        assert len(host.mover.begun) == 1


async def test_a_hop_that_succeeded_answers_a_later_attempt_without_moving(host):
    async with host.running():
        host.send(move())
        host.mover.succeed(await host.mover.has_begun(), "d7")
        await host.link.wait_for_reports("succeeded")
    async with host.running():
        host.send(move(attempt=4))
        [end] = await host.link.wait_for_reports("succeeded")
        assert (end.attempt, end.digest) == (4, "d7")
        assert host.mover.begun == []


async def test_a_failed_hop_is_retried_under_the_next_attempt(host):
    async with host.running():
        host.send(move())
        problem = Problem(code="unreachable", message="no", retryable=True)
        host.mover.fail(await host.mover.has_begun(), HopError(problem))
        await host.link.wait_for_reports("failed")
        host.send(move(attempt=2))
        host.mover.succeed(await host.mover.has_begun(2))
        [end] = await host.link.wait_for_reports("succeeded")
        assert end.attempt == 2


async def test_without_a_broker_the_hop_ends_and_its_report_waits(host):
    async with host.running():
        host.send(move())
        begun = await host.mover.has_begun()
        await host.link.wait_for_reports("started")
        host.link.down()
        host.mover.progress_counters[0].add_existing(11)
        host.mover.succeed(begun)
    assert host.link.of("succeeded") == []
    async with host.running():
        [hello] = await host.link.wait_for_reports("hello")
        [end] = await host.link.wait_for_reports("succeeded")
        assert [(h.hop_id, h.state) for h in hello.hops] == [(HOP, "running")]
        assert end.progress.bytes_done == 11
        host.link.down()
        host.link.up()
        assert (await host.link.wait_for_reports("hello", 2))[1].hops == ()


async def test_the_next_hop_of_a_chain_learns_of_a_failure_once_it_is_reported(host):
    async with host.running():
        host.send(move())
        begun = await host.mover.has_begun()
        await host.link.wait_for_reports("started")
        ask = partial(asyncio.to_thread, host.active_pulls.has_succeeded, HOP)
        assert await ask() is None
        host.link.down()
        host.mover.fail(begun, HopError(Problem(code="files-failed", message="2 files", retryable=False)))
        await until(lambda: host.journal.hop(HOP).end)
        assert await ask() is None
        host.link.up()
        await until(lambda: not host.journal.unsent())
        assert await ask() is False


async def test_hops_over_the_limit_wait_and_send_checkpoints(host):
    async with host.running(limit=1):
        for n in range(3):
            host.send(move(n))
        await host.mover.has_begun()
        await host.link.until(lambda: {r.hop_id[-1] for r in host.link.of("checkpoint")} >= {"0", "1", "2"})
        assert [m.hop_id[-1] for m in host.mover.begun] == ["0"]
        assert [r.hop_id[-1] for r in host.link.of("started")] == ["0"]
        host.mover.succeed(move(0))
        await host.mover.has_begun(2)
        host.mover.succeed(move(1))
        await host.mover.has_begun(3)
        assert [m.hop_id[-1] for m in host.mover.begun] == ["0", "1", "2"]


def live_of(host) -> list[Live]:
    """Return the live progress that the host has published."""
    sent = host.link.published
    return [Live.model_validate_json(body) for topic, body, qos in sent if "/live/" in topic and not qos]


async def test_live_progress_is_published_only_while_someone_watches(host):
    """Of ten thousand hops that nobody looks at, the broker hears checkpoints and nothing else."""
    async with host.running():
        host.send(move())
        host.send(Watch(transfer_id="0" * 20, seconds=90))
        await host.mover.has_begun()
        host.mover.progress_counters[0].add_existing(1)
        await host.link.wait_for_reports("checkpoint", 2)
        assert live_of(host) == []
        host.send(Watch(transfer_id=TRANSFER, seconds=90))
        await host.link.until(lambda: any(seen.progress.bytes_done == 1 for seen in live_of(host)))


async def test_a_hop_that_starts_while_its_transfer_is_watched_publishes_from_its_beginning(host):
    async with host.running():
        host.send(move(watch_s=60))
        await host.mover.has_begun()
        host.mover.progress_counters[0].add_existing(1)
        await host.link.until(lambda: any(seen.progress.bytes_done == 1 for seen in live_of(host)))


async def test_a_forged_or_repeated_watch_changes_nothing(host):
    async with host.running():
        host.send(move())
        await host.mover.has_begun()
        host.link.deliver(Signer("key-9").envelope(Watch(transfer_id=TRANSFER, seconds=90)))
        host.send(Watch(transfer_id=TRANSFER, seconds=90), aud="server-z")
        await host.link.wait_for_reports("refused", 2)
        host.mover.progress_counters[0].add_existing(1)
        await host.link.wait_for_reports("checkpoint", 2)
        assert live_of(host) == []


async def test_live_progress_only_when_it_changes(host):
    async with host.running(intervals=AttemptIntervals(live=0.01, checkpoint=60, heartbeat=30)):
        host.send(move(watch_s=300))
        await host.mover.has_begun()

        def live() -> list[Live]:
            return live_of(host)

        for done in (1, 2, 3):
            host.mover.progress_counters[0].add_existing(1)
            await host.link.until(lambda: any(seen.progress.bytes_done == done for seen in live()))  # noqa: B023
        assert [seen.progress.bytes_done for seen in live() if seen.progress.bytes_done] == [1, 2, 3]
        assert live()[-1].hop_id == HOP


async def test_the_next_key_is_trusted_once_the_present_one_has_signed_it(host):
    following = Signer("key-2")
    async with host.running(intervals=BEATING):
        host.link.deliver(following.envelope(move()))
        [refused] = await host.link.wait_for_reports("refused")
        assert refused.problem.code == "command-not-trusted"
        host.send(trust(SIGNER, following))
        host.link.deliver(following.envelope(move()))
        await host.mover.has_begun()
        reported = lambda: [beat.trusts for beat in host.link.of("heartbeat") if beat.trusts]  # noqa: E731
        await host.link.until(lambda: ("key-1", "key-2") in reported())


async def test_a_signed_command_moves_the_agent_to_another_address_of_the_api(host):
    async with host.running(intervals=BEATING):
        used = lambda: [beat.api_url for beat in host.link.of("heartbeat") if beat.api_url]  # noqa: E731
        await host.link.until(used)
        host.link.deliver(Signer("key-9").envelope(Relocate(api_url="https://thief.example.com")))
        [refused] = await host.link.wait_for_reports("refused")
        assert refused.problem.code == "command-not-trusted"
        host.send(Relocate(api_url="https://api.example.com"))
        await host.link.until(lambda: used()[-1] == "https://api.example.com")
        assert len(used()) == 2, "reported when it changes"


async def test_an_address_that_does_not_answer_is_reported_and_the_old_one_kept(host):
    def nobody(url: str) -> str:
        raise HostError("no API answers there: timed out", "")

    host.stage_at = nobody
    async with host.running(intervals=BEATING):
        host.send(Relocate(api_url="https://api.example.com"))
        beats = lambda: host.link.of("heartbeat")  # noqa: E731
        await host.link.until(lambda: beats() and beats()[-1].problems)
        [problem] = beats()[-1].problems
        assert problem.code == "api-address-kept"
        assert "https://api.example.com" in problem.message
        assert "timed out" in problem.message


async def test_heartbeats_while_connected(host):
    async with host.running(intervals=BEATING):
        host.send(move())
        await host.mover.has_begun()
        await host.link.until(lambda: any(beat.running == 1 for beat in host.link.of("heartbeat")))
        assert host.link.of("heartbeat")[-1].roots[0].free


async def test_reached_peers_are_reported_when_they_change(host):
    host.peer_paths.remember("server-c", PeerPath(dialed=True, address="10.0.0.3:4460"))
    async with host.running(intervals=BEATING):
        beats = lambda: host.link.of("heartbeat")  # noqa: E731
        await host.link.until(lambda: len(beats()) > 1)
        [hello] = host.link.of("hello")
        assert [one.agent_id for one in hello.reached] == ["server-c"]
        assert beats()[-1].reached is None, "nothing new"
        host.peer_paths.remember("server-d", PeerPath(dialed=False))
        await host.link.until(lambda: beats()[-1].reached is not None)
        assert [(one.agent_id, one.address) for one in beats()[-1].reached] == [
            ("server-c", "10.0.0.3:4460"),
            ("server-d", None),
        ]
        await host.link.until(lambda: beats()[-1].reached is None)


async def test_serving_from_command_to_release(host):
    async with host.running():
        host.send(serve())
        host.send(Browse(request_id="r1", path="/data/"))
        await host.link.wait_for_reports("browsed")
        assert list(host.lane.serving) == [HOP]
        host.send(serve(attempt=2))
        host.send(command(Release, attempt=1))
        host.send(Browse(request_id="r2", path="/data/"))
        await host.link.wait_for_reports("browsed", 2)
        assert list(host.lane.serving) == [HOP]
        host.send(command(Release, attempt=2))
        host.send(Browse(request_id="r3", path="/data/"))
        await host.link.wait_for_reports("browsed", 3)
        assert host.lane.serving == {}
    async with host.running():
        await host.link.wait_for_reports("hello")
        assert host.lane.serving == {}


async def test_the_agent_answers_with_its_log_in_which_is_no_token_of_a_command(host):
    logger = logging.getLogger("agent")
    logger.addHandler(host.memory)
    try:
        async with host.running():
            message = host.send(serve())
            host.link.deliver(message)  # refused: a replay
            await host.link.wait_for_reports("refused")
            host.send(ReadLog(request_id="r1", lines=50))
            [excerpt] = await host.link.wait_for_reports("log-excerpt")
    finally:
        logger.removeHandler(host.memory)
    assert excerpt.request_id == "r1"
    assert any("command refused" in line for line in excerpt.lines)
    token = json.loads(message)["token"]
    assert not any(part in line for line in excerpt.lines for part in token.split("."))


async def test_an_expired_grant_is_not_served_again(host):
    async with host.running():
        host.send(serve(until=datetime.now(UTC) + timedelta(milliseconds=1)))
        host.send(Browse(request_id="r1", path="/data/"))
        await host.link.wait_for_reports("browsed")
    async with host.running():
        await host.link.wait_for_reports("hello")
        assert host.lane.serving == {}


async def test_what_may_not_be_served_is_refused(host):
    async with host.running():
        host.lane.refusal = Problem(code="outside-roots", message="/etc is in no root")
        host.send(serve())
        [refused] = await host.link.wait_for_reports("refused")
    assert (refused.hop_id, refused.problem.code) == (HOP, "outside-roots")


async def test_a_peer_that_cannot_be_dialed_is_reported_with_the_errors(host):
    async with host.running():
        await host.link.wait_for_reports("hello")
        errors = "10.0.0.3:1: no answer in time"
        await asyncio.to_thread(host.lane.unreachable_callback, serve(), errors)
        [refused] = await host.link.wait_for_reports("refused")
    assert (refused.hop_id, refused.problem.code) == (HOP, "destination-unreachable")
    assert refused.problem.message == f"The source could not connect to server-c: {errors}."


async def test_reports_that_the_broker_refuses_are_sent_again_in_order(host):
    async with host.running(up=False):
        host.service._outbox._retry_delay_s = 0.01
        host.send(move())
        host.mover.succeed(await host.mover.has_begun())
        host.link.failing_publishes = 3
        host.link.up()
        await host.link.wait_for_reports("succeeded")
    kinds = [r.kind for r in host.link.reports if r.kind in ("started", "succeeded")]
    assert kinds == ["started", "succeeded"]


async def test_retire_ends_the_service_and_deletes_the_work(host):
    async with host.running():
        host.send(move())
        await host.mover.has_begun()
        host.send(Retire())
        async with asyncio.timeout(HANG_TIMEOUT_S):
            await host.service._stopping.wait()
    journal = Journal(host.folder / "journal.db", "reg")
    assert (journal.retired, journal.open_hops()) == (True, [])
    journal.close()


NOT_UTF8 = os.fsdecode(b"caf\xe9.mov")


async def test_a_last_file_whose_name_is_not_utf_8_ends_its_hop_and_not_the_agent(host):
    async with host.running():
        host.send(move())
        begun = await host.mover.has_begun()
        host.mover.progress_counters[0].finish_file(NOT_UTF8)
        host.mover.succeed(begun)
        [end] = await host.link.wait_for_reports("succeeded")
        assert end.progress.current == "caf\\xe9.mov"
        host.send(move(1))
        await host.mover.has_begun(2)


async def test_while_a_file_whose_name_is_not_utf_8_moves_progress_and_lease_continue(host):
    async with host.running():
        host.send(move(watch_s=300))
        await host.mover.has_begun()
        host.mover.progress_counters[0].add_existing(1)
        host.mover.progress_counters[0].set_current(NOT_UTF8)
        first, second = await host.link.wait_for_reports("checkpoint", 2)
        shown = live_of(host)
    assert first.progress.current == second.progress.current == "caf\\xe9.mov"
    assert second.seq > first.seq
    assert "caf\\xe9.mov" in {live.progress.current for live in shown}


async def test_a_problem_about_a_name_that_is_not_utf_8_is_reported(host):
    problem = Problem(code="io-error", message=f"{NOT_UTF8} cannot be read", path=NOT_UTF8)
    async with host.running():
        host.send(move())
        begun = await host.mover.has_begun()
        host.mover.fail(begun, HopError(problem, [problem], 1))
        [end] = await host.link.wait_for_reports("failed")
    assert end.failures[0].path == "caf\\xe9.mov"


class TestReportsThatCannotBeSent:
    async def test_one_of_an_older_agent_that_is_too_large_is_shortened_and_does_not_block_the_rest(
        self, host
    ):
        problem = Problem(code="files-failed", message="\x01" * 30_000)
        end = Failed(**head(move()), progress=Progress(), problem=problem, failures=(problem,) * 50)
        journal = Journal(host.folder / "journal.db", "reg")
        journal.save_hop(HopRecord(move(), end=end))
        journal.enqueue_report(end)  # as an agent did that did not limit its size
        assert len(journal.oldest_unsent().envelope) > 128 * 1024
        journal.close()
        async with host.running():
            host.send(move(1))
            [failed] = await host.link.wait_for_reports("failed")
            await host.link.wait_for_reports("started")
        assert failed.problem.code == "files-failed"
        assert failed.failures_total == 50
        assert all(len(payload) < 128 * 1024 for _, payload, _ in host.link.published)

    async def test_one_that_the_broker_finds_too_large_is_replaced_by_its_shortest_form(self, host):
        problems = [Problem(code="io-error", message="m" * 500, path="p" * 500)] * 20
        async with host.running():
            host.link.limit = 4000
            host.send(move())
            begun = await host.mover.has_begun()
            host.mover.fail(begun, HopError(problems[0], problems, 20))
            [failed] = await host.link.wait_for_reports("failed")
            host.send(move(1))
            await host.link.wait_for_reports("started", 2)
        assert (failed.problem.code, failed.failures, failed.failures_total) == ("io-error", (), 20)
        assert "characters left out" in failed.problem.message

    async def test_one_that_is_refused_in_its_shortest_form_is_quarantined(self, host):
        async with host.running():
            host.link.limit = 10
            host.send(move())
            await host.mover.has_begun()
            await until(lambda: list((host.folder / "damaged").glob("*outbox*")))
            host.link.limit = None
            host.send(move(1))
            await host.link.wait_for_reports("started")

    async def test_one_that_is_damaged_on_the_disk_is_quarantined_and_its_hop_s_result_sent_again(self, host):
        end = Failed(**head(move()), progress=Progress(), problem=Problem(code="io-error", message="m"))
        journal = Journal(host.folder / "journal.db", "reg")
        journal.save_hop(HopRecord(move(), end=end))
        journal.enqueue_report(end)
        journal._db.execute("UPDATE outbox SET envelope = CAST(x'7bff7b' AS TEXT)")
        journal.close()
        async with host.running():
            [failed] = await host.link.wait_for_reports("failed")
        assert failed.problem.code == "io-error"
        assert list((host.folder / "damaged").glob("*outbox*"))


class TestHelpers:
    """A failing helper task never ends the agent."""

    async def test_a_helper_that_fails_is_restarted_and_reported_while_hops_continue(self, host):
        failing = FailingMover()
        host.deliver_manifests = failing
        async with host.running(intervals=BEATING):
            await until(lambda: failing.calls > 3)
            host.send(move())
            await host.mover.has_begun()
            await host.link.until(lambda: any(beat.problems for beat in host.link.of("heartbeat")))
            host.link.down()
            host.link.up()
            hello = (await host.link.wait_for_reports("hello", 2))[1]
        [problem] = hello.problems
        assert problem.code == "helper-failing"
        assert "delivery of manifests" in problem.message
        assert "no such luck" in problem.message

    async def test_heartbeats_continue_although_old_keys_cannot_be_deleted(self, host, monkeypatch):
        def fails(_):
            raise PermissionError("no such luck")

        monkeypatch.setattr("agent.identity.keys.Keyring.tidy", fails)
        async with host.running(intervals=BEATING):
            await host.link.wait_for_reports("heartbeat", 5)

    async def test_a_peer_with_an_invalid_name_is_left_out_of_hello(self, host, monkeypatch):
        host.peer_paths.remember("not the name of an agent", PeerPath(dialed=True))
        host.peer_paths.remember("server-c", PeerPath(dialed=True))
        async with host.running():
            [hello] = await host.link.wait_for_reports("hello")
        assert [one.agent_id for one in hello.reached] == ["server-c"]

    async def test_a_listing_that_fails_is_answered(self, host):
        def failing_browse(browse):
            raise RecursionError("too deep")

        host.browse = failing_browse
        async with host.running():
            host.send(Browse(request_id="r", path="/data"))
            [browsed] = await host.link.wait_for_reports("browsed")
            host.send(move())
            await host.mover.has_begun()
        assert (browsed.request_id, browsed.problem.code) == ("r", "agent-error")

    async def test_a_hop_that_cannot_be_discarded_is_canceled_all_the_same(self, host):
        async with host.running():
            host.mover.discard = broken_discard
            host.send(move())
            await host.mover.has_begun()
            host.send(command(Cancel))
            await host.link.wait_for_reports("cancelled")
            host.send(move(1))
            await host.mover.has_begun(2)

    async def test_a_status_that_cannot_be_written_does_not_end_the_agent(self, host):
        (host.folder / "status.new").mkdir()
        async with host.running():
            host.send(move())
            await host.mover.has_begun()


async def broken_discard(begun):
    raise RuntimeError("no such luck")


class FailingMover:
    """A helper that fails whenever it is started."""

    def __init__(self):
        self.calls = 0

    async def __call__(self):
        self.calls += 1
        raise RuntimeError("no such luck")


class TestDamagedJournal:
    """A journal may come from another version or a bad disk."""

    async def test_a_hop_that_cannot_be_read_does_not_block_the_others(self, host):
        journal = Journal(host.folder / "journal.db", "reg")
        for number in range(3):
            journal.save_hop(HopRecord(move(number)))
        journal._db.execute("UPDATE hops SET move = '{}' WHERE hop_id = ?", (HOP,))
        journal._db.execute("UPDATE hops SET progress = '[]' WHERE hop_id LIKE '%-1'")
        journal.grant(serve(), "token")
        journal._db.execute("UPDATE serves SET serve = 'nonsense'")
        journal.close()
        async with host.running():
            await host.mover.has_begun(2)
            assert {begun.hop_id[-1] for begun in host.mover.begun} == {"1", "2"}
            [hello] = await host.link.wait_for_reports("hello")
        assert {hop.hop_id[-1] for hop in hello.hops} == {"1", "2"}
        [problem] = hello.problems
        assert problem.code == "state-damaged"
        assert "journal-hops.json" in problem.message

    @pytest.mark.parametrize("content", [b"", b"noise" * 5000, b"SQLite format 3\0" + b"\xff" * 4096])
    async def test_a_damaged_journal_is_quarantined_and_a_new_one_started(self, host, content):
        (host.folder / "journal.db").write_bytes(content)
        async with host.running():
            host.send(move())
            await host.mover.has_begun()
        assert bool(list((host.folder / "damaged").glob("*journal.db"))) == bool(content)

    async def test_a_journal_of_another_version_or_a_pipe_in_its_place_is_quarantined(self, host):
        other = sqlite3.connect(host.folder / "journal.db")
        other.execute("CREATE TABLE hops (number INTEGER)")
        other.commit()
        other.close()
        async with host.running():
            pass
        (host.folder / "journal.db").unlink()
        os.mkfifo(host.folder / "journal.db")
        async with host.running():
            host.send(move())
            await host.mover.has_begun()
        assert len(list((host.folder / "damaged").glob("*journal.db"))) == 2
