"""An agent as the control plane knows it: what it said of itself, and whether it is there.

Time is the cloud's clock, but for `presence_at`, which is the broker's.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from events.base import AgentId, KeyId, Problem
from events.locations import AgentLocation, Location
from events.options import Options
from events.progress import PeerReachability
from events.reports import Capabilities, Heartbeat, Hello, RootState
from events.requests import AgentChange
from events.states import AgentStatus, CommandKeyStatus
from lambdas.domain.errors import AgentDeclinedError

Presence = Literal["online", "silent", "offline"]
"""`silent`: it did not say that it leaves, but its heartbeat has stopped."""

SILENT_AFTER = timedelta(seconds=90)
TAKEOVER = timedelta(seconds=10)
"""When an agent connects again, the broker ends its old connection at once: so much later at the most.

IoT Core counts an agent's connections, but begins anew when it likes: a lower number is an old story only as
long as this. https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html
"""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One server's agent."""

    agent_id: AgentId
    hostname: str
    ip_address: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    roots: tuple[RootState, ...] = ()
    endpoints: tuple[str, ...] = ()
    """Lane addresses, `host:port`, in the order of its preference."""
    endpoints_fixed: bool = False
    """An administrator set the addresses: what the agent says of them does not count."""
    lane_certificate: str
    """PEM."""
    capabilities: Capabilities
    version: str
    registered_at: datetime
    connected_at: datetime | None = None
    last_heartbeat: datetime | None = None
    heard_at: datetime | None = None
    """When anything of it was last heard."""
    presence: Presence = "offline"
    presence_at: datetime | None = None
    """Of the broker's last word on its connection that counted."""
    session: int = -1
    """The number of that connection."""
    running: int = 0
    """Hops running, as of the last heartbeat."""
    load: float | None = None
    certificate: str | None = None
    """The fingerprint of the device certificate that it used when it last said Hello."""
    certified_at: datetime | None = None
    """Since when it has used that one."""
    next_certificate: str | None = None
    """One that was made for it and that it has not used yet."""
    rotation_wanted_at: datetime | None = None
    """Since when its keys are to be replaced."""
    rotate_at: datetime | None = None
    """When the clock looks whether they are old, or wanted and still not replaced."""
    skew: float | None = None
    """Seconds by which its clock is ahead, as of what it said last."""
    reached: tuple[PeerReachability, ...] = ()
    command_key_status: CommandKeyStatus | None = None
    """Of the keys that signed commands, and would next, when it said so last. None: an older one does not."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with the agent itself, as of what it said last."""


def command_key_status(trusts: tuple[KeyId, ...], now: KeyId, following: KeyId) -> CommandKeyStatus:
    """Of the key that signs now, and the one that will be next."""
    if now not in trusts:
        return "none"
    return "both" if following in trusts else "present"


def status(agent: Agent, now: datetime) -> AgentStatus:
    if agent.presence == "offline":
        return AgentStatus.OFFLINE
    fresh = agent.heard_at is not None and now - agent.heard_at < SILENT_AFTER
    return AgentStatus.ONLINE if agent.presence == "online" and fresh else AgentStatus.LATE


def connected(agent: Agent, at: datetime, session: int, now: datetime) -> Agent:
    """The agent after the broker said that it has connected; the very same if that is an old story."""
    told = session == agent.session and agent.presence_at is not None and at <= agent.presence_at
    if told or _of_an_earlier_session(agent, at, session):
        return agent
    return replace(agent, presence="online", presence_at=at, session=session, connected_at=at, heard_at=now)


def disconnected(agent: Agent, at: datetime, session: int) -> Agent:
    """The agent after the broker said that it has disconnected; the very same if that is an old story."""
    told = session == agent.session and agent.presence_at is not None and at < agent.presence_at
    if told or _of_an_earlier_session(agent, at, session):
        return agent
    return replace(agent, presence="offline", presence_at=at, session=session, running=0)


def _of_an_earlier_session(agent: Agent, at: datetime, session: int) -> bool:
    """When an agent reconnects, the end of its old connection may be told after the begin of the new."""
    if agent.presence_at is None or session >= agent.session:
        return False
    return at < agent.presence_at + TAKEOVER


def with_hello(agent: Agent, hello: Hello, now: datetime) -> Agent:
    """The agent as it says it is; it is there, whatever the broker has told so far."""
    return replace(
        agent,
        hostname=hello.hostname,
        ip_address=hello.ip_address or agent.ip_address,
        version=hello.version,
        capabilities=hello.capabilities,
        endpoints=agent.endpoints if agent.endpoints_fixed else hello.endpoints,
        lane_certificate=hello.lane_certificate,
        roots=hello.roots,
        reached=hello.reached,
        problems=hello.problems,
        skew=_skew(hello.at, now),
        presence="online",
        connected_at=agent.connected_at if agent.presence == "online" else now,
        heard_at=now,
    )


def with_heartbeat(
    agent: Agent, heartbeat: Heartbeat, now: datetime, obeys: CommandKeyStatus | None = None
) -> Agent:
    """The agent after a heartbeat: one that was thought to be away is there. `obeys`, if it has said so."""
    remotes = agent.capabilities.remotes if heartbeat.remotes is None else heartbeat.remotes
    return replace(
        agent,
        roots=heartbeat.roots,
        capabilities=agent.capabilities.model_copy(update={"remotes": remotes}),
        running=heartbeat.running,
        load=heartbeat.load,
        reached=agent.reached if heartbeat.reached is None else heartbeat.reached,
        command_key_status=obeys or agent.command_key_status,
        problems=heartbeat.problems,
        skew=_skew(heartbeat.at, now),
        presence="online",
        last_heartbeat=now,
        heard_at=now,
    )


def _skew(said: datetime, now: datetime) -> float:
    return round((said - now).total_seconds(), 1)


def silenced(agent: Agent, now: datetime) -> Agent:
    """The agent after nothing was heard of it for too long."""
    quiet = agent.heard_at is None or now - agent.heard_at >= SILENT_AFTER
    return replace(agent, presence="silent") if agent.presence == "online" and quiet else agent


def changed(agent: Agent, change: AgentChange) -> Agent:
    """The agent as an administrator wants it; no addresses at all: those that it says itself count again."""
    tags = agent.tags if change.tags is None else change.tags
    if change.endpoints is None:
        return replace(agent, tags=tags)
    endpoints = change.endpoints or agent.endpoints
    return replace(agent, tags=tags, endpoints=endpoints, endpoints_fixed=bool(change.endpoints))


def check_able(agent: Agent, destination: Location, options: Options) -> None:
    """`agent` is to carry files to there. Raise AgentDeclinedError if it would upload instead of looking."""
    if isinstance(destination, AgentLocation) or not options.dry_run or agent.capabilities.previews_uploads:
        return
    raise AgentDeclinedError(
        Problem(
            code="agent-too-old",
            message=f"{agent.agent_id} runs version {agent.version}: it makes no dry run to {destination}.",
            advice="Update the agent, or leave the dry run out.",
        )
    )
