"""The agent as a set of tasks around one link, from its start until SIGTERM or until it is removed.

While the broker is unreachable hops continue, and reports wait on the disk.
"""

import asyncio
import logging
import re
import sqlite3
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from agent import VERSION, host_info
from agent.cloud.messages import BrokerConnection, Connected, Disconnected, LinkError
from agent.command_keys import CommandKeys
from agent.config import Config, split_endpoint
from agent.heartbeats import HeartbeatPace
from agent.hops.attempt import AttemptIntervals, Movers
from agent.hops.commands import CommandHandlers, Commands, Lane
from agent.hops.journal import Journal
from agent.hops.live_leases import LiveLeases
from agent.hops.manager import DiscardHop, HopManager, Spawn
from agent.hops.report_outbox import ReportOutbox, now
from agent.identity.api_address import ApiAddress
from agent.identity.registration import Registration
from agent.identity.rotation import Rotation
from agent.lane.peer_paths import PeerPathCache
from agent.measurements import Measurements
from agent.metrics import openmetrics
from agent.metrics.families import Counter
from agent.metrics.otlp import Collector, MetricsPush
from agent.metrics.scrape_server import ScrapeServer
from agent.pull.active_pulls import ActivePulls
from agent.quarantine import Quarantine
from agent.status import Status
from agent.supervision import Supervisor, Work
from agent.updating.update_jobs import UpdateJobs
from events import forms
from events.base import HopId, Problem
from events.commands import Browse, Command, ReadLog, Serve
from events.progress import PeerReachability
from events.reports import (
    MAX_PROBLEMS,
    MAX_REACHED,
    Browsed,
    Capabilities,
    Heartbeat,
    Hello,
    LogExcerpt,
    RemoteState,
    RootState,
    Succeeded,
)
from events.topics import Topics

log = logging.getLogger(__name__)

DEFAULT_INTERVALS = AttemptIntervals()
LOOP_ANSWER_TIMEOUT_S = 5.0
"""Seconds that a thread of the lane waits for an answer from the event loop."""


async def _discard_nothing(_: HopId) -> None:
    pass


@dataclass(frozen=True)
class Dependencies:
    """What the service is built from; tests supply their own link, movers and lane."""

    config: Config
    registration: Registration
    journal: Journal
    link: BrokerConnection
    lane: Lane
    movers: Movers
    browse: Callable[[Browse], Browsed]
    read_log: Callable[[ReadLog], LogExcerpt]
    status: Status
    rotation: Rotation
    command_keys: CommandKeys
    api_address: ApiAddress
    updates: UpdateJobs
    capabilities: Capabilities
    active_pulls: ActivePulls = field(default_factory=ActivePulls)
    intervals: AttemptIntervals = DEFAULT_INTERVALS
    deliver_manifests: Callable[[], Coroutine[Any, Any, None]] | None = None
    peer_paths: PeerPathCache = field(default_factory=PeerPathCache)
    """Which peers were reached, and how."""
    supervisor: Supervisor = field(default_factory=Supervisor)
    """Keeps the helper tasks running."""
    quarantine: Quarantine | None = None
    """Where damaged state is moved, to be reported. None: it is not reported."""
    discard_hop: DiscardHop = _discard_nothing
    """Removes what a hop that the journal does not know has left."""
    discard_abandoned: Callable[[], Coroutine[Any, Any, None]] | None = None
    """Removes what earlier hops have left; beside the other work, since a mount may hang."""


