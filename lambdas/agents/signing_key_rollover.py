"""Roll over the key that signs commands: agents learn the next key long before it signs."""

from events.base import AgentId, KeyId
from events.commands import PublicKey, Trust
from events.states import CommandKeyStatus
from lambdas.aws.command_publisher import CommandPublisher
from lambdas.domain.agent import command_key_status
from lambdas.telemetry import logger

KeyIds = tuple[KeyId, ...]


class SigningKeyRollover:
    """Keeps the keys that agents trust up to date with the keys that sign."""

    def __init__(self, publisher: CommandPublisher) -> None:
        self._publisher = publisher

    def record_hello(
        self, agent_id: AgentId, trusted: KeyIds | None, pinned: KeyIds | None = None
    ) -> CommandKeyStatus | None:
        """Record which keys an agent and its host's updater trust; send the current keys if they differ.

        An agent that trusts neither key is only logged, since it would reject the command. Returns None if
        the agent has not reported its keys.
        """
        if trusted is None:
            return None
        status = command_key_status(trusted, *self._publisher.key_ids)
        if status == "none":
            logger.warning(
                "agent rejects all commands: it trusts no signing key", extra={"agent_id": agent_id}
            )
        elif any(set(keys) != set(self._publisher.key_ids) for keys in (trusted, pinned) if keys is not None):
            keys = tuple(PublicKey.model_validate(key) for key in self._publisher.verification_keys())
            self._publisher.send_command(agent_id, Trust(keys=keys))
        return status
