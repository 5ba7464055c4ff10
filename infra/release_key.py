"""The key that signs releases, in a file that only the publisher has.

It is outside the repository, and never in AWS.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.utils import base64url_encode
from pydantic import TypeAdapter, ValidationError

from events.releases import PublishedRelease, ReleaseKey
from infra import REPOSITORY
from infra.kit import Kit

_OTHERS = 0o077
"""Permissions of other accounts."""


class ReleaseKeyError(RuntimeError):
    """The file is not a release key, or not only the publisher has it."""


@dataclass(frozen=True)
class ReleaseSigner:
    """Signs releases with the present key, and announces the next one."""

    key: Ed25519PrivateKey
    next_key: ReleaseKey | None = None

    @property
    def public_keys(self) -> tuple[ReleaseKey, ...]:
        """Return the keys that a host trusts which is installed from a release of this signer."""
        own = public_half(self.key.public_key())
        return (own, self.next_key) if self.next_key else (own,)

    def sign(self, kit: Kit) -> str:
        """Return the signed release: a JWT with everything that a host installs for it, by digest."""
        release = PublishedRelease(
            iat=kit.released_at,
            version=kit.version,
            script=kit.script_digest,
            package=kit.package_digest,
            lock=kit.lock_digest,
            units=kit.unit_digests,
            rclone=kit.rclone_digests,
            next_key=self.next_key,
        )
        return jwt.encode(release.model_dump(mode="json"), self.key, algorithm="EdDSA")


def public_half(key: Ed25519PublicKey) -> ReleaseKey:
    """Return a public key as the install script and the hosts write it."""
    return base64url_encode(key.public_bytes_raw()).decode()


def create(file: Path) -> ReleaseKey:
    """Create a key in a new file and return its public half.

    Raises:
        ReleaseKeyError: The file exists or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ReleaseKeyError(f"{file} cannot be created: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    return public_half(key.public_key())


def read(file: Path, next_key: str | None = None) -> ReleaseSigner:
    """Return the signer with the key of a file.

    Raises:
        ReleaseKeyError: It is not an Ed25519 key, or other accounts may read it; or `next_key` is not a
            public key.
    """
    try:
        if file.stat().st_mode & _OTHERS:
            raise ReleaseKeyError(f"other accounts may read {file}: chmod 600 {file}")
        key = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ReleaseKeyError(f"{file} cannot be used as a release key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ReleaseKeyError(f"{file} is not an Ed25519 key: make one with `python -m infra.publish keygen`")
    return ReleaseSigner(key, _checked(next_key) if next_key else None)


def _checked(text: str) -> ReleaseKey:
    try:
        key: ReleaseKey = TypeAdapter(ReleaseKey).validate_python(text)
    except ValidationError as error:
        raise ReleaseKeyError(f"{text} is not the public half of a release key") from error
    return key


def require_outside(file: Path) -> None:
    """Raise ReleaseKeyError if the file is inside the repository, where others could get it."""
    if file.resolve().is_relative_to(REPOSITORY.resolve()):
        raise ReleaseKeyError(
            f"{file} is inside the repository: keep the key where only the publisher has it"
        )
