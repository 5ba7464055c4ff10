"""Register this host: create a key pair, obtain a certificate, and write all files or none.

Everything is prepared in a temporary folder. Only a complete answer is moved to the state directory, the
record last; a failure before that leaves nothing behind, and the same token can be tried again.
"""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from agent import VERSION
from agent.backoff import Backoff
from agent.cloud import api
from agent.cloud.http import ApiProblem, is_protected
from agent.errors import HostError
from agent.files.disk import sync_directory
from agent.identity import lane_certificate
from agent.identity.keys import Generation, Keyring, forget_all
from agent.identity.registration import SECRET, Files, Registration, is_registered
from agent.quarantine import Quarantine
from events.requests import ROUTE_NAMES, RegisterRequest, RenewalRequest
from events.views import RegisteredView

SendRequest = Callable[[str, RegisterRequest], RegisteredView]
"""Sends a registration to the API at a URL."""
Describe = Callable[[Files], dict[str, object]]
"""Creates the lane's identity in a folder; returns RegisterRequest's fields about this host."""

_MAX_RETRIES = 5
_RETRY_BACKOFF = Backoff(first_s=1.0, max_s=16.0)
_RETRYABLE_CODES = {"stale"}
"""Problem codes after which a registration is sent again."""


class HostEnrollment:
    """Registers the host that has this state directory."""

    def __init__(
        self,
        state: Path,
        describe: Describe,
        send: SendRequest = api.register,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._state = state
        self._describe = describe
        self._send = send
        self._sleep = sleep

    def register(
        self, api_url: str, token: str, *, name: str | None = None, force: bool = False
    ) -> Registration:
        """Make this host an agent.

        `name` is a requested name, for tokens that allow one. `force` replaces an earlier registration.

        Raises:
            HostError: the host is not registered; it says what to do.
        """
        if not is_protected(api_url):
            raise HostError(
                f"{api_url} would get the token in plain text", "give an address that begins with https://"
            )
        files = Files(self._state)
        if is_registered(files) and not force:
            raise HostError(
                f"this host is registered already: {files.registration_file}",
                "add --force to replace the registration",
            )
        with _staging(self._state) as staged:
            csr = make_device_key(staged.device_key)
            request = _request(token=token, agent_id=name, csr=csr, version=VERSION, **self._describe(staged))
            registration = _store(staged, api_url, self._send_or_explain(api_url, request))
            _install(staged, files)
        return registration

    def _send_or_explain(self, api_url: str, request: RegisterRequest) -> RegisteredView:
        try:
            return self._send_with_retry(api_url, request)
        except ApiProblem as problem:
            raise HostError(
                f"the control plane refused: {problem.details.detail}",
                problem.details.advice or "ask an administrator for a new token",
            ) from problem
        except httpx.ProxyError as error:
            raise HostError(
                f"the proxy does not let {api_url} through: {error}",
                "correct proxy and proxy_credentials in agent.toml, or the list of names in the proxy",
            ) from error
        except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise HostError(
                f"{api_url} does not answer: {error}",
                "check the address given by --api and this host's network",
            ) from error
        except ValueError as error:
            raise HostError(
                f"{api_url} answers, but is not a Crosshaul API", "check the address given by --api"
            ) from error

    def _send_with_retry(self, api_url: str, request: RegisterRequest) -> RegisteredView:
        """Send the registration again after temporary failures.

        Two hundred hosts that join at the same time exceed AWS's limits. The delays are random, so that the
        hosts do not collide again.
        """
        for retries in range(_MAX_RETRIES):
            try:
                return self._send(api_url, request)
            except ApiProblem as problem:
                if not (problem.problem.retryable or problem.problem.code in _RETRYABLE_CODES):
                    raise
            self._sleep(_RETRY_BACKOFF.delay_s(retries) * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
        return self._send(api_url, request)


@contextmanager
def _staging(state: Path) -> Iterator[Files]:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".registering-", dir=state))
    except OSError as error:
        raise HostError(
            f"{state} cannot be written to: {error.strerror}", "run as root or as the agent's user"
        ) from error
    try:
        yield Files(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_device_key(path: Path) -> str:
    """Write a new private key; return its certificate signing request, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    write_secret(path, pem)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crosshaul agent")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _request(**fields: object) -> RegisterRequest:
    try:
        return RegisterRequest.model_validate(fields)
    except ValidationError as error:
        if "agent_id" not in {part["loc"][0] for part in error.errors()}:
            raise
        raise HostError(
            f"{fields['agent_id']!r} is not a valid agent name",
            f"use lower-case letters, digits and hyphens, and not {' or '.join(sorted(ROUTE_NAMES))}",
        ) from error


def _store(staged: Files, api_url: str, view: RegisteredView) -> Registration:
    write_secret(staged.device_certificate, view.certificate.encode())
    write_secret(staged.api_key, view.api_key.encode())
    if view.mqtt_ca:
        write_secret(staged.ca, view.mqtt_ca.encode())
    registration = Registration(
        agent_id=view.agent_id,
        thing=view.thing,
        api_url=api_url,
        stage=view.stage,
        mqtt_host=view.mqtt_host,
        mqtt_port=view.mqtt_port,
        verification_keys=view.verification_keys,
        registered_at=datetime.now(UTC),
    )
    write_secret(staged.registration_file, registration.model_dump_json(indent=2).encode())
    return registration


def _install(staged: Files, files: Files) -> None:
    """Move the prepared files to the state directory.

    The record is deleted first and written last: it never exists beside the keys of another registration.
    """
    paths = sorted(staged.folder.iterdir(), key=lambda path: path == staged.registration_file)
    for name in ("registration.json", *(path.name for path in paths)):
        target = files.folder / name
        if target.is_dir() and not target.is_symlink():
            Quarantine(files.folder).move(target, "it is not a file")
    files.registration_file.unlink(missing_ok=True)
    files.ca.unlink(missing_ok=True)
    forget_all(files.folder)
    for suffix in ("", "-wal", "-shm"):  # the earlier registration's work
        with suppress(IsADirectoryError):
            files.journal.with_name(files.journal.name + suffix).unlink(missing_ok=True)
    sync_directory(files.folder)
    for path in paths:
        path.replace(files.folder / path.name)
    sync_directory(files.folder)


def write_secret(path: Path, content: bytes) -> None:
    """Create a file that only its owner can read, and sync it to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def renew(keyring: Keyring, agent_id: str, client: httpx.Client) -> Generation:
    """Create a new generation of keys, with the control plane's certificate, beside the one in use.

    A kill at any moment leaves no incomplete generation. Raises HostError if no certificate is issued.
    """
    staged, current = keyring.stage(), keyring.current
    csr = make_device_key(staged.device_key)
    lane_certificate.ensure(staged.folder)
    request = RenewalRequest(csr=csr, certificate=current.fingerprint)
    try:
        view = api.renew(client, agent_id, keyring.api_keys, request)
    except ApiProblem as problem:
        raise HostError(
            f"the control plane refused: {problem.details.detail}", problem.details.advice
        ) from problem
    except httpx.TransportError as error:
        raise HostError(f"the API does not answer: {error}", "none needed: the agent tries again") from error
    write_secret(staged.device_certificate, view.certificate.encode())
    write_secret(staged.api_key, view.api_key.encode())
    return keyring.promote(staged)
