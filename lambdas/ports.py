"""What the use cases need of the world outside; each has a fake in the tests."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from events.base import Actor, AgentId, TransferId
from events.commands import Command
from events.facts import AgentWentSilent, TransferFinished, TransferRequested
from lambdas.domain.agent import Agent
from lambdas.domain.authorization import Principal
from lambdas.domain.transfer import Transfer
from lambdas.store.base import Writes, no_writes

Clock = Callable[[], datetime]

COMMAND_LIFETIME = timedelta(minutes=10)
"""How long a command is good for. A lost one costs time, never a transfer, so it may be short; and long
enough for an agent that is slow to answer."""


def _nothing(_: object, __: object) -> Writes:
    return no_writes


@dataclass(frozen=True)
class Authorization:
    """Leave that was given, and what comes with it."""

    approval: tuple[str, ...] = ()
    """The policies that want a second person to agree first."""
    asked_for: tuple[Actor, ...] = ()
    """Who cannot be that person."""
    record: Callable[[Transfer | None, Transfer], Writes] = _nothing
    """What is written in the transaction of the change, from before and after it."""


AuthorizeTransfer = Callable[[Transfer], Authorization]
"""Asked before a transfer is written: raises ForbiddenError if it may not be."""


def allow_all(_: Transfer) -> Authorization:
    """For what no person and no template asks."""
    return Authorization()


class AgentLookup(Protocol):
    """Knows the agents."""

    def get(self, agent_id: AgentId) -> Agent:
        """Raises AgentUnknownError."""


class AgentReader(Protocol):
    """Knows many at once."""

    def get_many(self, agent_ids: Iterable[AgentId]) -> dict[AgentId, Agent]:
        """Those that there are."""


class UserDirectory(Protocol):
    """Knows the people who sign in."""

    def find(self, who: Actor) -> Principal:
        """With the groups of now; `gone` if there is nobody of this id any more, or they were disabled."""

    def named(self, text: str) -> Principal:
        """The one of this id, or who has this e-mail address now; raises PersonUnknownError if nobody has."""

    def id_of(self, text: str) -> str:
        """An id as it is, and that of an e-mail address; raises PersonUnknownError if nobody has it now."""


class CommandSender(Protocol):
    """Sends signed commands to agents."""

    def send_command(
        self, agent_id: AgentId, command: Command, lifetime: timedelta = COMMAND_LIFETIME
    ) -> None:
        """Sign a command and send it."""

    def sign(self, agent_id: AgentId, command: Command, lifetime: timedelta = COMMAND_LIFETIME) -> str:
        """The command's token."""

    def send(self, agent_id: AgentId, token: str) -> None:
        """Send a token to its agent."""


class ChangeNotifier(Protocol):
    """Tells whoever looks at a transfer that it has changed."""

    def announce(self, transfer_id: TransferId) -> None: ...


class EventPublisher(Protocol):
    """Tells the world what has happened."""

    def publish(self, fact: TransferRequested | TransferFinished | AgentWentSilent) -> None: ...
