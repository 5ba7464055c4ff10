"""Sign commands in KMS as JWTs (ES256, RFC 7515 and 7518) and publish each to its agent.

This is the only place that signs commands, and the only one that sends to agents.
"""

import json
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from events.base import AgentId, KeyId, Message
from events.commands import Claims, Command, CommandEnvelope
from events.topics import Topics
from lambdas.aws.signing_key import SigningKey, encoded
from lambdas.ports import COMMAND_LIFETIME, Clock
from lambdas.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient
    from mypy_boto3_kms import KMSClient


class CommandPublisher:
    """Signs commands with KMS and publishes them over IoT Core."""

    def __init__(
        self,
        *,
        kms: "KMSClient",
        broker: "IoTDataPlaneClient",
        keys: tuple[str, str],
        topics: Topics,
        clock: Clock,
    ) -> None:
        """`keys`: the ARNs of the KMS key that signs, and of the next one."""
        self._broker = broker
        self._current, self._next = (SigningKey(kms, arn) for arn in keys)
        self._topics = topics
        self._clock = clock

    def send_command(
        self, agent_id: AgentId, command: Command, lifetime: timedelta = COMMAND_LIFETIME
    ) -> None:
        """Sign a command and send it."""
        self.send(agent_id, self.sign(agent_id, command, lifetime))

    def sign(self, agent_id: AgentId, command: Command, lifetime: timedelta = COMMAND_LIFETIME) -> str:
        """Return the command's signed token, valid for this agent from now for `lifetime`."""
        now = self._clock()
        claims = Claims(
            aud=agent_id,
            jti=secrets.token_hex(16),
            iat=int(now.timestamp()),
            exp=int((now + lifetime).timestamp()),
            command=command,
        )
        header = {"alg": "ES256", "typ": "JWT", "kid": self._current.kid}
        signing_input = f"{encoded(json.dumps(header).encode())}.{encoded(_json(claims))}"
        return f"{signing_input}.{self._current.sign(signing_input.encode())}"

    def send(self, agent_id: AgentId, token: str) -> None:
        """Publish a token to its agent, QoS 1: a persistent session keeps it while the agent is away."""
        topic = self._topics.commands(self._topics.thing(agent_id))
        self._broker.publish(topic=topic, qos=1, payload=_json(CommandEnvelope(token=token)))

    def cut(self, agent_id: AgentId) -> None:
        """Close the agent's connection and delete its session at the broker.

        For one that is removed, call it after revoking the certificate, which IoT Core alone enforces only
        after minutes. A failure is only logged: nothing else depends on it.
        https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_DeleteConnection.html
        """
        try:
            self._broker.delete_connection(clientId=self._topics.thing(agent_id), cleanSession=True)
        except (ClientError, BotoCoreError) as error:
            answer = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            if answer != "ResourceNotFoundException":
                logger.warning("connection not cut", extra={"agent_id": agent_id, "reason": str(error)})

    def verification_keys(self) -> tuple[dict[str, Any], ...]:
        """Return the JWKs (RFC 7517) with which agents verify commands: the current key and the next."""
        return self._current.jwk(), self._next.jwk()

    @property
    def key_ids(self) -> tuple[KeyId, KeyId]:
        """The `kid` of the current signing key and of the next."""
        return self._current.kid, self._next.kid


def _json(message: Message) -> bytes:
    return message.model_dump_json().encode()
