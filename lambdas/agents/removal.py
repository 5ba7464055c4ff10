"""Remove an agent: revoke its identity, and fail the hops that it sends or receives."""

from datetime import datetime
from typing import Protocol

from events.base import Actor, AgentId
from events.commands import Retire
from lambdas.audit.recorder import Record, unrecorded
from lambdas.aws.iot_registry import IotRegistry
from lambdas.domain.hop import Hop
from lambdas.domain.hop_changes import refused
from lambdas.domain.problems import AGENT_REMOVED
from lambdas.ports import ChangeNotifier, CommandSender
from lambdas.store.agents import AgentStore
from lambdas.store.optimistic import retry_stale
from lambdas.store.transfers import TransferStore
from lambdas.telemetry import logger
from lambdas.transfers.writer import TransferWriter, one_hop


class Broker(CommandSender, Protocol):
    """Sends commands, and disconnects agents."""

    def cut(self, agent_id: AgentId) -> None:
        """End its live connection and its session."""


class AgentRemoval:
    """Removes agents with their identity and their open hops."""

    def __init__(
        self,
        *,
        agents: AgentStore,
        registry: IotRegistry,
        broker: Broker,
        transfers: TransferStore,
        writer: TransferWriter,
        consoles: ChangeNotifier,
    ) -> None:
        self._agents = agents
        self._registry = registry
        self._broker = broker
        self._transfers = transfers
        self._writer = writer
        self._consoles = consoles

    def remove_agent(self, agent_id: AgentId, by: Actor, record: Record = unrecorded) -> None:
        """Remove the agent; safe to repeat after a failure.

        The agent's row is deleted after its keys are revoked. Hops that remain open after an interruption
        fail when they are next processed.

        Raises:
            AgentUnknownError: There is no agent of this id.
            StaleError: The agent was written again and again meanwhile.
            ThingForeignError: Its thing is not of this stage; nothing was changed.
        """
        self._agents.get(agent_id)
        self._registry.check_owner(agent_id)
        self._broker.send_command(agent_id, Retire())
        self._registry.deprovision(agent_id)
        self._broker.cut(agent_id)
        retry_stale(lambda: self._delete(agent_id, record), f"Agent {agent_id}")
        self._consoles.announce_agents()
        logger.info("agent removed", extra={"agent_id": agent_id, "by": by.id})
        self._end_hops(agent_id, by)

    def _delete(self, agent_id: AgentId, record: Record) -> None:
        """Delete the agent, whose last messages and the end of its connection may arrive at this moment."""
        agent = self._agents.get(agent_id)
        self._agents.delete_agent(agent, record(agent, None))

    def _end_hops(self, agent_id: AgentId, by: Actor) -> None:
        ended: set[str] = set()
        while remaining := set(self._transfers.open_transfers(agent_id)) - ended:
            for transfer_id in remaining:
                for hop in self._transfers.get(transfer_id).hops:
                    if agent_id in hop.agents and not hop.ended:
                        self._end(transfer_id, hop.number, agent_id, by)
            ended |= remaining

    def _end(self, transfer_id: str, number: int, agent_id: AgentId, by: Actor) -> None:
        problem = AGENT_REMOVED.problem(agent_id=agent_id, person=by.name)

        def step(hop: Hop, now: datetime) -> Hop:
            return refused(hop, problem, now)

        self._writer.change(transfer_id, one_hop(number, step, by))
