"""Cognito's side of SRP by RFC 5054, written independently of the code that it tests."""

import base64
import hashlib
import hmac
import secrets

from agent.cli.srp import G, N

SALT = "0f" * 16


def _signed(number: int) -> bytes:
    digits = f"{number:x}"
    digits = "0" * (len(digits) % 2) + digits
    return bytes.fromhex("00" + digits if digits[0] in "89abcdef" else digits)


def _hash(*parts: bytes) -> int:
    return int(hashlib.sha256(b"".join(parts)).hexdigest(), 16)


class Verifier:
    """The server's side of one sign-in attempt."""

    def __init__(self, pool_id: str, user: str, password: str, client: str) -> None:
        self._pool, self._user, self._client = pool_id.split("_")[1], user, int(client, 16)
        inner = hashlib.sha256(f"{self._pool}{user}:{password}".encode()).digest()
        self._verifier = pow(G, _hash(_signed(int(SALT, 16)), inner), N)
        self._secret = secrets.randbits(1024)
        self._public = (_hash(_signed(N), _signed(G)) * self._verifier + pow(G, self._secret, N)) % N
        self._block = base64.b64encode(secrets.token_bytes(64)).decode()

    @property
    def asked(self) -> dict[str, str]:
        return {
            "SALT": SALT,
            "SRP_B": f"{self._public:x}",
            "SECRET_BLOCK": self._block,
            "USERNAME": self._user,
            "USER_ID_FOR_SRP": self._user,
        }

    def is_right(self, given: dict[str, str]) -> bool:
        scrambling = _hash(_signed(self._client), _signed(self._public))
        shared = pow(self._client * pow(self._verifier, scrambling, N), self._secret, N)
        extracted = hmac.new(_signed(scrambling), _signed(shared), "sha256").digest()
        key = hmac.new(extracted, b"Caldera Derived Key\1", "sha256").digest()[:16]
        said = f"{self._pool}{self._user}".encode() + base64.b64decode(self._block)
        wanted = hmac.new(key, said + given["TIMESTAMP"].encode(), "sha256").digest()
        return hmac.compare_digest(base64.b64encode(wanted).decode(), given["PASSWORD_CLAIM_SIGNATURE"])
