"""One environment for all end-to-end tests: embedded cloud, control plane, three agents, real files."""

import gc
import json
import os
import re
import shutil
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from agent.identity.keys import Keyring
from infra.local import cloud as embedded
from infra.local.environment import Environment, running_environment, until, visited_stage
from infra.local.processes import free_port
from infra.local.servers import RunningAgent, Server
from lambdas.store.agent_rows import beat_key
from tests.e2e.api import SignedInApi

SERVERS = {
    "server-b": {"/data": "rw", "/primary": "rw", "/shelf": "ro"},
    "server-c": {"/archive": "rw", "/glacier": "ro"},
    "server-d": {"/backup": "rw"},
}
NAMES = (*SERVERS, "server-e", "up-1", "up-2", "up-3")
"""All agents that the acceptance of a stage enrolls."""
ENDED = {"succeeded", "failed", "partially_failed", "cancelled"}
PAGE_TIMEOUT_MS = 180_000
"""After which what a test waits for on a page is not coming: far more than it takes on a busy machine."""


class Fleet:
    """The three servers, and what tests do with them."""

    def __init__(self, here: Environment, servers: dict[str, Server], api: SignedInApi) -> None:
        self.here, self.servers, self.api = here, servers, api

    def folder(self, location: str) -> Path:
        """Return the local folder of `server-b:/data/x`."""
        name, _, path = location.partition(":")
        return self.servers[name].path(path)

    def s3(self) -> Any:
        """Return an S3 client with the account administrator's rights."""
        return self.here.client("s3")

    def keys(self, name: str) -> Path:
        """Return the folder of an agent's current keys."""
        return Keyring(self.servers[name].state).current.folder

    def command_keys(self, name: str) -> list[str]:
        """Return the command keys that an agent trusts: the current and the next one."""
        record = json.loads((self.servers[name].state / "registration.json").read_text())
        return [key["kid"] for key in record["verification_keys"]]

    def api_key(self, name: str) -> str:
        return (self.keys(name) / "api.key").read_text().strip()

    def agent(self, name: str) -> RunningAgent:
        return self.here.agents[name]

    def status(self, name: str) -> str:
        return str(self.api.get(f"/agents/{name}")["status"])

    def connect(self, name: str) -> None:
        """Start an agent and wait until it is online."""
        self.here.start_agent(self.servers[name])
        until(f"{name} to be online", lambda: self.status(name) == "online")

    def start(self, name: str) -> None:
        """Start an agent and wait until its Hello has been handled."""
        self.connect(name)
        # By its connection alone: what it says of itself may take longer.
        until(f"{name}'s first Hello", lambda: self.api.get(f"/agents/{name}")["certified_at"])

    def stop(self, name: str) -> None:
        self.agent(name).stop()
        until(f"{name} to be offline", lambda: self.status(name) == "offline")

    @contextmanager
    def walled(self, name: str) -> Iterator[None]:
        """Make the agent unreachable: it announces an address where nothing listens."""
        config = self.servers[name].config
        plain = config.read_text()
        self.stop(name)
        changed = re.sub(r"advertise = .*", f'advertise = ["{self.here.access.host}:{free_port()}"]', plain)
        config.write_text(changed)
        try:
            self.start(name)
            yield
        finally:
            self.agent(name).stop()
            config.write_text(plain)
            self.start(name)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Stop the agent's process with its connections left open."""
        process = self.agent(name).process
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def make_late(self, name: str) -> None:
        """Let the agent's heartbeat be overdue, as if the time had passed."""
        tables = boto3.resource("dynamodb", **embedded.client_settings(self.here.cloud))
        [agents] = [table for table in tables.tables.all() if "TablesAgents" in table.name]
        at = datetime.now(UTC) - timedelta(hours=1)
        agents.update_item(
            Key={"agent_id": beat_key(name)},
            UpdateExpression="SET heard_at = :at, silent_at = :at",
            ExpressionAttributeValues={":at": int(at.timestamp() * 1_000_000)},
        )
        self.minute()

    def minute(self) -> None:
        """Invoke the scheduled function now, instead of waiting for the next minute."""
        client = self.here.client("lambda")
        answer = client.invoke(FunctionName=self._each_minute, Payload=b"{}")
        assert "FunctionError" not in answer, answer["Payload"].read()

    @contextmanager
    def without_sweeps(self) -> Iterator[None]:
        """Disable the scheduled function: what happens now does not happen because of it."""
        client = boto3.client("events", **embedded.client_settings(self.here.cloud))
        [name] = [rule["Name"] for rule in client.list_rules()["Rules"] if "EachMinute" in rule["Name"]]
        client.disable_rule(Name=name)
        try:
            yield
        finally:
            client.enable_rule(Name=name)

    def log_of(self, function: str) -> str:
        """Return what the function whose name has this in it has logged."""
        client = boto3.client("logs", **embedded.client_settings(self.here.cloud))
        groups = [one["logGroupName"] for one in client.describe_log_groups()["logGroups"]]
        [group] = [name for name in groups if function in name]
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=group)
        return "\n".join(event["message"] for page in pages for event in page["events"])

    @cached_property
    def _each_minute(self) -> str:
        pages = self.here.client("lambda").get_paginator("list_functions").paginate()
        names = [str(one["FunctionName"]) for page in pages for one in page["Functions"]]
        ours = re.compile(rf"Crosshaul-{self.here.stage}-Functions\w*OnSchedule")
        [name] = [one for one in names if ours.match(one)]
        return name

    def ensure(self) -> None:
        """Make sure that all three agents run, whatever the test before did."""
        for name in self.servers:
            running = self.here.agents.get(name)
            if running is None or running.process.poll() is not None:
                self.start(name)

    def copy(self, source: str, *destinations: str, shape: str = "fan_out", **options: Any) -> str:
        """Request a transfer and return its id."""
        body = {"source": source, "destinations": destinations, "shape": shape, "options": options}
        return str(self.api.post("/transfers", body)["transfer_id"])

    def transfer(self, transfer_id: str) -> dict[str, Any]:
        return self.api.get(f"/transfers/{transfer_id}")

    def until_state(self, transfer_id: str, *states: str) -> dict[str, Any]:
        """Wait until the transfer is in one of these states and return it."""
        found: dict[str, Any] = {}

        def ask() -> bool:
            found.update(self.transfer(transfer_id))
            return bool(found["state"] in states)

        try:
            until(f"{transfer_id} to be {' or '.join(states)}", ask)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self._describe(found)}") from None
        return found

    def _describe(self, transfer: dict[str, Any]) -> str:
        """Describe a transfer and the agents' last log lines, for the message of a failed test."""
        lines = [json.dumps({key: transfer.get(key) for key in ("state", "problem", "hops", "timeline")})]
        for name, agent in self.here.agents.items():
            tail = agent.server.log.read_text(errors="replace").splitlines()[-12:]
            lines += [f"{name} ({agent.process.poll()}):", *tail]
        return "\n".join(lines)

    def until_ended(self, transfer_id: str) -> dict[str, Any]:
        """Wait until the transfer has ended."""
        return self.until_state(transfer_id, *ENDED)

    def until_moving(self, transfer_id: str, destination: str) -> None:
        """Wait until the hop runs and bytes have arrived below the destination."""
        self.until_state(transfer_id, "running")
        folder = self.folder(destination)
        until("bytes to arrive", lambda: any(_holds_bytes(path) for path in folder.rglob("*")))