class Service:
    """The agent's tasks. `run` returns after `stop`, called by a signal or when the agent was removed."""

    def __init__(self, dependencies: Dependencies) -> None:
        deps = self._deps = dependencies
        self._journal = deps.journal
        self._stopping = asyncio.Event()
        self._pace = HeartbeatPace(deps.intervals)
        self._reported_peers: tuple[PeerReachability, ...] = ()
        self._connection: Connected | None = None
        self._hello_due = 0.0
        """When a Hello is to be sent over this connection, by the loop's clock."""
        self._announcing = asyncio.Lock()
        self._roots: tuple[RootState, ...] = ()
        """As they were last examined."""
        self._connects = Counter()
        topics = Topics(deps.registration.stage)
        self._watches = LiveLeases()
        self._outbox = ReportOutbox(deps.journal, deps.link, topics, deps.registration.thing, self._watches)

    def use_config(self, config: Config) -> None:
        """Report these roots and remotes from now on."""
        self._deps = replace(self._deps, config=config)

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until stopped; an error in the core ends all tasks, and systemd restarts the agent.

        The core is the journal, the queue of reports, and receiving commands: without one of them the agent
        would only seem to work. The other tasks are supervised (`agent.supervision`): a helper that fails is
        logged, restarted, and reported in Hello and Heartbeat if it keeps failing.
        """
        async with asyncio.TaskGroup() as group:
            tasks: set[asyncio.Task[None]] = set()

            def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
                task = group.create_task(work)
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                return task

            self._start_tasks(spawn)
            await self._stopping.wait()
            for task in list(tasks):
                task.cancel()

    def _start_tasks(self, spawn: Spawn) -> None:
        hops = self._hop_manager(spawn)
        commands = self._commands(hops)
        self._watch_lane(commands)
        self._offer_hop_results()
        commands.resume_serving()
        spawn(hops.resume_all())
        spawn(self._receive_commands(commands, spawn))
        spawn(self._outbox.deliver())
        helpers: dict[str, Work] = {
            "hello": lambda: self._watch_connection(hops),
            "heartbeat": lambda: self._heartbeat_loop(hops),
            "housekeeping": lambda: self._housekeeping_loop(commands),
            "key rotation": self._deps.rotation.rotate_when_due,
            "updates": self._deps.updates.process_jobs,
            "move of the API": self._deps.api_address.relocate_when_asked,
        }
        if self._deps.deliver_manifests:
            helpers["delivery of manifests"] = self._deps.deliver_manifests
        if self._deps.discard_abandoned:
            helpers["removal of abandoned hops"] = self._deps.discard_abandoned
        helpers |= self._metrics_helpers(hops, commands)
        for name, work in helpers.items():
            spawn(self._deps.supervisor.supervise(name, work))

    def _metrics_helpers(self, hops: HopManager, commands: Commands) -> dict[str, Work]:
        """Return what offers the agent's metrics, as far as it is configured."""
        deps, config = self._deps, self._deps.config.metrics
        measurements = Measurements(
            hops=hops,
            commands=commands,
            journal=deps.journal,
            lane=deps.lane,
            connects=self._connects,
            is_connected=lambda: deps.link.connected,
            roots=lambda: self._roots,
            certificate_end=lambda: deps.rotation.certificate_end,
            problems=lambda: len(self._problems()),
            started_at=time.time(),
        )
        helpers: dict[str, Work] = {}
        if config.listen:
            server = ScrapeServer(
                split_endpoint(config.listen), lambda: openmetrics.text(measurements.families())
            )
            helpers["offer of metrics"] = server.serve
        if config.otlp:
            collector = Collector(config.otlp, config.otlp_headers, config.otlp_interval_s)
            resource = {
                "service.name": "crosshaul-agent",
                "service.instance.id": deps.registration.thing,
                "service.version": VERSION,
            }
            helpers["push of metrics"] = MetricsPush(collector, measurements.families, resource).push_forever
        return helpers

    def _watch_lane(self, commands: Commands) -> None:
        loop = asyncio.get_running_loop()

        def report(serve: Serve, errors: str) -> None:
            with suppress(RuntimeError):  # the loop has ended, and so has the agent
                loop.call_soon_threadsafe(commands.report_unreachable, serve, errors)

        self._deps.lane.on_unreachable(report)

    def _offer_hop_results(self) -> None:
        """Let the lane's threads ask which hops have succeeded: the journal may be used on the loop only."""
        loop = asyncio.get_running_loop()

        def has_succeeded(hop_id: str) -> bool | None:
            answer: Future[bool | None] = Future()
            with suppress(RuntimeError, TimeoutError):  # the loop has ended, and so has the agent
                loop.call_soon_threadsafe(lambda: answer.set_result(self._has_succeeded(hop_id)))
                return answer.result(LOOP_ANSWER_TIMEOUT_S)
            return None

        self._deps.active_pulls.has_succeeded = has_succeeded

    def _has_succeeded(self, hop_id: str) -> bool | None:
        """Return whether a hop has succeeded; None while it goes on, or its failure is not reported.

        Until then the control plane takes it for running, and would offer the next hop again and again.
        """
        record = self._journal.hop(hop_id)
        if record is None or record.end is None:
            return None
        if isinstance(record.end, Succeeded):
            return True
        return None if self._journal.unsent() else False

    def _hop_manager(self, spawn: Spawn) -> HopManager:
        deps = self._deps
        limit = deps.config.hops_at_once
        return HopManager(deps.journal, self._outbox, deps.movers, limit, deps.intervals, spawn)

    def _commands(self, hops: HopManager) -> Commands:
        deps = self._deps
        return Commands(
            deps.command_keys.verifier,
            deps.journal,
            self._outbox,
            hops,
            deps.lane,
            CommandHandlers(
                browse=deps.browse,
                read_log=deps.read_log,
                watch=self._watches.watch,
                rotate=deps.rotation.request,
                trust=deps.command_keys.replace,
                relocate=deps.api_address.request,
                retire=self.stop,
                discard=deps.discard_hop,
            ),
        )

    async def _receive_commands(self, commands: Commands, spawn: Spawn) -> None:
        """Accept and execute commands.

        A message that cannot be processed is acknowledged all the same: otherwise the broker would send it
        again before the messages behind it.
        """
        async for message in self._deps.link.messages():
            is_about_jobs = self._deps.updates.on_message(message)
            command = None if is_about_jobs else _accept(commands, message.payload)
            message.acknowledge()
            if command:
                spawn(commands.execute(command))

    async def _watch_connection(self, hops: HopManager) -> None:
        """Send a Hello at every connect; log the connection's changes and write them to the status file.

        After a restart of this task, begin with the Hello that could not be sent.
        """
        await self._publish_hello(hops)
        async for event in self._deps.link.events():
            is_change = self._deps.status.note(event)
            if isinstance(event, Connected):
                log.info("connected", extra={"session_present": event.session_present})
                self._deps.updates.on_connected()
                self._connection, self._hello_due = event, 0.0
                self._connects.add(1)
                await self._publish_hello(hops)
            else:
                self._connection = None  # the next one sends a Hello
                if is_change:
                    _log_disconnect(event)

    async def _publish_hello(self, hops: HopManager) -> None:
        """Send a Hello if this connection has had none, or none for long.

        The broker may have lost the first one, or the control plane after the broker: a function that fails
        for minutes leaves it in its dead-letter queue. Without it, peers would be told old addresses and an
        old certificate of this agent for as long as the connection lasts.
        """
        async with self._announcing:
            connection, clock = self._connection, asyncio.get_running_loop().time
            if connection is None or clock() < self._hello_due:
                return
            if await self._publish(await self._hello(hops)):
                self._deps.rotation.confirm(connection.certificate)
                if self._connection is connection:
                    self._hello_due = clock() + self._deps.intervals.hello
                self._pace.restart()

    async def _hello(self, hops: HopManager) -> Hello:
        """Return a Hello.

        The hops are read first: while the roots are examined, reports may already leave.
        """
        deps = self._deps
        at, records = now(), hops.records()
        roots, remotes = await self._root_and_remote_states()
        return Hello(
            at=at,
            version=VERSION,
            hostname=host_info.hostname(),
            ip_address=host_info.ip_address(),
            capabilities=deps.capabilities.model_copy(update={"remotes": remotes}),
            endpoints=host_info.endpoints(deps.config.lane),
            lane_certificate=deps.rotation.lane_certificate,
            roots=roots,
            hops=records,
            reached=self._peers(),
            problems=self._problems(),
        )

    def _problems(self) -> tuple[Problem, ...]:
        """Return the problems of the agent itself."""
        damaged = self._deps.quarantine.problems() if self._deps.quarantine else ()
        others = (*self._deps.api_address.problems(), *self._deps.supervisor.problems())
        return (*damaged, *others)[:MAX_PROBLEMS]

    async def _heartbeat_loop(self, hops: HopManager) -> None:
        while True:
            await asyncio.sleep(self._deps.intervals.heartbeat)
            heartbeat = self._heartbeat(hops, *await self._root_and_remote_states())
            if self._pace.is_due(heartbeat) and await self._publish(heartbeat):
                self._pace.note_sent(heartbeat)
            await self._publish_hello(hops)  # afterward: what prevents it is told by the heartbeat

    async def _housekeeping_loop(self, commands: Commands) -> None:
        """Delete what has expired. Apart from the heartbeat, which must not stop when this fails."""
        while True:
            await asyncio.sleep(self._deps.intervals.heartbeat)
            self._journal.reserve.fill()
            self._journal.prune(now().timestamp())
            commands.end_old_grants()
            self._deps.rotation.tidy(self._journal.own_certificates())

    def _heartbeat(
        self, hops: HopManager, roots: tuple[RootState, ...], remotes: tuple[RemoteState, ...]
    ) -> Heartbeat:
        reached, keys = self._peers(), self._deps.command_keys.changed()
        running = hops.running + self._deps.lane.served
        return Heartbeat(
            at=now(),
            roots=roots,
            remotes=remotes,
            running=running,
            next_within_s=self._pace.next_within_s(running),
            load=host_info.load(),
            reached=None if set(reached) == set(self._reported_peers) else reached,
            trusts=keys and keys.own,
            pinned=keys and keys.roots,
            api_url=self._deps.api_address.changed(),
            problems=self._problems(),
        )

    def _peers(self) -> tuple[PeerReachability, ...]:
        """Return how peers were reached. A name that is not an agent's would make the report invalid."""
        paths = list(self._deps.peer_paths.all().items())[-MAX_REACHED:]
        return tuple(
            PeerReachability(
                agent_id=name, dialed=path.dialed, address=path.address or None, relayed=path.relayed
            )
            for name, path in paths
            if re.fullmatch(forms.LABEL, name)
        )

    async def _root_and_remote_states(self) -> tuple[tuple[RootState, ...], tuple[RemoteState, ...]]:
        """Examine roots and remotes in a thread: a disk, a network share or rclone may be slow."""
        config = self._deps.config
        self._roots = roots = await asyncio.to_thread(host_info.root_states, config.roots)
        return roots, await asyncio.to_thread(host_info.remote_states, config)

    async def _publish(self, report: Hello | Heartbeat) -> bool:
        """Return whether the broker has taken the report."""
        if not self._deps.link.connected:
            return False
        try:
            await self._outbox.publish(report)
        except LinkError as error:
            log.warning("report not published", extra={"kind": report.kind, "reason": str(error)})
            return False
        if report.reached is not None:
            self._reported_peers = report.reached
        return True


def _accept(commands: Commands, payload: bytes) -> Command | None:
    try:
        return commands.accept(payload)
    except sqlite3.Error:
        raise
    except Exception as error:
        log.exception("command failed unexpectedly")
        commands.refuse_unforeseen(error)
        return None


def _log_disconnect(event: Disconnected) -> None:
    advice = "another agent uses this registration: stop one of them" if event.taken_over else event.advice
    log.warning("not connected", extra={"reason": event.reason, **({"advice": advice} if advice else {})})
