"""The key that signs commands is replaced: agents hear of the one that comes next long before it signs."""

from events.base import AgentId, KeyId
from events.commands import PublicKey, Trust
from events.states import CommandKeyStatus
from lambdas.aws.command_publisher import CommandPublisher
from lambdas.domain.agent import command_key_status
from lambdas.telemetry import logger

Kids = tuple[KeyId, ...]


class SigningKeyRollover:
    def __init__(self, fleet: CommandPublisher) -> None:
        self._fleet = fleet

    def record_hello(
        self, agent_id: AgentId, trusts: Kids | None, pinned: Kids | None = None
    ) -> CommandKeyStatus | None:
        """An agent has said which keys it obeys, and which its host's updater does, or has not: if these are
        others than there are, it is told. One that does not obey the key that signs would not heed it."""
        if trusts is None:
            return None
        found = command_key_status(trusts, *self._fleet.keys)
        if found == "none":
            logger.warning("agent obeys no key", extra={"agent_id": agent_id})
        elif any(set(keys) != set(self._fleet.keys) for keys in (trusts, pinned) if keys is not None):
            keys = tuple(PublicKey.model_validate(key) for key in self._fleet.verification_keys())
            self._fleet.send_command(agent_id, Trust(keys=keys))
        return found
