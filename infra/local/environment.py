"""Run all of Crosshaul on one machine, under one folder: embedded cloud, deployment, operator and agents."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from infra.local import cloud as embedded
from infra.local import functions
from infra.local.cloud import Cloud
from infra.local.deploy import Outputs, create_user, deploy
from infra.local.operator_session import Operator, remembered_password
from infra.local.servers import RunningAgent, Server, configure, register

USER = "demo@crosshaul.test"
T = TypeVar("T")


@dataclass
class Environment:
    """Everything that runs under `home`; `stop` stops all of it."""

    home: Path
    cloud: Cloud
    outputs: Outputs
    operator: Operator
    password: str
    user: str = USER
    agents: dict[str, RunningAgent] = field(default_factory=dict, init=False)

    def server(self, name: str, roots: Mapping[str, str]) -> Server:
        """Return a server with folder and configuration, without registering or starting its agent."""
        server = Server(name, self.home / "servers" / name, roots)
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


def build(home: Path) -> Environment:
    """Start the embedded cloud, deploy what has changed, and sign in an administrator."""
    home.mkdir(parents=True, exist_ok=True)
    cloud = embedded.start(home)
    try:
        outputs = deploy(cloud, home)
        functions.warm(cloud)
        password = remembered_password(home / "password")
        create_user(cloud, outputs, USER, password, "admin")
        operator = Operator(home / "operator")
        operator.login(outputs.api_url, USER, password)
    except BaseException:
        embedded.stop(cloud)
        raise
    return Environment(home, cloud, outputs, operator, password)


@contextlib.contextmanager
def running_environment(home: Path) -> Iterator[Environment]:
    """Yield a running environment, and stop it at the end."""
    built = build(home)
    try:
        yield built
    finally:
        built.shut_down()


def until(what: str, poll: Callable[[], T | None], timeout_s: float = 60, interval_s: float = 0.25) -> T:
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
