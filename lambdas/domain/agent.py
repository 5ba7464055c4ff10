"""An agent as the control plane knows it: what it last reported, and whether it is connected.

`presence_at`, `heard_at`, `hello_at` and `last_heartbeat` are the broker's clock, other times the control
plane's; both are AWS's and agree within a second. Events may be handled late, twice or in another order,
since Lambda retries them for up to six hours: each counts as of the broker's time.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from events.base import AgentId, KeyId, Problem
from events.locations import AgentLocation, Location
from events.options import Options
from events.progress import PeerReachability
from events.reports import HEARTBEAT_S, Capabilities, Heartbeat, Hello, RootState
from events.requests import AgentChange
from events.states import AgentStatus, CommandKeyStatus
from events.views import Drain
from lambdas.domain.endpoint import valid_endpoints
from lambdas.domain.errors import AgentTooOldError
from lambdas.domain.problems import DRY_RUN_UNSUPPORTED

Presence = Literal["online", "silent", "offline"]
"""`silent`: the agent is connected as far as the broker knows, but sends no heartbeats."""

SILENT_AFTER = timedelta(seconds=90)
"""How long a busy agent, or one that has just connected, may be silent, and a message be on its way."""
SILENCE_CHECKS = timedelta(minutes=15)
"""Distance of the times at which agents are looked at that are heard seldom."""
TAKEOVER = timedelta(seconds=10)
"""Time within which the broker reports the end of an old connection after the agent has reconnected.

IoT Core numbers an agent's connections, but may restart the count: within this time a lower number belongs to
an older connection, after it to a new one.
https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html
"""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One registered agent: identity, last reported state and connection."""

    agent_id: AgentId
    hostname: str
    ip_address: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    roots: tuple[RootState, ...] = ()
    endpoints: tuple[str, ...] = ()
    """Lane addresses, `host:port`, the agent's preferred one first."""
    endpoints_fixed: bool = False
    """An administrator set the addresses: those that the agent reports are ignored."""
    lane_certificate: str
    """PEM."""
    capabilities: Capabilities
    version: str
    registered_at: datetime
    connected_at: datetime | None = None
    last_heartbeat: datetime | None = None
    heard_at: datetime | None = None
    """When the broker received the latest message from the agent, or its connection."""
    hello_at: datetime | None = None
    """When the broker received the Hello that describes the agent."""
    presence: Presence = "offline"
    presence_at: datetime | None = None
    """Broker time of the last connect or disconnect event that was applied."""
    session: int = -1
    """The broker's number of that connection."""
    running: int = 0
    """Hops running, as of the last heartbeat."""
    load: float | None = None
    next_within_s: int = HEARTBEAT_S
    """Seconds within which the agent sends the next heartbeat, as of its last message."""
    certificate: str | None = None
    """Fingerprint of the device certificate with which the agent sent its last Hello."""
    certified_at: datetime | None = None
    """When the agent began to use that certificate."""
    next_certificate: str | None = None
    """Fingerprint of a certificate that was issued and is not used yet."""
    rotation_wanted_at: datetime | None = None
    """When the rotation of the agent's keys was requested."""
    rotate_at: datetime | None = None
    """When to check next whether the keys are too old, or a requested rotation is still missing."""
    skew: float | None = None
    """Seconds by which the agent's clock is ahead, as of its last message."""
    reached: tuple[PeerReachability, ...] = ()
    command_key_status: CommandKeyStatus | None = None
    """Which command keys the agent trusts, as last reported. None: an older agent does not report it."""
    problems: tuple[Problem, ...] = ()
    """Problems of the agent itself, as last reported."""
    drain: Drain | None = None
    """The last decision to drain it, which may have ended by its time; see `drain_at`."""
    revision: int = field(default=0, compare=False)
    """Number of writes since the agent was registered, by which a write knows that it read the latest."""

    @property
    def silent_at(self) -> datetime | None:
        """Return when the agent counts as silent if nothing is heard; None if it was never heard.

        One heartbeat may be lost. An agent that is gone is noticed by the broker, and much sooner.
        """
        return self.heard_at and self.heard_at + SILENT_AFTER + 2 * timedelta(
            seconds=self.next_within_s - HEARTBEAT_S
        )


