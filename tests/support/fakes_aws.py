"""AWS fakes that enforce the limits which moto ignores."""

from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError, EndpointConnectionError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from infra.local.function_hooks.aws_rules.limits import IOT_PAYLOAD_BYTES

MAX_KMS_MESSAGE_BYTES = 4096
"""https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html"""


class FakeKms:
    """KMS with P-256 keys: signs messages of at most 4,096 bytes, or digests of exactly 32 bytes unhashed.

    moto accepts messages of any length, ignores `MessageType`, and hashes digests once more.
    """

    def __init__(self) -> None:
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.signed: list[int] = []
        """Length of each signed message, in bytes."""

    def create_key(self, *, KeySpec: str, KeyUsage: str) -> dict[str, Any]:  # noqa: N803
        assert (KeySpec, KeyUsage) == ("ECC_NIST_P256", "SIGN_VERIFY")
        arn = f"arn:aws:kms:eu-central-1:123456789012:key/{uuid4()}"
        self._keys[arn] = ec.generate_private_key(ec.SECP256R1())
        return {"KeyMetadata": {"Arn": arn, "KeyId": arn.rpartition("/")[2]}}

    def get_public_key(self, *, KeyId: str) -> dict[str, Any]:  # noqa: N803
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return {"KeyId": KeyId, "PublicKey": self._key(KeyId).public_key().public_bytes(*form)}

    def sign(
        self,
        *,
        KeyId: str,  # noqa: N803
        Message: bytes,  # noqa: N803
        SigningAlgorithm: str,  # noqa: N803
        MessageType: str = "RAW",  # noqa: N803
    ) -> dict[str, Any]:
        key = self._key(KeyId)
        if SigningAlgorithm != "ECDSA_SHA_256":
            raise _refused("InvalidKeyUsageException", f"{SigningAlgorithm} does not go with this key.")
        if len(Message) > MAX_KMS_MESSAGE_BYTES:
            raise _refused(
                "ValidationException",
                "1 validation error detected: Value at 'message' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MAX_KMS_MESSAGE_BYTES}",
            )
        if MessageType == "DIGEST" and len(Message) != hashes.SHA256.digest_size:
            raise _refused(
                "ValidationException", f"Digest is invalid length for algorithm {SigningAlgorithm}."
            )
        how = utils.Prehashed(hashes.SHA256()) if MessageType == "DIGEST" else hashes.SHA256()
        self.signed.append(len(Message))
        return {"KeyId": KeyId, "Signature": key.sign(Message, ec.ECDSA(how))}

    def _key(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        if key_id not in self._keys:
            raise _refused("NotFoundException", f"Key '{key_id}' does not exist")
        return self._keys[key_id]


class FakeBroker:
    """Records what was published and which connections were ended."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.cut: list[dict[str, Any]] = []
        self.refuses: str | None = None
        self.away = False

    def publish(self, **message: Any) -> None:
        if self.away:
            raise EndpointConnectionError(endpoint_url="https://iot.example.com")
        if len(message["payload"]) > IOT_PAYLOAD_BYTES:
            raise _refused("InvalidRequestException", "The payload is too large", "Publish")
        self.published.append(message)

    def delete_connection(self, **which: Any) -> None:
        self.cut.append(which)
        if self.refuses:
            raise _refused(self.refuses, "no", "DeleteConnection")


def _refused(code: str, message: str, operation: str = "Sign") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
