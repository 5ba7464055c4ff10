"""The agent's lane certificate: self-signed, ten years, known to others by exactly its bytes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from agent.files.disk import atomic_write

CERTIFICATE_LIFETIME = timedelta(days=3650)
KEY, CERTIFICATE = "lane.key", "lane.pem"
_OWN = 0o600


@dataclass(frozen=True)
class Identity:
    """Where key and certificate are."""

    key: Path
    certificate: Path

    def named(self, _fingerprint: str | None) -> "Identity":
        """Of a host that has but this one."""
        return self


class Identities(Protocol):
    """All that a host has: its newest, and older ones that hops still go by."""

    def named(self, fingerprint: str | None) -> Identity:
        """The one that peers were told to expect; the newest if that is not known."""
        ...


def load(folder: Path) -> Identity:
    return Identity(folder / KEY, folder / CERTIFICATE)


def ensure(folder: Path) -> Identity:
    """The identity in `folder`, made if it is not there; the key can be read by its owner only."""
    found = load(folder)
    if not (found.key.exists() and found.certificate.exists()):
        _make(found)
    return found


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
    atomic_write(identity.key, pem, _OWN)  # first: without its certificate it is made anew
    atomic_write(identity.certificate, certificate.public_bytes(serialization.Encoding.PEM), _OWN)
