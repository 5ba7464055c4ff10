"""Run agents and an operator on this machine, under one folder: at the embedded cloud, or at any stage."""

import contextlib
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import boto3

from infra.local import cloud as embedded
from infra.local import functions
from infra.local.cloud import Cloud
from infra.local.deploy import STAGE, Outputs, create_user, deploy
from infra.local.operator_session import Operator, remembered_password
from infra.local.servers import RunningAgent, Server, configure, register
from infra.publish import stage_outputs

USER = "demo@crosshaul.test"
HANG_TIMEOUT_S = 600.0
"""Seconds after which what is waited for hangs: far more than a lost lease or two on a busy machine."""
T = TypeVar("T")


@dataclass(frozen=True)
class StageAccess:
    """How to get at one stage: with boto3's own settings, or at the embedded cloud."""

    stage: str = STAGE
    cloud: Cloud | None = None

    def client(self, service: str) -> Any:
        connect: Any = boto3.client  # the stubs want a name of theirs, not any text
        return connect(service, **(embedded.client_settings(self.cloud) if self.cloud else {}))

    @property
    def host(self) -> str:
        """This machine's address for its agents; only an embedded stage passes loopback addresses on."""
        return "127.0.0.1" if self.cloud else _own_address()

    def outputs(self) -> Outputs:
        return Outputs.of(stage_outputs(self.client("cloudformation"), self.stage))


def _own_address() -> str:
    """Return the address of this machine's default route. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@dataclass
class Environment:
    """Everything that runs under `home`; `stop` stops all of it."""

    home: Path
    access: StageAccess
    outputs: Outputs
    operator: Operator
    password: str
    user: str = USER
    agents: dict[str, RunningAgent] = field(default_factory=dict, init=False)

    @property
    def stage(self) -> str:
        return self.access.stage

    @property
    def cloud(self) -> Cloud:
        """The embedded cloud.

        Raises:
            RuntimeError: The stage is deployed in an account, so this cannot be done there.
        """
        if self.access.cloud is None:
            raise RuntimeError(f"{self.stage} does not run in the embedded cloud")
        return self.access.cloud

    def client(self, service: str) -> Any:
        """Return boto3's client of a service, with an administrator's rights."""
        return self.access.client(service)

    def create_user(self, name: str, password: str, group: str) -> None:
        """Create a user who can sign in at once; an existing one gets this password and group."""
        create_user(self.client("cognito-idp"), self.outputs, name, password, group)

    def server(self, name: str, roots: Mapping[str, str]) -> Server:
        """Return a server with folder and configuration, without registering or starting its agent."""
        server = Server(name, self.home / "servers" / name, roots, self.access.host)
        configure(server)
        return server

    def enroll(self, server: Server) -> None:
        """Enroll the server's agent, unless this control plane knows it already."""
        known = {agent["agent_id"] for agent in self.operator.json("agents")["agents"]}
        if server.name in known and (server.state / "registration.json").exists():
            return
        if server.name in known:
            self.operator.json("agents", "remove", server.name, "--yes")
        enrollment = self.operator.json("agents", "enroll", server.name)
        register(server, self.outputs.api_url, enrollment["token"])

    def start_agent(self, server: Server) -> RunningAgent:
        agent = RunningAgent.launch(server)
        self.agents[server.name] = agent
        return agent

    def start_servers(self, roots: Mapping[str, Mapping[str, str]]) -> dict[str, Server]:
        """Start several servers and their agents, and return them by name once all are online."""
        servers = {name: self.server(name, own) for name, own in roots.items()}
        for server in servers.values():
            self.enroll(server)
            self.start_agent(server)
        for name in servers:
            until(f"{name} to be online", partial(self._is_online, name))
        return servers

    def _is_online(self, name: str) -> bool:
        return self.status_of(name) == "online"

    def status_of(self, name: str) -> str:
        agents = self.operator.json("agents")["agents"]
        return next((str(agent["status"]) for agent in agents if agent["agent_id"] == name), "unknown")

    def stop_agents(self) -> None:
        for agent in self.agents.values():
            agent.process.terminate()
        for agent in self.agents.values():
            agent.stop()
        self.agents.clear()

    def shut_down(self) -> None:
        self.stop_agents()
        embedded.stop(self.cloud)

    def leave(self, names: Iterable[str]) -> None:
        """Stop the agents, and remove them from a stage that continues to run."""
        self.stop_agents()
        for name in names:
            self.operator.try_("agents", "remove", name, "--yes")


def build(home: Path) -> Environment:
    """Start the embedded cloud, deploy what has changed, and sign in an administrator."""
    home.mkdir(parents=True, exist_ok=True)
    cloud = embedded.start(home)
    try:
        outputs = deploy(cloud, home)
        functions.warm(cloud)
        return enter(home, StageAccess(cloud=cloud), outputs, USER)
    except BaseException:
        embedded.stop(cloud)
        raise


def enter(home: Path, access: StageAccess, outputs: Outputs, user: str) -> Environment:
    """Sign an administrator in at a stage that is deployed; the user is created."""
    password = remembered_password(home / "password")
    create_user(access.client("cognito-idp"), outputs, user, password, "admin")
    operator = Operator(home / "operator")
    operator.login(outputs.api_url, user, password)
    return Environment(home, access, outputs, operator, password, user)


@contextlib.contextmanager
def visited_stage(home: Path, stage: str, names: Collection[str]) -> Iterator[Environment]:
    """Yield an environment at a stage of the account that boto3's own settings name; tidy up at the end.

    `names` are those of the agents that will be enrolled, and removed at the end.

    Raises:
        RuntimeError: The stage has an agent of such a name, which would be replaced.
    """
    access, user = StageAccess(stage), f"acceptance-{secrets.token_hex(4)}@crosshaul.test"
    outputs = access.outputs()
    with contextlib.ExitStack() as left:
        left.callback(_delete_user, access.client("cognito-idp"), outputs, user)
        visit = enter(home, access, outputs, user)
        taken = {agent["agent_id"] for agent in visit.operator.json("agents")["agents"]} & set(names)
        if taken:
            raise RuntimeError(f"{stage} has agents named {', '.join(sorted(taken))}: use a stage of its own")
        left.callback(visit.leave, names)
        yield visit


def _delete_user(cognito: Any, outputs: Outputs, name: str) -> None:
    with contextlib.suppress(cognito.exceptions.UserNotFoundException):
        cognito.admin_delete_user(UserPoolId=outputs.user_pool_id, Username=name)


@contextlib.contextmanager
def running_environment(home: Path) -> Iterator[Environment]:
    """Yield a running environment, and stop it at the end."""
    built = build(home)
    try:
        yield built
    finally:
        built.shut_down()


def until(
    what: str, poll: Callable[[], T | None], timeout_s: float = HANG_TIMEOUT_S, interval_s: float = 0.25
) -> T:
    """Call `poll` every `interval_s` seconds until its result is true, and return that.

    Raises:
        TimeoutError: It was not true within `timeout_s` seconds; the message names `what`.
    """
    deadline = time.monotonic() + timeout_s
    while not (answer := poll()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"gave up after {timeout_s:.0f} s waiting for {what}")
        time.sleep(interval_s)
    return answer
