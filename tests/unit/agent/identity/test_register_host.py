"""Registration: all files or none, and never over an earlier registration without --force."""

import json
import stat
import time
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent.cloud import api
from agent.cloud.http import ApiProblem
from agent.errors import HostError
from agent.identity import enrollment
from agent.identity.keys import Generation, Keyring
from agent.identity.registration import Files, RegistrationOutdatedError, read_registration
from events.reports import Capabilities
from events.views import ProblemDetails, RegisteredView
from tests.support.fakes_agent import AGENT, THING, Signer

TOKEN = "t" * 32
STALE = "urn:crosshaul:problem:stale"
API = "http://api.execute-api.localhost:4566/local"


def registered_view(**changes) -> RegisteredView:
    return RegisteredView(
        agent_id=AGENT,
        thing=THING,
        stage="local",
        certificate="CERT",
        mqtt_host="127.0.0.1",
        mqtt_port=8883,
        mqtt_ca="CA",
        api_key="secret-key",
        verification_keys=(Signer().jwk,),
    ).model_copy(update=changes)


def describe(staged: Files) -> dict:
    """Return the host's fields like the real function, with a lane identity of two plain files."""
    enrollment.write_secret(staged.lane_key, b"LANE KEY")
    enrollment.write_secret(staged.lane_certificate, b"LANE PEM")
    return {
        "hostname": "b",
        "capabilities": Capabilities(),
        "endpoints": ("127.0.0.1:1",),
        "lane_certificate": "LANE PEM",
        "roots": (),
    }


def refuse(_url, _request):
    details = ProblemDetails(
        type="urn:crosshaul:problem:token-spent",
        title="Gone",
        status=410,
        detail="the token was used before",
        advice="ask for a new one",
    )
    raise ApiProblem(details)


def unreachable(_url, _request):
    raise httpx.ConnectError("connection refused")


def nonsense(_url, _request):
    return RegisteredView.model_validate_json("{}")


class FakeControlPlane:
    """A control plane that records the requests."""

    def __init__(self, view: RegisteredView | None = None) -> None:
        self.view = view or registered_view()
        self.requests = []

    def __call__(self, url, request):
        self.requests.append(request)
        return self.view


def register(state: Path, send, *, sleep=time.sleep, api_url=API, **options):
    return enrollment.HostEnrollment(state, describe, send, sleep).register(api_url, TOKEN, **options)


@pytest.mark.parametrize(
    "api_url",
    [
        "http://api.example.org/v1",
        "http://127.0.0.1.example.org/v1",
        "http://localhost.example.org/v1",
        "http://127.0.0.1@example.org/v1",
        "http://10.0.0.5/v1",
        "ftp://127.0.0.1/v1",
        "api.example.org/v1",
        "http://[",
    ],
)
def test_the_token_is_sent_to_no_address_where_others_could_read_it(tmp_path, api_url):
    control_plane = FakeControlPlane()
    with pytest.raises(HostError, match="in plain text") as caught:
        register(tmp_path / "state", control_plane, api_url=api_url)
    assert "https://" in caught.value.advice
    assert control_plane.requests == []


@pytest.mark.parametrize(
    "api_url", ["https://api.example.org/v1", "http://127.0.0.1:4566/v1", "http://[::1]:4566/v1", API]
)
def test_https_and_this_machine_get_it(tmp_path, api_url):
    assert register(tmp_path / "state", FakeControlPlane(), api_url=api_url).api_url == api_url


def test_the_private_key_never_leaves_and_the_csr_fits_it(tmp_path):
    control_plane = FakeControlPlane()
    register(tmp_path / "state", control_plane)
    files = Files(tmp_path / "state")
    key = serialization.load_pem_private_key(files.device_key.read_bytes(), None)
    csr = x509.load_pem_x509_csr(control_plane.requests[0].csr.encode())
    assert csr.is_signature_valid
    assert csr.public_key() == key.public_key()
    assert key.curve.name == "secp256r1"
    assert "PRIVATE" not in control_plane.requests[0].model_dump_json()


def test_everything_is_written_for_the_owner_only(tmp_path):
    state = tmp_path / "deep" / "state"
    register(state, FakeControlPlane())
    names = {path.name for path in state.iterdir()}
    assert names == {
        "device.key", "device.pem", "ca.pem", "lane.key", "lane.pem", "api.key", "registration.json"
    }  # fmt: skip
    assert {stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()} == {0o600}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    registration = read_registration(Files(state))
    assert (registration.agent_id, registration.api_url) == (AGENT, API)
    assert "secret-key" not in Files(state).registration_file.read_text()


