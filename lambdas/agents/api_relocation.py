"""Move agents from former addresses of the API to the one that the stage was deployed with."""

from events.base import AgentId
from events.commands import Relocate
from lambdas.ports import CommandSender
from lambdas.telemetry import logger


class ApiRelocation:
    """Tells agents that use a former address of the API its current one.

    An address that is not this stage's is left alone: an administrator has chosen it, a proxy for example.
    """

    def __init__(self, commands: CommandSender, current: str, former: tuple[str, ...]) -> None:
        """Take the current address, '' if agents keep the one that they have, and the former ones."""
        self._commands = commands
        self._current = current
        self._former = former

    def record_heartbeat(self, agent_id: AgentId, used: str | None) -> None:
        """Send the current address to an agent that reports a former one."""
        if not self._current or used is None:
            return
        address = used.rstrip("/")
        if address != self._current and address in self._former:
            logger.info("agent moved to another address", extra={"agent_id": agent_id, "from": address})
            self._commands.send_command(agent_id, Relocate(api_url=self._current))
