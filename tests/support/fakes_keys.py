"""A host's keys, and a fake control plane that issues certificates for them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.cloud.messages import BrokerEndpoint
from agent.identity import enrollment, lane_certificate
from agent.identity.keys import Generation, Keyring, in_use
from agent.identity.rotation import Rotation, RotationSchedule
from events.certificates import fingerprint
from events.requests import RenewalRequest
from tests.support.fakes_agent import AGENT, FakeLink

QUICK = RotationSchedule(max_age=timedelta(days=90), trial_timeout_s=0.1, retry_interval_s=0.02)


class Authority:
    """Issues certificates and API keys and tracks which are valid.

    Like the control plane, it revokes the old ones when it learns that the new ones are in use.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.good: list[str] = []
        self.api_keys: list[str] = []
        self.asked = 0
        self.away = False

    def certify(self, csr: str) -> str:
        request = x509.load_pem_x509_csr(csr.encode())
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(request.subject).issuer_name(request.subject)
        builder = builder.public_key(request.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=365))
        pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        self.good.append(fingerprint(pem))
        self.api_keys.append(f"key-{len(self.api_keys)}")
        return pem

    def hello(self, certificate: str) -> None:
        assert certificate in self.good
        at = self.good.index(certificate)
        if at:
            self.good, self.api_keys = [certificate], self.api_keys[at:][:1]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.away:
            raise httpx.ConnectError("refused")
        if request.headers["X-Agent-Key"] not in self.api_keys:
            return httpx.Response(401)
        pem = self.certify(RenewalRequest.model_validate_json(request.content).csr)
        return httpx.Response(201, json={"certificate": pem, "api_key": self.api_keys[-1]})

    def renew(self, ring: Keyring) -> Generation:
        with httpx.Client(base_url="http://x/stage", transport=httpx.MockTransport(self)) as client:
            return enrollment.renew(ring, AGENT, client)


def register(folder: Path, authority: Authority) -> Keyring:
    """Return the keyring of a host after registration."""
    folder.mkdir(mode=0o700, exist_ok=True)
    first = Generation(folder)
    if not first.is_whole and in_use(folder) == ".":
        csr = enrollment.make_device_key(first.device_key)
        enrollment.write_secret(first.device_certificate, authority.certify(csr).encode())
        enrollment.write_secret(first.api_key, authority.api_keys[-1].encode())
        lane_certificate.ensure(folder)
    return Keyring(folder)


def endpoint(keys: Generation) -> BrokerEndpoint:
    return BrokerEndpoint("127.0.0.1", 1, AGENT, keys.device_certificate, keys.device_key, None)


def rotation(
    folder: Path, link: FakeLink, authority: Authority | None = None, **differently: Any
) -> Rotation:
    """Return a rotation for a service whose broker is a list."""
    authority = authority or Authority()
    ring = register(folder, authority)
    link.certificate = ring.current.fingerprint
    how: dict[str, Any] = {
        "endpoint": endpoint,
        "renew": authority.renew,
        "registered_at": datetime.now(UTC),
        "schedule": QUICK,
    }
    return Rotation(ring, link, **(how | differently))