def silence_checked_at(agent: Agent) -> datetime | None:
    """Return when to look whether the agent is silent; None if it was never heard.

    Of an agent that is heard seldom, since nothing moves, this is at the next of fixed times, so that most of
    its heartbeats leave the time as it is. The broker notices one that is gone much sooner.
    """
    silent_at = agent.silent_at
    if silent_at is None or agent.next_within_s <= HEARTBEAT_S:
        return silent_at
    rest = silent_at.timestamp() % SILENCE_CHECKS.total_seconds()
    return silent_at + (SILENCE_CHECKS - timedelta(seconds=rest) if rest else timedelta())


def command_key_status(trusts: tuple[KeyId, ...], current: KeyId, following: KeyId) -> CommandKeyStatus:
    """Return which of the current and the next signing key the agent trusts."""
    if current not in trusts:
        return "none"
    return "both" if following in trusts else "present"


def status(agent: Agent, now: datetime) -> AgentStatus:
    """Return the agent's status as people see it."""
    if agent.presence == "offline":
        return AgentStatus.OFFLINE
    silent_at = agent.silent_at
    fresh = silent_at is not None and now < silent_at
    return AgentStatus.ONLINE if agent.presence == "online" and fresh else AgentStatus.LATE


def is_available(agent: Agent, now: datetime) -> bool:
    """Return whether hops can be offered: the agent is online, not about to be silent, and not drained."""
    awake = agent.presence == "online" and (agent.silent_at is None or now < agent.silent_at)
    return awake and drain_at(agent, now) is None


def drain_at(agent: Agent, now: datetime) -> Drain | None:
    """Return the drain that holds at this time; None if the agent gets new hops."""
    drain = agent.drain
    return drain if drain and (drain.until is None or now < drain.until) else None


def in_maintenance(agent: Agent, now: datetime) -> bool:
    """Return whether the agent may be away at this time without an alarm."""
    drain = drain_at(agent, now)
    return drain is not None and drain.maintenance


def connected(agent: Agent, at: datetime, session: int, now: datetime) -> Agent:
    """Return the agent after the broker's connect event; the same object if the event is outdated.

    If the event is handled too late to tell, the agent is silent until it is heard from.
    """
    is_known = session == agent.session and agent.presence_at is not None and at <= agent.presence_at
    if is_known or _of_an_earlier_session(agent, at, session):
        return agent
    received_at = _latest(agent.heard_at, at)
    presence: Presence = "online" if now - received_at < SILENT_AFTER else "silent"
    return replace(
        agent,
        presence=presence,
        presence_at=at,
        session=session,
        connected_at=at,
        heard_at=received_at,
        next_within_s=HEARTBEAT_S,
    )


def disconnected(agent: Agent, at: datetime, session: int) -> Agent:
    """Return the agent after the broker's disconnect event; the same object if the event is outdated.

    An agent that was heard from later has reconnected, and that event is still to come.
    """
    is_known = session == agent.session and agent.presence_at is not None and at < agent.presence_at
    if is_known or _of_an_earlier_session(agent, at, session):
        return agent
    if agent.heard_at is not None and agent.heard_at > at:
        return replace(agent, presence_at=at, session=session)
    return replace(agent, presence="offline", presence_at=at, session=session, running=0)


def _of_an_earlier_session(agent: Agent, at: datetime, session: int) -> bool:
    """Return whether an event belongs to an older connection: after a reconnect, events may be reordered."""
    if agent.presence_at is None or session >= agent.session:
        return False
    return at < agent.presence_at + TAKEOVER


