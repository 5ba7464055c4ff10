"""Orders to agents: each command signed in KMS as a JWT (ES256, RFC 7515 and 7518) and published to its
agent alone. The only place that signs, and the only one that speaks to agents.
"""

import base64
import json
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from events.base import AgentId, KeyId, Message
from events.commands import Claims, Command, Order
from events.topics import Topics
from lambdas.telemetry import logger
from lambdas.transfers.ports import NUDGE, Clock

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient
    from mypy_boto3_kms import KMSClient

_COORDINATE = 32
"""Bytes of one number on P-256."""


class Fleet:
    def __init__(
        self,
        *,
        kms: "KMSClient",
        broker: "IoTDataPlaneClient",
        keys: tuple[str, str],
        topics: Topics,
        clock: Clock,
    ) -> None:
        """`keys`: the ARNs of the KMS key that signs, and of the one that will be next."""
        self._kms = kms
        self._broker = broker
        self._key_ids = keys
        self._topics = topics
        self._clock = clock

    def order(self, agent_id: AgentId, command: Command, lifetime: timedelta = NUDGE) -> None:
        """Sign a command and send it."""
        self.send(agent_id, self.sign(agent_id, command, lifetime))

    def sign(self, agent_id: AgentId, command: Command, lifetime: timedelta = NUDGE) -> str:
        """The command's token: good for this agent, from now on, for so long."""
        now = self._clock()
        claims = Claims(
            aud=agent_id,
            jti=secrets.token_hex(16),
            iat=int(now.timestamp()),
            exp=int((now + lifetime).timestamp()),
            command=command,
        )
        header = {"alg": "ES256", "typ": "JWT", "kid": self.keys[0]}
        signing_input = f"{_encoded(json.dumps(header).encode())}.{_encoded(_json(claims))}"
        answer = self._kms.sign(
            KeyId=self._key_ids[0],
            Message=signing_input.encode(),
            MessageType="RAW",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        return f"{signing_input}.{_encoded(raw_signature(answer['Signature']))}"

    def send(self, agent_id: AgentId, token: str) -> None:
        """Publish a token to its agent, QoS 1: a persistent session keeps it while the agent is away."""
        self._broker.publish(topic=self._topics.commands(agent_id), qos=1, payload=_json(Order(token=token)))

    def cut(self, agent_id: AgentId) -> None:
        """End its live connection and the session that the broker keeps for it.

        To be called when its certificate is revoked: IoT Core alone would take minutes to notice. A broker
        that will not is logged, since the certificate opens nothing any more, and IoT Core does notice.
        https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_DeleteConnection.html
        """
        try:
            self._broker.delete_connection(clientId=agent_id, cleanSession=True)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                logger.warning("connection not cut", extra={"agent_id": agent_id, "reason": str(error)})

    def verification_keys(self) -> tuple[dict[str, Any], ...]:
        """The JWKs (RFC 7517) with which agents verify what is signed here, now and next."""
        return tuple(
            jwk(self._kms.get_public_key(KeyId=key_id)["PublicKey"], kid)
            for key_id, kid in zip(self._key_ids, self.keys, strict=True)
        )

    @property
    def keys(self) -> tuple[KeyId, KeyId]:
        """The `kid` of the key that signs, and of the one that will be next."""
        now, following = (key_id.rpartition("/")[2] for key_id in self._key_ids)
        return now, following


def jwk(public_key: bytes, kid: str) -> dict[str, Any]:
    """A key of P-256 as KMS gives it (DER, the point at its end) as a JWK."""
    point = public_key[-2 * _COORDINATE :]
    return {
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": "ES256",
        "kid": kid,
        "x": _encoded(point[:_COORDINATE]),
        "y": _encoded(point[_COORDINATE:]),
    }


def raw_signature(der: bytes) -> bytes:
    """KMS's signature (DER: a sequence of two integers) as JOSE has it: r and s, 32 bytes each.

    On P-256 every length fits into one byte (RFC 3279, section 2.2.3).
    """
    r_end = 4 + der[3]
    r, s = der[4:r_end], der[r_end + 2 : r_end + 2 + der[r_end + 1]]
    return b"".join(number.lstrip(b"\0").rjust(_COORDINATE, b"\0") for number in (r, s))


def _json(message: Message) -> bytes:
    return message.model_dump_json().encode()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
