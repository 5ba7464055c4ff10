"""Tokens and API keys, of which only the hash is stored."""

import hashlib
import hmac
import secrets


def new_secret() -> str:
    """Return 256 random bits as URL-safe text."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """Return the SHA-256 digest, hex. A slow hash is not needed for 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def is_secret(secret: str, expected_hash: str | None) -> bool:
    """Return, in constant time, whether the secret has this hash; False if there is none."""
    return hmac.compare_digest(hash_of(secret), expected_hash or hash_of("")) and expected_hash is not None