def _holds_bytes(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_blocks > 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Yield the environment: at the embedded cloud, or at the stage that CROSSHAUL_E2E_STAGE names."""
    home = tmp_path_factory.mktemp("world")
    stage = os.environ.get("CROSSHAUL_E2E_STAGE")
    with visited_stage(home, stage, NAMES) if stage else running_environment(home) as built:
        yield built


@pytest.fixture(autouse=True)
def no_call_of_a_function_that_aws_would_refuse(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test if a function made a call that AWS would have refused, even if the function caught that."""
    here = request.getfixturevalue("here") if "here" in request.fixturenames else None
    if here is None or here.access.cloud is None:  # a real stage refuses by itself
        yield
        return
    kept: Path = here.access.cloud.refused_calls
    yield
    found = kept.read_text() if kept.exists() else ""
    kept.unlink(missing_ok=True)
    assert found == ""


@pytest.fixture(scope="session")
def api(here: Environment) -> SignedInApi:
    """Return the API as an administrator."""
    return SignedInApi.signed_in(here, here.user, here.password)


@pytest.fixture(scope="session")
def viewer(here: Environment) -> SignedInApi:
    """Return the API as a user who may only read."""
    password = "Look-only-7-times"
    here.create_user("viewer@crosshaul.test", password, "viewer")
    return SignedInApi.signed_in(here, "viewer@crosshaul.test", password)


@pytest.fixture(scope="session")
def enrolled(here: Environment, api: SignedInApi) -> Fleet:
    servers = {name: here.server(name, roots) for name, roots in SERVERS.items()}
    for server in servers.values():
        here.enroll(server)
    return Fleet(here, servers, api)


@pytest.fixture
def fleet(enrolled: Fleet) -> Fleet:
    enrolled.ensure()
    return enrolled


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        yield running
        running.close()
    with warnings.catch_warnings():  # Playwright does not wait for its driver's end
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def stored_session(who: SignedInApi) -> str:
    """Return the session that a browser tab stores after sign-in."""
    return json.dumps({"idToken": who.token, "refreshToken": None})


@contextmanager
def tab(browser: Browser, who: SignedInApi | None = None) -> Iterator[Page]:
    """Yield a new page; a script error or a violation of the security policy fails the test.

    `who` is signed in already, as after a reload; other tests go through the sign-in form.
    """
    expect.set_options(timeout=PAGE_TIMEOUT_MS)
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light", locale="en-GB")
    opened.set_default_timeout(PAGE_TIMEOUT_MS)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console", lambda message: errors.append(message.text) if "Content Security" in message.text else None
    )
    if who:
        opened.add_init_script(
            f"sessionStorage.setItem('crosshaul.session', {json.dumps(stored_session(who))})"
        )
    try:
        yield opened
    finally:
        opened.close()
    assert errors == []


@pytest.fixture
def page(browser: Browser, fleet: Fleet) -> Iterator[Page]:
    """Yield an administrator's browser tab without a page."""
    with tab(browser, fleet.api) as opened:
        yield opened


@pytest.fixture
def door(browser: Browser, fleet: Fleet) -> Iterator[Page]:
    """Yield a browser tab where nobody is signed in."""
    with tab(browser) as opened:
        opened.goto(fleet.here.outputs.console_url)
        yield opened
