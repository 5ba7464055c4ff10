"""The publisher's keys that root trusts for releases, stored where the agent's account cannot write.

The install script brings them when the host is installed. Later ones are announced by a release that a
trusted key has signed. The keys that sign commands (`pinned_keys`) play no part in this.
"""

import time
from pathlib import Path
from typing import Annotated

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.utils import base64url_decode
from pydantic import Field, ValidationError

from agent.errors import HostError, UpdateError
from agent.files.disk import atomic_write
from agent.problems import UPDATE_AHEAD, UPDATE_OLDER, UPDATE_REFUSED, UPDATE_UNPINNED, UPDATE_UNSIGNED
from events.base import EpochSeconds, Message
from events.commands import UpdateAgent
from events.releases import ISSUER, PublishedRelease, ReleaseKey

PIN = "as root: crosshaul agent pin --release-key KEY, with the key that the publisher names"
_WORLD_READABLE = 0o644
MAX_AHEAD_S = 3600
"""Seconds by which a publisher's clock may be ahead of this host's.

A release that was signed in 2035, by a wrong clock, would bar all others until then.
"""


class TrustedReleases(Message):
    """The contents of releases.json: which releases root installs."""

    keys: Annotated[tuple[ReleaseKey, ...], Field(min_length=1, max_length=4)]
    """Keys of the publisher: the present one, and the next one if a release has announced it."""
    newest: EpochSeconds = 0
    """When the newest release that was kept was signed; releases that were signed before it are refused."""


class PublisherKeys:
    """The pinned keys of one host's publisher."""

    def __init__(self, config: Path) -> None:
        """Use the keys beside agent.toml, whose path is `config`."""
        self.path = config.parent / "releases.json"

    def pin(self, keys: tuple[ReleaseKey, ...], newest: int = 0) -> None:
        """Trust these keys and no others, for releases that were not signed before `newest`.

        Raises HostError if one of them is not a key, or if they cannot be stored.
        """
        try:
            self._write(TrustedReleases(keys=keys, newest=newest))
        except ValidationError as error:
            raise HostError(f"not an Ed25519 public key: {' '.join(keys)}", PIN) from error
        except OSError as error:
            raise HostError(f"{self.path} cannot be written: {error.strerror}", "run as root") from error

    def trusted(self) -> TrustedReleases:
        """Return what is pinned.

        Raises HostError if nothing is pinned.
        """
        try:
            return TrustedReleases.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            raise UpdateError(UPDATE_UNPINNED.problem(detail=f"{self.path} does not exist.")) from None
        except (OSError, ValidationError) as error:
            raise UpdateError(UPDATE_UNPINNED.problem(detail=f"{self.path}: {error}")) from error

    def verify(self, order: UpdateAgent) -> PublishedRelease:
        """Return what the publisher has signed about the ordered version.

        Raises HostError if no pinned key has signed it, if it is about another version or script, or if it
        was signed before the release that this host has.
        """
        return self._verified(order)[0]

    def keep(self, order: UpdateAgent) -> None:
        """Refuse releases signed before this one, and trust the key that it announces.

        Of the earlier keys only the one that signed it stays. Raises HostError like `verify`.
        """
        release, key = self._verified(order)
        keys = (key, release.next_key) if release.next_key else (key,)
        self._write(TrustedReleases(keys=keys, newest=release.iat))

    def _verified(self, order: UpdateAgent) -> tuple[PublishedRelease, ReleaseKey]:
        """Return the release and the key that has signed it."""
        trusted = self.trusted()
        release, key = _signed(order, trusted.keys)
        if (release.version, release.script) != (order.version, order.digest):
            raise UpdateError(UPDATE_REFUSED.problem(version=order.version, signed=release.version))
        if release.iat < trusted.newest:
            raise UpdateError(UPDATE_OLDER.problem(version=order.version))
        if release.iat > time.time() + MAX_AHEAD_S:
            raise UpdateError(UPDATE_AHEAD.problem(version=order.version))
        return release, key

    def _write(self, trusted: TrustedReleases) -> None:
        atomic_write(self.path, trusted.model_dump_json(indent=2).encode(), _WORLD_READABLE)


def _signed(order: UpdateAgent, keys: tuple[ReleaseKey, ...]) -> tuple[PublishedRelease, ReleaseKey]:
    for key in keys:
        try:
            claims = jwt.decode(
                order.release,
                Ed25519PublicKey.from_public_bytes(base64url_decode(key)),
                algorithms=["EdDSA"],
                issuer=ISSUER,
                options={"require": ["iss", "iat"], "verify_iat": False},
            )
            return PublishedRelease.model_validate(claims), key
        except (jwt.PyJWTError, ValidationError):
            continue
    raise UpdateError(UPDATE_UNSIGNED.problem(version=order.version))
