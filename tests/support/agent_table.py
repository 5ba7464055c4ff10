"""Write agents into the table as if they had joined."""

from collections.abc import Iterable

from lambdas import adapters
from lambdas.domain.agent import Agent
from lambdas.store.agent_rows import AgentRow, rows_of


def write_agents(agents: Iterable[Agent]) -> None:
    """Write agents in batches; they are not counted."""
    adapters.agent_store()  # binds the rows to the table
    with AgentRow.batch_write() as batch:
        for agent in agents:
            for row in rows_of(agent, "hash"):
                batch.save(row)