@pytest.mark.parametrize(
    ("send", "text"),
    [
        (refuse, "the control plane refused: the token was used before"),
        (unreachable, "does not answer"),
        (nonsense, "is not a Crosshaul API"),
    ],
)
def test_a_failure_leaves_nothing_and_can_be_repeated(tmp_path, send, text):
    with pytest.raises(HostError, match=text) as caught:
        register(tmp_path / "state", send)
    assert caught.value.advice
    assert list((tmp_path / "state").iterdir()) == []
    register(tmp_path / "state", FakeControlPlane())


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "about:blank"), (500, "urn:crosshaul:problem:internal"), (409, STALE)]
)
def test_a_busy_control_plane_is_asked_again_after_a_delay(tmp_path, status, kind):
    """The delays are random."""
    control_plane, delays, refusals = FakeControlPlane(), [], [3]

    def busy(url, request):
        if refusals[0]:
            refusals[0] -= 1
            raise ApiProblem(ProblemDetails(type=kind, title="Busy", status=status, detail="busy"))
        return control_plane(url, request)

    register(tmp_path / "state", busy, sleep=delays.append)
    assert len(control_plane.requests) == 1
    assert 0.5 <= delays[0] <= 1.5
    assert 2 <= delays[2] <= 6
    assert len(delays) == 3


def test_retries_are_limited_and_a_refusal_is_not_retried(tmp_path):
    attempts = []

    def down(_url, _request):
        attempts.append(1)
        raise ApiProblem(ProblemDetails(type="about:blank", title="Bad", status=502, detail="down"))

    with pytest.raises(HostError, match="down"):
        register(tmp_path / "state", down, sleep=lambda _: None)
    assert len(attempts) == 6
    with pytest.raises(HostError, match="used before"):
        register(tmp_path / "state", refuse, sleep=lambda _: pytest.fail("a refusal must not be retried"))


def test_a_host_may_request_a_name(tmp_path):
    control_plane = FakeControlPlane()
    register(tmp_path / "a", control_plane, name="render-7")
    register(tmp_path / "b", control_plane)
    assert [request.agent_id for request in control_plane.requests] == ["render-7", None]
    for name in ("Render 7", "register"):
        with pytest.raises(HostError, match="is not a valid agent name"):
            register(tmp_path / "c", control_plane, name=name)


def test_an_earlier_registration_is_not_overwritten(tmp_path):
    register(tmp_path, FakeControlPlane())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    control_plane = FakeControlPlane()
    with pytest.raises(HostError, match="registered already"):
        register(tmp_path, control_plane)
    assert control_plane.requests == []
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_new_registration_deletes_every_generation_of_keys(tmp_path):
    register(tmp_path, FakeControlPlane())
    later = tmp_path / "keys-20261126T000000000000Z"
    later.mkdir()
    Keyring(tmp_path).use(Generation(later))
    assert Files(tmp_path).device_key == tmp_path / "keys/device.key"
    register(tmp_path, FakeControlPlane(), force=True)
    assert Files(tmp_path).device_key.exists()
    assert not list(tmp_path.glob("keys*"))


def test_a_failed_replacement_keeps_the_earlier_registration(tmp_path):
    register(tmp_path, FakeControlPlane())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(HostError):
        register(tmp_path, refuse, force=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_force_replaces_all_of_it(tmp_path):
    register(tmp_path, FakeControlPlane())
    old = Files(tmp_path).device_key.read_bytes()
    register(tmp_path, FakeControlPlane(registered_view(agent_id="server-z", mqtt_ca=None)), force=True)
    assert read_registration(Files(tmp_path)).agent_id == "server-z"
    assert Files(tmp_path).device_key.read_bytes() != old
    assert not Files(tmp_path).ca.exists()


def test_a_state_directory_that_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot be written to"):
        register(tmp_path / "file" / "state", FakeControlPlane())


def test_a_damaged_record_is_reported(tmp_path):
    Files(tmp_path).registration_file.write_text(json.dumps({"agent_id": 7}))
    with pytest.raises(HostError, match="damaged") as caught:
        read_registration(Files(tmp_path))
    assert "--force" in caught.value.advice


def test_a_record_of_an_earlier_version_advises_to_enroll_again(tmp_path):
    """The record lacks the agent's name in IoT Core, and the agent does not guess it."""
    register(tmp_path, FakeControlPlane())
    record = Files(tmp_path).registration_file
    earlier = json.loads(record.read_text())
    del earlier["thing"]
    record.write_text(json.dumps(earlier))
    with pytest.raises(RegistrationOutdatedError, match="earlier version") as caught:
        read_registration(Files(tmp_path))
    assert "agents enroll" in caught.value.advice
    register(tmp_path, FakeControlPlane(), force=True)
    assert read_registration(Files(tmp_path)).thing == THING


def test_cloud_register_posts_to_the_stage(monkeypatch):
    seen = []

    def control_plane(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, str(request.url), json.loads(request.content)["token"]))
        return httpx.Response(201, content=registered_view().model_dump_json())

    transport = httpx.MockTransport(control_plane)
    monkeypatch.setattr(api.http, "client", lambda url: httpx.Client(base_url=url, transport=transport))
    body = {
        "token": TOKEN, "csr": "CSR", "hostname": "b", "version": "1", "capabilities": Capabilities(),
        "endpoints": (), "lane_certificate": "PEM", "roots": (),
    }  # fmt: skip
    view = api.register(API, api.RegisterRequest.model_validate(body))
    assert view.agent_id == AGENT
    assert seen == [("POST", f"{API}/agents/register", TOKEN)]
