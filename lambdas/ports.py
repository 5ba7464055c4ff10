"""Protocols of what use cases need from outside; each has a fake in the tests."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from events.base import Actor, AgentId, HopId, Problem, TransferId
from events.commands import Command
from events.facts import AgentWentSilent, TransferFinished, TransferRequested
from events.views import StartDecision
from lambdas.domain.agent import Agent
from lambdas.domain.authorization import Principal
from lambdas.domain.transfer import Transfer
from lambdas.store.base import Writes, no_writes

Clock = Callable[[], datetime]

COMMAND_LIFETIME = timedelta(minutes=10)
"""How long a command is valid. A lost command delays a transfer but never loses it, so it may be short."""


def _nothing(_: object, __: object) -> Writes:
    return no_writes


@dataclass(frozen=True)
class Authorization:
    """The result of an authorization that succeeded."""

    approval: tuple[str, ...] = ()
    """The policies that require the approval of a second person; empty: none."""
    asked_for: tuple[Actor, ...] = ()
    """The requesters, who cannot approve."""
    size: int | None = None
    """Size in bytes with which policies decided; None if it was not known."""
    record: Callable[[Transfer | None, Transfer], Writes] = _nothing
    """Return the writes for the transaction of the change, given the transfer before and after it."""
    real_start: StartDecision | None = None
    """For a dry run: the decision about the same transfer without `dry_run`."""


AuthorizeTransfer = Callable[[Transfer], Authorization]
"""Called before a transfer is written; raises ForbiddenError if it is not allowed."""


@dataclass(frozen=True)
class Refusal:
    """The result of an authorization that failed, for the transaction that ends the hop."""

    problem: Problem
    record: Callable[[Transfer | None, Transfer], Writes] = _nothing
    """Return the audit writes, given the transfer before and after."""


AuthorizeStart = Callable[[Transfer], Authorization | Refusal]
"""Decides a start again for the people who asked for it, by their groups of now."""


def allow_all(_: Transfer) -> Authorization:
    """Allow what neither a person nor a template requests."""
    return Authorization()


class AgentLookup(Protocol):
    """Finds one agent."""

    def get(self, agent_id: AgentId) -> Agent:
        """Return an agent; raises AgentUnknownError."""


class AgentReader(Protocol):
    """Finds many agents in one call."""

    def get_many(self, agent_ids: Iterable[AgentId]) -> dict[AgentId, Agent]:
        """Return the agents that exist."""


class UserDirectory(Protocol):
    """Finds the users who can sign in."""

    def find_user(self, actor: Actor) -> Principal:
        """Return the user with their current groups; `gone` if the account was deleted or disabled."""

    def named(self, text: str) -> Principal:
        """Return the user of this id or current e-mail address; raises PersonUnknownError."""

    def id_of(self, text: str) -> str:
        """Return the id of a current e-mail address, and an id unchanged; raises PersonUnknownError."""


class CommandSender(Protocol):
    """Sends signed commands to agents."""

    def send_command(
        self, agent_id: AgentId, command: Command, lifetime: timedelta = COMMAND_LIFETIME
    ) -> None:
        """Sign a command and send it."""

    def sign(self, agent_id: AgentId, command: Command, lifetime: timedelta = COMMAND_LIFETIME) -> str:
        """Return the signed token of a command."""

    def send(self, agent_id: AgentId, token: str) -> None:
        """Send a token to its agent."""


class ChangeNotifier(Protocol):
    """Notifies open consoles."""

    def announce(self, transfer_id: TransferId) -> None:
        """Notify consoles that a transfer has changed."""

    def announce_agents(self) -> None:
        """Notify consoles that what lists show of agents has changed."""


class RetryTimer(Protocol):
    """Has a hop checked when its retry is due."""

    def check_at(self, hop_id: HopId, when: datetime) -> None:
        """Have the hop checked at this time, or soon if that has passed."""


class EventPublisher(Protocol):
    """Publishes events for other systems."""

    def publish(self, fact: TransferRequested | TransferFinished | AgentWentSilent) -> None:
        """Publish one event."""
