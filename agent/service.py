"""The agent at work: one group of tasks around one link, from a start to SIGTERM, or to being removed.

With the broker away hops go on, and what must be said waits on the disk.
"""

import asyncio
import logging
import re
import sqlite3
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from agent import VERSION, host_info
from agent.cloud.messages import BrokerConnection, Connected, Disconnected, LinkError
from agent.command_keys import CommandKeys
from agent.config import Config
from agent.hops.attempt import AttemptIntervals, Movers
from agent.hops.commands import Commands, Lane
from agent.hops.journal import Journal
from agent.hops.manager import HopManager, Spawn
from agent.hops.report_outbox import ReportOutbox, now
from agent.identity.registration import Registration
from agent.identity.rotation import Rotation
from agent.lane.peer_paths import PeerPathCache
from agent.pull.active_pulls import ActivePulls
from agent.quarantine import Quarantine
from agent.status import Status
from agent.supervision import Supervisor, Work
from agent.updating.update_jobs import UpdateJobs
from events.base import LABEL, Problem
from events.commands import Browse, Command, Serve
from events.progress import PeerReachability
from events.reports import (
    MAX_PROBLEMS,
    MAX_REACHED,
    Browsed,
    Capabilities,
    Heartbeat,
    Hello,
    RemoteState,
    RootState,
    Succeeded,
)
from events.topics import Topics

log = logging.getLogger(__name__)

DEFAULT_INTERVALS = AttemptIntervals()
COMMAND_TIMEOUT_S = 5.0
"""Seconds."""


@dataclass(frozen=True)
class Dependencies:
    """What the service is made of; tests bring their own link, movers and lane."""

    config: Config
    registration: Registration
    journal: Journal
    link: BrokerConnection
    lane: Lane
    movers: Movers
    browse: Callable[[Browse], Browsed]
    status: Status
    rotation: Rotation
    trusted: CommandKeys
    updates: UpdateJobs
    capabilities: Capabilities
    arrivals: ActivePulls = field(default_factory=ActivePulls)
    pace: AttemptIntervals = DEFAULT_INTERVALS
    deliver_manifests: Callable[[], Coroutine[Any, Any, None]] | None = None
    routes: PeerPathCache = field(default_factory=PeerPathCache)
    """Whom it has met, and how."""
    supervisor: Supervisor = field(default_factory=Supervisor)
    """Keeps the helpers at work."""
    quarantine: Quarantine | None = None
    """Where damaged state goes, to be told of. None: beside nobody's state."""


