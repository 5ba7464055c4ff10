"""Sign commands and audit seals with keys that never leave KMS: ES256 (RFC 7518)."""

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from events.base import KeyId

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_COORDINATE = 32
"""Bytes of one coordinate on P-256."""


class SigningKey:
    """One KMS key (`ECC_NIST_P256`). Only this class calls KMS."""

    def __init__(self, kms: "KMSClient", arn: str) -> None:
        self._kms = kms
        self._arn = arn
        self._jwk: dict[str, Any] | None = None

    @property
    def kid(self) -> KeyId:
        """The key's id in JWT headers, by which verifiers select it."""
        return self._arn.rpartition("/")[2]

    def sign(self, message: bytes) -> str:
        """Return the signature of a message of any length: r and s, base64url.

        KMS signs the message's SHA-256 digest, since it accepts at most 4,096 bytes of a message and most
        commands are longer. https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
        """
        answer = self._kms.sign(
            KeyId=self._arn,
            Message=hashlib.sha256(message).digest(),
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        return encoded(raw_signature(answer["Signature"]))

    def jwk(self) -> dict[str, Any]:
        """Return the public half as a JWK (RFC 7517), which never changes."""
        if self._jwk is None:
            self._jwk = jwk(self._kms.get_public_key(KeyId=self._arn)["PublicKey"], self.kid)
        return self._jwk


def jwk(public_key: bytes, kid: str) -> dict[str, Any]:
    """Convert a P-256 public key from KMS (DER, which ends with the point) to a JWK."""
    point = public_key[-2 * _COORDINATE :]
    return {
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": "ES256",
        "kid": kid,
        "x": encoded(point[:_COORDINATE]),
        "y": encoded(point[_COORDINATE:]),
    }


def raw_signature(der: bytes) -> bytes:
    """Convert a signature from KMS (DER, two integers) to the JOSE form: r and s, 32 bytes each.

    On P-256 every length fits into one byte (RFC 3279, section 2.2.3).
    """
    r_end = 4 + der[3]
    r, s = der[4:r_end], der[r_end + 2 : r_end + 2 + der[r_end + 1]]
    return b"".join(number.lstrip(b"\0").rjust(_COORDINATE, b"\0") for number in (r, s))


def encoded(data: bytes) -> str:
    """Return base64url without padding, as JOSE requires."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
