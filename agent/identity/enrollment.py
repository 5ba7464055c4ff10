"""Registering this host: a key pair made here, a certificate from the control plane, files all or none.

Everything is prepared in a folder beside its place first. Only a complete answer puts it there, the record
last; whatever fails before leaves nothing behind, and the same token can be tried again.
"""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from agent import VERSION
from agent.cloud import api
from agent.cloud.http import ApiProblem
from agent.errors import HostError
from agent.files.disk import sync_directory
from agent.identity import lane_certificate
from agent.identity.keys import Generation, Keyring, forget_all
from agent.identity.registration import SECRET, Files, Registration, is_registered
from events.requests import RegisterRequest, RenewalRequest
from events.views import RegisteredView

Ask = Callable[[str, RegisterRequest], RegisteredView]
Describe = Callable[[Files], dict[str, object]]
"""Makes the lane's identity in the given folder; returns RegisterRequest's fields about this host."""

_RETRY_DELAYS_S = (1, 2, 4, 8, 16)
"""Seconds, before each further try."""
_BUSY = {"stale"}


def register(
    state: Path,
    api_url: str,
    token: str,
    *,
    describe: Describe,
    name: str | None = None,
    force: bool = False,
    ask: Ask = api.register,
    wait: Callable[[float], None] = time.sleep,
) -> Registration:
    """Make this host an agent; HostError says what to do. `name` is a wish, for tokens that leave a choice.
    `force` replaces an earlier registration."""
    files = Files(state)
    if is_registered(files) and not force:
        raise HostError(
            f"this host is registered already: {files.record}", "add --force to replace the registration"
        )
    with _staging(state) as staged:
        csr = make_device_key(staged.device_key)
        request = _request(token=token, agent_id=name, csr=csr, version=VERSION, **describe(staged))
        answer = _answer(partial(_with_retry, ask, wait), api_url, request)
        registration = _store(staged, api_url, answer)
        _install(staged, files)
    return registration


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
        if "agent_id" not in {one["loc"][0] for one in error.errors()}:
            raise
        raise HostError(
            f"no agent can be called {fields['agent_id']!r}", "use small letters, digits and dashes"
        ) from error


def _with_retry(
    ask: Ask, wait: Callable[[float], None], api_url: str, request: RegisterRequest
) -> RegisteredView:
    """Ask again where it may go better: two hundred hosts that join at once are more than AWS takes at once.
    Each waits for another time, so that they do not meet again."""
    for pause in _RETRY_DELAYS_S:
        try:
            return ask(api_url, request)
        except ApiProblem as problem:
            if not (problem.problem.retryable or problem.problem.code in _BUSY):
                raise
        wait(pause * random.uniform(0.5, 1.5))  # noqa: S311 - nothing secret
    return ask(api_url, request)


def _answer(ask: Ask, api_url: str, request: RegisterRequest) -> RegisteredView:
    try:
        return ask(api_url, request)
    except ApiProblem as problem:
        raise HostError(
            f"the control plane refused: {problem.details.detail}",
            problem.details.advice or "ask an administrator for a new token",
        ) from problem
    except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise HostError(
            f"{api_url} does not answer: {error}", "check the address given by --api and this host's network"
        ) from error
    except ValueError as error:
        raise HostError(
            f"{api_url} answers, but not as Crosshaul does", "check the address given by --api"
        ) from error


def _store(staged: Files, api_url: str, answer: RegisteredView) -> Registration:
    write_secret(staged.device_certificate, answer.certificate.encode())
    write_secret(staged.api_key, answer.api_key.encode())
    if answer.mqtt_ca:
        write_secret(staged.ca, answer.mqtt_ca.encode())
    registration = Registration(
        agent_id=answer.agent_id,
        thing=answer.thing,
        api_url=api_url,
        stage=answer.stage,
        mqtt_host=answer.mqtt_host,
        mqtt_port=answer.mqtt_port,
        verification_keys=answer.verification_keys,
        registered_at=datetime.now(UTC),
    )
    write_secret(staged.record, registration.model_dump_json(indent=2).encode())
    return registration


def _install(staged: Files, files: Files) -> None:
    """Unregistered first, registered last: at no moment is there a record beside another's keys."""
    files.record.unlink(missing_ok=True)
    files.ca.unlink(missing_ok=True)
    forget_all(files.folder)
    sync_directory(files.folder)
    for path in sorted(staged.folder.iterdir(), key=lambda path: path == staged.record):
        path.replace(files.folder / path.name)
    sync_directory(files.folder)


def write_secret(path: Path, content: bytes) -> None:
    """A new file that only its owner can read, on the disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def renew(ring: Keyring, agent_id: str, client: httpx.Client) -> Generation:
    """A new generation of this host's keys, with the control plane's certificate, beside the one in use;
    HostError if it is not given one. Killed at any moment, this leaves nothing that counts."""
    staged, now = ring.stage(), ring.current
    csr = make_device_key(staged.device_key)
    lane_certificate.ensure(staged.folder)
    request = RenewalRequest(csr=csr, certificate=now.fingerprint)
    try:
        answer = api.renew(client, agent_id, ring.api_keys, request)
    except ApiProblem as problem:
        raise HostError(
            f"the control plane refused: {problem.details.detail}", problem.details.advice
        ) from problem
    except httpx.TransportError as error:
        raise HostError(f"the API does not answer: {error}", "nothing: it is tried again") from error
    write_secret(staged.device_certificate, answer.certificate.encode())
    write_secret(staged.api_key, answer.api_key.encode())
    return ring.add(staged)
