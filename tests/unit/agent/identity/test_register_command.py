"""`crosshaul agent register` with an API on a socket: sources of the token, and messages."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from agent import host_info
from agent.cli.commands.host import app
from agent.cli.errors import CliError, Exit
from events.requests import RegisterRequest
from events.views import RegisteredView
from tests.support.fakes_agent import AGENT, THING, Signer

TOKEN = "enrol-0123456789-0123456789"


class RecordingApi(ThreadingHTTPServer):
    """Registers every host, and records the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RegistrationHandler)
        self.requests: list[RegisterRequest] = []

    @property
    def url(self) -> str:
        return f"http://abc.execute-api.localhost:{self.server_port}/local"


class RegistrationHandler(BaseHTTPRequestHandler):
    server: RecordingApi

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(RegisterRequest.model_validate_json(body))
        view = RegisteredView(
            agent_id=AGENT,
            thing=THING,
            stage="local",
            certificate="CERT",
            mqtt_host="127.0.0.1",
            mqtt_port=1,
            mqtt_ca="CA",
            api_key="key",
            verification_keys=(Signer().jwk,),
        )
        is_unexpected = self.path != "/local/agents/register" or ".localhost:" not in self.headers["Host"]
        content = view.model_dump_json().encode()
        self.send_response(500 if is_unexpected else 201)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_) -> None:
        """Log nothing."""


@pytest.fixture
def api():
    with RecordingApi() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def register(tmp_path, api, monkeypatch):
    monkeypatch.setattr(host_info, "rclone_version", lambda: "1.75.2")
    monkeypatch.delenv("CROSSHAUL_TOKEN", raising=False)
    config = tmp_path / "agent.toml"
    config.write_text(f'state = "{tmp_path}/state"\n[[roots]]\npath = "/data"\naccess = "ro"\n')

    def run(*arguments, stdin=None, url=api.url):
        command = ["register", "--config", str(config), "--api", url, *arguments]
        return CliRunner().invoke(app, command, input=stdin)

    return run


def cli_error(result) -> CliError:
    assert isinstance(result.exception, CliError), result.exception or result.output
    return result.exception


def test_the_token_from_standard_input(register, api, tmp_path):
    result = register(stdin=f"{TOKEN}\n")
    assert result.exit_code == 0, result.exception
    assert "registered as server-b" in result.output
    [request] = api.requests
    assert (request.token, request.capabilities.rclone) == (TOKEN, "1.75.2")
    assert request.lane_certificate == (tmp_path / "state/lane.pem").read_text()
    assert request.roots[0].path == "/data"
    record = json.loads((tmp_path / "state/registration.json").read_text())
    assert record["agent_id"] == AGENT
    assert TOKEN not in (tmp_path / "state/registration.json").read_text()


def test_the_token_from_a_file(register, api, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    assert register("--token-file", str(tmp_path / "token")).exit_code == 0
    assert api.requests[0].token == TOKEN


def test_the_token_from_the_environment(register, api, monkeypatch):
    monkeypatch.setenv("CROSSHAUL_TOKEN", TOKEN)
    assert register().exit_code == 0
    assert api.requests[0].token == TOKEN


@pytest.mark.parametrize("stdin", ["", "short\n"])
def test_without_a_token_no_request_is_sent(register, api, stdin):
    error = cli_error(register(stdin=stdin))
    assert "not an enrollment token" in error.what
    assert error.code == Exit.REFUSED
    assert api.requests == []


def test_there_is_no_option_for_the_token_itself(register):
    assert register("--token", TOKEN).exit_code == 2


def test_a_second_registration_needs_force(register, api):
    register(stdin=TOKEN)
    assert "registered already" in cli_error(register(stdin=TOKEN)).what
    assert len(api.requests) == 1
    assert register("--force", stdin=TOKEN).exit_code == 0


def test_an_unreachable_api(register, tmp_path):
    error = cli_error(register(stdin=TOKEN, url="http://127.0.0.1:9/local"))
    assert "does not answer" in error.what
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.parametrize("url", ["nonsense", "ftp://x/y", "http://[bad", ""])
def test_an_invalid_address(register, url):
    assert cli_error(register(stdin=TOKEN, url=url)).advice
