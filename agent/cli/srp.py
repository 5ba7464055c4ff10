"""Prove the password to Cognito without sending it: Cognito's variant of SRP-6a.

The group is the 3072-bit one of RFC 5054 with generator 2; the hash is SHA-256. The byte encoding of numbers
and the signed message follow Amazon's own client, https://github.com/aws-amplify/amplify-js. The console
implements this protocol in `web/src/session/srp.ts`.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import UTC, datetime

N = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7"
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C"
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
G = 2
_SECRET_BITS = 1024
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class SrpProof:
    """One sign-in attempt: `public` starts it, `answer` responds to Cognito's PASSWORD_VERIFIER challenge."""

    def __init__(self, secret: int | None = None) -> None:
        self._secret = secret or secrets.randbits(_SECRET_BITS)
        self._public = pow(G, self._secret, N)

    @property
    def public(self) -> str:
        return format(self._public, "x")

    def answer(
        self, pool_id: str, challenge: dict[str, str], password: str, now: datetime | None = None
    ) -> dict[str, str]:
        """Return the responses to the challenge.

        Raises:
            KeyError: The challenge lacks a parameter.
            ValueError: The challenge is not valid.
        """
        server = int(challenge["SRP_B"], 16)
        if not server % N:
            raise ValueError("SRP_B is 0")
        user, block = challenge["USER_ID_FOR_SRP"], challenge["SECRET_BLOCK"]
        pool = pool_id.partition("_")[2]
        key = self._key(server, int(challenge["SALT"], 16), f"{pool}{user}:{password}")
        timestamp = _timestamp(now or datetime.now(UTC))
        signed = f"{pool}{user}".encode() + base64.b64decode(block) + timestamp.encode()
        return {
            "USERNAME": user,
            "PASSWORD_CLAIM_SECRET_BLOCK": block,
            "PASSWORD_CLAIM_SIGNATURE": base64.b64encode(_mac(key, signed)).decode(),
            "TIMESTAMP": timestamp,
        }

    def _key(self, server: int, salt: int, identity: str) -> bytes:
        """Return the shared key, which Cognito computes alike only if the password is right."""
        scrambling = _number(_padded(self._public), _padded(server))
        private = _number(_padded(salt), hashlib.sha256(identity.encode()).digest())
        base = server - _number(_padded(N), _padded(G)) * pow(G, private, N)
        shared = pow(base, self._secret + scrambling * private, N)
        extracted = _mac(_padded(scrambling), _padded(shared))
        return _mac(extracted, b"Caldera Derived Key\x01")[:16]


def _padded(number: int) -> bytes:
    """Encode a number as Cognito does: big-endian and signed, so with a zero byte before a set first bit."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _number(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha256(b"".join(parts)).digest(), "big")


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _timestamp(at: datetime) -> str:
    """Return a time as `Thu Nov 26 09:05:01 UTC 2026`, in English whatever the locale."""
    return f"{_DAYS[at.weekday()]} {_MONTHS[at.month - 1]} {at.day} {at:%H:%M:%S} UTC {at.year}"