class Service:
    """`run` returns when `stop` was called, by a signal or because the agent was removed."""

    def __init__(self, parts: Dependencies) -> None:
        self._parts = parts
        self._journal = parts.journal
        self._stopping = asyncio.Event()
        self._told: tuple[PeerReachability, ...] = ()
        self._ungreeted: Connected | None = None
        """A connection over which no Hello was made yet."""
        topics = Topics(parts.registration.stage)
        self._desk = ReportOutbox(parts.journal, parts.link, topics, parts.registration.thing)

    def reload(self, config: Config) -> None:
        """Tell of these roots from now on."""
        self._parts = replace(self._parts, config=config)

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """A failure of the core ends all tasks, and systemd starts the agent again: of the journal, of the
        queue of reports, of hearing commands. Without one of them the agent would only seem to work. What it
        can do without for a while is supervised (`agent.supervision`): a helper that fails is logged, tried
        again, and told of in Hello and Heartbeat if it stays so."""
        async with asyncio.TaskGroup() as group:
            tasks: set[asyncio.Task[None]] = set()

            def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
                task = group.create_task(work)
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                return task

            self._begin(spawn)
            await self._stopping.wait()
            for task in list(tasks):
                task.cancel()

    def _begin(self, spawn: Spawn) -> None:
        hops = self._hops(spawn)
        commands = self._commands(hops)
        self._hear_lane(commands)
        self._answer_followers()
        commands.resume_serving()
        spawn(hops.resume_all())
        spawn(self._listen(commands, spawn))
        spawn(self._desk.deliver())
        helpers: dict[str, Work] = {
            "greeting": lambda: self._send_hello(hops),
            "heartbeat": lambda: self._heartbeat_loop(hops),
            "housekeeping": lambda: self._keep_house(commands),
            "key rotation": self._parts.rotation.run,
            "updates": self._parts.updates.run,
        }
        if self._parts.deliver_manifests:
            helpers["delivery of manifests"] = self._parts.deliver_manifests
        for name, work in helpers.items():
            spawn(self._parts.supervisor.run(name, work))

    def _hear_lane(self, commands: Commands) -> None:
        loop = asyncio.get_running_loop()

        def unreached(serve: Serve, answers: str) -> None:
            with suppress(RuntimeError):  # the loop has ended, and so has the agent
                loop.call_soon_threadsafe(commands.report_unreachable, serve, answers)

        self._parts.lane.on_unreachable(unreached)

    def _answer_followers(self) -> None:
        """The lane's threads may want to know which hops have succeeded; the journal is the loop's."""
        loop = asyncio.get_running_loop()

        def has_succeeded(hop_id: str) -> bool:
            answer: Future[bool] = Future()
            with suppress(RuntimeError, TimeoutError):  # the loop has ended, and so has the agent
                loop.call_soon_threadsafe(lambda: answer.set_result(self._has_succeeded(hop_id)))
                return answer.result(COMMAND_TIMEOUT_S)
            return False

        self._parts.arrivals.has_succeeded = has_succeeded

    def _has_succeeded(self, hop_id: str) -> bool:
        held = self._journal.hop(hop_id)
        return held is not None and isinstance(held.end, Succeeded)

    def _hops(self, spawn: Spawn) -> HopManager:
        parts = self._parts
        at_once = parts.config.hops_at_once
        return HopManager(parts.journal, self._desk, parts.movers, at_once, parts.pace, spawn)

    def _commands(self, hops: HopManager) -> Commands:
        parts = self._parts
        return Commands(
            parts.trusted.verifier,
            parts.journal,
            self._desk,
            hops,
            parts.lane,
            parts.browse,
            parts.rotation.request,
            parts.trusted.replace,
            self.stop,
        )

    async def _listen(self, commands: Commands, spawn: Spawn) -> None:
        """A message of which nothing can be made is acknowledged all the same: the broker would send it again
        before everything behind it."""
        async for letter in self._parts.link.messages():
            about_a_job = self._parts.updates.on_message(letter)
            command = None if about_a_job else _admitted(commands, letter.payload)
            letter.acknowledge()
            if command:
                spawn(commands.execute(command))

    async def _send_hello(self, hops: HopManager) -> None:
        """Hello at every connect; and the connection's changes into the log and the status file. Started
        again, it begins with the Hello that could not be made."""
        await self._say_hello(hops)
        async for event in self._parts.link.events():
            news = self._parts.status.note(event)
            if isinstance(event, Connected):
                log.info("connected", extra={"session_present": event.session_present})
                self._parts.updates.on_connected()
                self._ungreeted = event
                await self._say_hello(hops)
            elif news:
                _log_disconnect(event)

    async def _say_hello(self, hops: HopManager) -> None:
        connection = self._ungreeted
        if connection is None:
            return
        is_heard = await self._tell(await self._hello(hops))
        self._ungreeted = None  # what was not heard, for the connection broke, is said over the next
        if is_heard:
            self._parts.rotation.confirm(connection.certificate)

    async def _hello(self, hops: HopManager) -> Hello:
        """What is held is looked up first: while the roots are, reports may leave already."""
        parts = self._parts
        moment, held = now(), hops.records()
        roots, remotes = await self._offered()
        return Hello(
            at=moment,
            version=VERSION,
            hostname=host_info.hostname(),
            ip_address=host_info.ip_address(),
            capabilities=parts.capabilities.model_copy(update={"remotes": remotes}),
            endpoints=host_info.endpoints(parts.config.lane),
            lane_certificate=parts.rotation.lane_certificate,
            roots=roots,
            hops=held,
            reached=self._reached(),
            problems=self._problems(),
        )

    def _problems(self) -> tuple[Problem, ...]:
        """Of the agent itself."""
        set_aside = self._parts.quarantine.problems() if self._parts.quarantine else ()
        return (*set_aside, *self._parts.supervisor.problems())[:MAX_PROBLEMS]

    async def _heartbeat_loop(self, hops: HopManager) -> None:
        while True:
            await asyncio.sleep(self._parts.pace.heartbeat)
            await self._tell(self._heartbeat(hops, *await self._offered()))

    async def _keep_house(self, commands: Commands) -> None:
        """Apart from the heartbeat, which must not stop for it."""
        while True:
            await asyncio.sleep(self._parts.pace.heartbeat)
            self._journal.prune(now().timestamp())
            commands.end_old_grants()
            self._parts.rotation.tidy(self._journal.own_certificates())

    def _heartbeat(
        self, hops: HopManager, roots: tuple[RootState, ...], remotes: tuple[RemoteState, ...]
    ) -> Heartbeat:
        reached, keys = self._reached(), self._parts.trusted.changed()
        return Heartbeat(
            at=now(),
            roots=roots,
            remotes=remotes,
            running=hops.running,
            load=host_info.load(),
            reached=None if set(reached) == set(self._told) else reached,
            trusts=keys and keys.own,
            pinned=keys and keys.roots,
            problems=self._problems(),
        )

    def _reached(self) -> tuple[PeerReachability, ...]:
        """What is not the name of an agent would spoil the message, and is left out."""
        met = list(self._parts.routes.all().items())[-MAX_REACHED:]
        return tuple(
            PeerReachability(
                agent_id=name, dialled=how.dialled, address=how.address or None, relayed=how.relayed
            )
            for name, how in met
            if re.fullmatch(LABEL, name)
        )

    async def _offered(self) -> tuple[tuple[RootState, ...], tuple[RemoteState, ...]]:
        """In a thread: a disk or a network share may take its time, and so may rclone."""
        config = self._parts.config
        roots = await asyncio.to_thread(host_info.root_states, config.roots)
        return roots, await asyncio.to_thread(host_info.remote_states, config)

    async def _tell(self, report: Hello | Heartbeat) -> bool:
        """Has the broker taken it?"""
        if not self._parts.link.connected:
            return False
        try:
            await self._desk.publish(report)
        except LinkError as error:
            log.warning("not heard", extra={"kind": report.kind, "reason": str(error)})
            return False
        if report.reached is not None:
            self._told = report.reached
        return True


def _admitted(commands: Commands, payload: bytes) -> Command | None:
    try:
        return commands.accept(payload)
    except sqlite3.Error:
        raise
    except Exception as error:
        log.exception("a command that nothing can be made of")
        commands.refuse_unforeseen(error)
        return None


def _log_disconnect(event: Disconnected) -> None:
    advice = "another agent runs with this registration: stop one of them" if event.taken_over else ""
    log.warning("not connected", extra={"reason": event.reason, **({"advice": advice} if advice else {})})
