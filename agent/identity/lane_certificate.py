"""The agent's lane certificate: self-signed, valid for ten years; peers compare its exact bytes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from agent.files.disk import atomic_write

CERTIFICATE_LIFETIME = timedelta(days=3650)
KEY, CERTIFICATE = "lane.key", "lane.pem"
_OWNER_ONLY = 0o600


@dataclass(frozen=True)
class Identity:
    """Paths of a lane's key and certificate."""

    key: Path
    certificate: Path

    def named(self, _fingerprint: str | None) -> "Identity":
        """Return this identity, for a host that has no other."""
        return self


class Identities(Protocol):
    """All identities of a host: the newest, and older ones that hops still use."""

    def named(self, fingerprint: str | None) -> Identity:
        """Return the identity that peers were told to expect; the newest if it is unknown."""
        ...


def load(folder: Path) -> Identity:
    """Return the paths in a folder, whether the files exist or not."""
    return Identity(folder / KEY, folder / CERTIFICATE)


def ensure(folder: Path) -> Identity:
    """Return the identity in a folder; create it if missing, with a key only its owner can read."""
    identity = load(folder)
    if not (identity.key.exists() and identity.certificate.exists()):
        _make(identity)
    return identity


def _make(identity: Identity) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"crosshaul lane {serial:x}"[:64])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + CERTIFICATE_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    atomic_write(identity.key, pem, _OWNER_ONLY)  # first: a key without its certificate is replaced
    atomic_write(identity.certificate, certificate.public_bytes(serialization.Encoding.PEM), _OWNER_ONLY)
