"""Fixtures for the operator's command: a signed-in operator and a fake API on loopback."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli import session
from agent.cli.main import app
from agent.cli.session import Session
from agent.cli.timing import Timing
from tests.support.fakes_api import FakeApi, fake_api

Run = Callable[..., "CommandResult"]


class CommandResult:
    """Output and exit code of a command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.out}\n-- stderr --\n{self.err}"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CROSSHAUL_PASSWORD", "CROSSHAUL_USER", "CROSSHAUL_NEW_PASSWORD", "CROSSHAUL_RESET_CODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CROSSHAUL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as fake:
        yield fake


@pytest.fixture
def timing() -> Timing:
    """Return how long the commands of a test wait."""
    return Timing()


@pytest.fixture
def run(timing: Timing) -> Run:
    def run_(*arguments: str, given: str = "") -> CommandResult:
        done = CliRunner().invoke(app, arguments, input=given, obj=timing)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return CommandResult(done.exit_code, done.stdout, done.stderr)

    return run_


def sign_in(api: FakeApi, *, ends_in: float = 3600) -> None:
    session.save(
        Session(
            url=api.url,
            region="eu-central-1",
            client_id="client",
            endpoint=api.cognito,
            user="ana",
            id_token=api.issue(ends_in),
            refresh_token="refresh-1",
        )
    )


@pytest.fixture
def signed_in(api: FakeApi) -> FakeApi:
    sign_in(api)
    return api
