"""React: a minute has passed."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from events.base import AgentId
from lambdas import wiring
from lambdas.audit.recording import Deed, Record
from lambdas.domain.deciding import Person
from lambdas.domain.timeline import CROSSHAUL
from lambdas.telemetry import count, entry, logger


@entry
def handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    """Silent agents first: hops are not offered to those again."""
    tell_of_silent_agents()
    wiring.sealing().seal()
    replace_old_keys()
    wiring.sweeping().sweep()


def tell_of_silent_agents() -> None:
    for fact in wiring.agents().sweep(wiring.clock()):
        logger.warning("agent went silent", extra={"agent_id": fact.agent_id})
        count("AgentsWentSilent")
        wiring.bus().tell(fact)


def replace_old_keys() -> None:
    def record(agent_id: AgentId) -> Record:
        deed = Deed(action="agent.rotation-wanted", about=f"agent {agent_id}", agents=(agent_id,))
        return wiring.recording().change(Person(CROSSHAUL), deed)

    wiring.rotating().sweep(wiring.clock(), record)