def with_hello(agent: Agent, hello: Hello, received_at: datetime, now: datetime) -> Agent:
    """Return the agent with what its Hello reports; what a later heartbeat has reported is kept."""
    described = replace(
        agent,
        hostname=hello.hostname,
        ip_address=hello.ip_address or agent.ip_address,
        version=hello.version,
        capabilities=hello.capabilities,
        endpoints=agent.endpoints if agent.endpoints_fixed else valid_endpoints(hello.endpoints),
        lane_certificate=hello.lane_certificate,
        hello_at=received_at,
    )
    if _is_outdated(agent, received_at):
        return described
    presence = _presence_on_message(agent, received_at, now)
    is_new_connection = presence == "online" != agent.presence
    return replace(
        described,
        roots=hello.roots,
        reached=hello.reached,
        problems=hello.problems,
        skew=_skew(hello.at, received_at),
        presence=presence,
        connected_at=received_at if is_new_connection else agent.connected_at,
        heard_at=received_at,
        next_within_s=HEARTBEAT_S,
    )


def with_heartbeat(
    agent: Agent,
    heartbeat: Heartbeat,
    received_at: datetime,
    now: datetime,
    key_status: CommandKeyStatus | None = None,
) -> Agent:
    """Return the agent after a heartbeat; the same object if the heartbeat is outdated.

    `key_status` is None if the agent did not report it.
    """
    if _is_outdated(agent, received_at):
        return agent
    remotes = agent.capabilities.remotes if heartbeat.remotes is None else heartbeat.remotes
    return replace(
        agent,
        roots=heartbeat.roots,
        capabilities=agent.capabilities.model_copy(update={"remotes": remotes}),
        running=heartbeat.running,
        load=heartbeat.load,
        next_within_s=heartbeat.next_within_s,
        reached=agent.reached if heartbeat.reached is None else heartbeat.reached,
        command_key_status=key_status or agent.command_key_status,
        problems=heartbeat.problems,
        skew=_skew(heartbeat.at, received_at),
        presence=_presence_on_message(agent, received_at, now),
        last_heartbeat=received_at,
        heard_at=received_at,
    )


def _is_outdated(agent: Agent, received_at: datetime) -> bool:
    """Return whether a message that the broker received later was handled already."""
    return agent.heard_at is not None and received_at < agent.heard_at


def _presence_on_message(agent: Agent, received_at: datetime, now: datetime) -> Presence:
    """Return the presence after a message, which may be handled long after the agent has gone."""
    has_left = (
        agent.presence == "offline" and agent.presence_at is not None and agent.presence_at >= received_at
    )
    is_late = now - received_at >= SILENT_AFTER
    return agent.presence if has_left or is_late else "online"


def _latest(known: datetime | None, at: datetime) -> datetime:
    return at if known is None else max(known, at)


def _skew(reported: datetime, received_at: datetime) -> float:
    return round((reported - received_at).total_seconds(), 1)


def silenced(agent: Agent, now: datetime) -> Agent:
    """Return the agent, marked as silent if its last message is too long ago."""
    is_silent = agent.silent_at is None or now >= agent.silent_at
    return replace(agent, presence="silent") if agent.presence == "online" and is_silent else agent


def changed(agent: Agent, change: AgentChange) -> Agent:
    """Return the agent with an administrator's changes; empty addresses restore those that it reports."""
    tags = agent.tags if change.tags is None else change.tags
    if change.endpoints is None:
        return replace(agent, tags=tags)
    endpoints = change.endpoints or agent.endpoints
    return replace(agent, tags=tags, endpoints=endpoints, endpoints_fixed=bool(change.endpoints))


def check_able(agent: Agent, destination: Location, options: Options) -> None:
    """Raise AgentTooOldError if the agent is too old for a dry run and would upload instead."""
    if isinstance(destination, AgentLocation) or not options.dry_run or agent.capabilities.previews_uploads:
        return
    raise AgentTooOldError(agent.agent_id, agent.version, DRY_RUN_UNSUPPORTED, destination=destination)
