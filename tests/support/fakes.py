"""Fakes for what surrounds the control plane's use cases."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import NAMESPACE_URL, uuid5

from events.base import Actor
from events.commands import Command
from events.reports import Capabilities, RootState
from lambdas.domain.agent import Agent
from lambdas.domain.authorization import Principal
from lambdas.domain.errors import AgentUnknownError, PersonUnknownError

MORNING = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@dataclass
class FakeClock:
    now: datetime = MORNING

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **time: float) -> datetime:
        self.now += timedelta(**time)
        return self.now


@dataclass
class FakeCommandSender:
    """Records the commands to send; `broken` makes the broker fail."""

    sent: list[tuple[str, Command]] = field(default_factory=list)
    signed: dict[str, tuple[str, Command]] = field(default_factory=dict)
    broken: bool = False
    cut_off: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def send_command(
        self, agent_id: str, command: Command, lifetime: timedelta = timedelta(minutes=10)
    ) -> None:
        self.send(agent_id, self.sign(agent_id, command, lifetime))

    def sign(self, agent_id: str, command: Command, lifetime: timedelta = timedelta(minutes=10)) -> str:
        token = f"token-{next(self._numbers)}"
        self.signed[token] = (agent_id, command)
        return token

    def send(self, agent_id: str, token: str) -> None:
        if self.broken:
            raise ConnectionError("the broker is away")
        addressee, command = self.signed[token]
        assert addressee == agent_id
        self.sent.append((agent_id, command))

    def cut(self, agent_id: str) -> None:
        self.cut_off.append(agent_id)

    def kinds(self) -> list[tuple[str, str]]:
        """Return recipient and kind of each command in order, and clear the record."""
        kinds = [(agent_id, command.kind) for agent_id, command in self.sent]
        self.sent.clear()
        return kinds


def id_of(name: str) -> str:
    """Return a person's `sub`, always the same for the same name."""
    return str(uuid5(NAMESPACE_URL, name))


def a_person(name: str) -> Actor:
    """Return the person with this e-mail address."""
    return Actor(id=id_of(name), name=name)


ADA, BOB = a_person("ada"), a_person("bob")


def as_shown(name: str) -> dict[str, str]:
    """Return an actor as the API shows it: a person by address, anything else by name."""
    return (a_person(name) if "@" in name else Actor.called(name)).model_dump()


@dataclass
class FakeUserDirectory:
    """Returns the current groups of users."""

    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Groups by e-mail address."""

    def find_user(self, who: Actor) -> Principal:
        groups = next((groups for name, groups in self.groups.items() if id_of(name) == who.id), None)
        return Principal(who.id, groups or (), name=who.name, gone=groups is None)

    def named(self, text: str) -> Principal:
        return self.find_user(Actor(id=self.id_of(text), name=text))

    def id_of(self, text: str) -> str:
        if "@" in text and text not in self.groups:
            raise PersonUnknownError(text)
        return id_of(text) if "@" in text else text


@dataclass
class FakeEventPublisher:
    published: list[object] = field(default_factory=list)

    def publish(self, fact: object) -> None:
        self.published.append(fact)


@dataclass
class FakeChangeNotifier:
    announced: list[str] = field(default_factory=list)
    agent_notices: int = 0

    def announce(self, transfer_id: str) -> None:
        self.announced.append(transfer_id)

    def announce_agents(self) -> None:
        self.agent_notices += 1


@dataclass
class FakeRetryTimer:
    """Keeps the times at which hops are to be checked."""

    clock: FakeClock
    times: dict[str, datetime] = field(default_factory=dict)

    def check_at(self, hop_id: str, when: datetime) -> None:
        self.times[hop_id] = when

    def due(self) -> list[str]:
        """Return the hops whose time has come, and forget them."""
        due = [hop_id for hop_id, when in self.times.items() if when <= self.clock()]
        for hop_id in due:
            del self.times[hop_id]
        return due


def an_agent(agent_id: str, **differently: object) -> Agent:
    """Return an agent that is online and has /data to read and /archive to write."""
    agent = Agent(
        agent_id=agent_id,
        hostname=f"{agent_id}.example.com",
        roots=(RootState(path="/data", access="ro"), RootState(path="/archive", access="rw")),
        endpoints=(f"{agent_id}.example.com:4460",),
        lane_certificate=f"certificate of {agent_id}",
        capabilities=Capabilities(),
        version="0.1.0",
        registered_at=MORNING,
        connected_at=MORNING,
        last_heartbeat=MORNING,
        presence="online",
    )
    return replace(agent, **differently)  # type: ignore[arg-type]


class FakeAgents:
    """Returns the agents it was given."""

    def __init__(self, *agents: Agent) -> None:
        self.known = {agent.agent_id: agent for agent in agents}

    def get(self, agent_id: str) -> Agent:
        if agent_id not in self.known:
            raise AgentUnknownError(agent_id)
        return self.known[agent_id]

    def get_many(self, agent_ids: Iterable[str]) -> dict[str, Agent]:
        return {agent_id: self.known[agent_id] for agent_id in agent_ids if agent_id in self.known}

    def is_now(self, agent_id: str, presence: str) -> None:
        self.known[agent_id] = replace(self.known[agent_id], presence=presence)  # type: ignore[arg-type]
