"""What a publisher signs about a release, apart from the control plane's commands.

It travels as a JWT (EdDSA, Ed25519). The key belongs to the person who publishes, and is never in AWS;
root's updater on each host has pinned the public half. So neither a stolen control plane nor a stolen KMS key
can make a host install anything else.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from events import forms
from events.base import EpochSeconds, Fingerprint, Message, Version

ISSUER: Literal["crosshaul-publisher"] = "crosshaul-publisher"

ReleaseKey = Annotated[str, StringConstraints(pattern=forms.RELEASE_KEY)]
"""Public half of an Ed25519 key: its 32 bytes in base64url, like `x` of a JWK (RFC 8037)."""

SignedRelease = Annotated[str, StringConstraints(pattern=forms.SIGNED_RELEASE)]
"""A JWT whose claims are a `PublishedRelease`."""


UnitName = Literal["crosshaul-agent.service", "crosshaul-update.service", "crosshaul-update.path"]
"""The systemd units of a host: the agent's, and the updater's two."""


class PublishedRelease(Message):
    """Claims of a signed release: everything that root runs or installs for it, by digest."""

    iss: Literal["crosshaul-publisher"] = ISSUER
    iat: EpochSeconds
    """When it was signed: a host never returns to a release that was signed before the one it has."""
    version: Version
    script: Fingerprint
    """SHA-256 of the install script."""
    package: Fingerprint
    """SHA-256 of the wheel."""
    lock: Fingerprint
    """SHA-256 of the agent's lock file."""
    units: dict[UnitName, Fingerprint]
    """SHA-256 of each systemd unit."""
    rclone: Annotated[tuple[Fingerprint, ...], Field(max_length=8)] = ()
    """SHA-256 of the rclone program, one for each platform."""
    next_key: ReleaseKey | None = None
    """The key that will sign later releases: hosts that have this release trust it, too."""
