"""Can an agent's version do what is asked? Older ones leave out of a command what they do not know."""

from events.base import Problem
from events.locations import AgentLocation, Location
from events.options import Options
from lambdas.domain.agent import Agent
from lambdas.domain.errors import AgentDeclinedError


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
