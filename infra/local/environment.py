"""All of Crosshaul on one machine: embedded cloud, deployment, operator and agents, under one folder."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

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
    """What runs under `home`; everything that was started here is stopped by `stop`."""

    home: Path
    cloud: Cloud
    outputs: Outputs
    operator: Operator
    password: str
    user: str = USER
    agents: dict[str, RunningAgent] = field(default_factory=dict)

    def server(self, name: str, roots: Mapping[str, str]) -> Server:
        """A server's folder and configuration; its agent is not registered and not started by this."""
        server = Server(name, self.home / "servers" / name, roots)
        configure(server)
        return server

    def enroll(self, server: Server) -> None:
        """Make the agent known, unless this very control plane knows it already."""
        known = {agent["agent_id"] for agent in self.operator.json("agents")["agents"]}
        if server.name in known and (server.state / "registration.json").exists():
            return
        if server.name in known:
            self.operator.json("agents", "remove", server.name, "--yes")
        enrollment = self.operator.json("agents", "enroll", server.name)
        register(server, self.outputs.api_url, enrollment["token"])

    def start_agent(self, server: Server) -> RunningAgent:
        agent = RunningAgent.start(server)
        self.agents[server.name] = agent
        return agent

    def start_servers(self, roots: Mapping[str, Mapping[str, str]]) -> dict[str, Server]:
        """Several by their names, with their agents, once all are online."""
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

    def transfer(self, transfer_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.operator.json("show", transfer_id)
        return found

    def stop_agents(self) -> None:
        for agent in self.agents.values():
            agent.process.terminate()
        for agent in self.agents.values():
            agent.stop()
        self.agents.clear()

    def stop(self) -> None:
        self.stop_agents()
        embedded.stop(self.cloud)


def build(home: Path) -> Environment:
    """Start the embedded cloud, deploy into it what is not deployed yet, and sign an administrator in."""
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
def world(home: Path) -> Iterator[Environment]:
    built = build(home)
    try:
        yield built
    finally:
        built.stop()


def until(what: str, ask: Callable[[], T | None], patience: float = 60, pause: float = 0.25) -> T:
    """What `ask` answers once it is true; TimeoutError, naming `what`, after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:.0f} s in vain for {what}")
        time.sleep(pause)
    return answer
