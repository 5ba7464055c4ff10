"""Three servers of the campaign, with everything around them that can fail."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import httpx

from infra import REPOSITORY
from infra.local import cloud as embedded
from infra.local.environment import Environment, until
from infra.local.servers import Server, register
from tests.e2e.api import ApiRefusal, SignedInApi
from tests.e2e.conftest import Fleet
from tests.e2e.installed import InstalledServer, installed_server
from tests.faults import updates
from tests.faults.places import Folder, Place, Prefix
from tests.faults.schedule import REMOTE, ROOTS, S3
from tests.support.network_proxy import NetworkProxy

MIB = 1024 * 1024
SMALL_DISK = f"size={64 * MIB}"
STATE_DISK = f"size={160 * MIB}"
"""With room for what the agent keeps in reserve."""
REMOTE_NAME = "store"
ENROLLMENTS = 5
"""Attempts to enroll a server."""
CLOCK_BYTES = 8
TRUE_TIME = bytes(CLOCK_BYTES)


@dataclass(frozen=True)
class FaultyFunctions:
    """The control plane's functions."""

    client: Any
    names: tuple[str, ...]

    @classmethod
    def of(cls, here: Environment) -> "FaultyFunctions":
        client = boto3.client("lambda", **embedded.client_settings(here.cloud))
        pages = client.get_paginator("list_functions").paginate()
        return cls(client, tuple(one["FunctionName"] for page in pages for one in page["Functions"]))

    def named(self, part: str) -> str:
        """Return the only function with this part in its name."""
        [name] = [one for one in self.names if part in one]
        return name

    def invoke(self, part: str, event: object) -> None:
        """Call a function as its trigger would, without waiting for its end."""
        payload = json.dumps(event).encode()
        self.client.invoke(FunctionName=self.named(part), InvocationType="Event", Payload=payload)


@dataclass
class Team:
    """Servers `b`, `c` and `d`, each behind a network proxy and with a clock of its own.

    The disk of `c` is small, and so is the disk with the state of `d`; `b` has a remote. Several teams share
    one control plane.
    """

    number: int
    fleet: Fleet
    servers: dict[str, InstalledServer]
    lines: dict[str, NetworkProxy]
    functions: FaultyFunctions

    @classmethod
    @contextmanager
    def running(cls, number: int, here: Environment, api: SignedInApi) -> Iterator["Team"]:
        """Enroll and start the servers, and end what is around them afterwards."""
        names = {letter: f"faults-{number}-{letter}" for letter in ROOTS}
        servers = {
            name: _with_faults(_installed(here, name, {ROOTS[letter]: "rw"}))
            for letter, name in names.items()
        }
        lines = {name: _behind_proxy(server) for name, server in servers.items()}
        with ExitStack() as opened:
            for line in lines.values():
                opened.callback(line.close)
            _offer_remote(servers[names["b"]])
            opened.enter_context(_small_disk(servers[names["c"]].path(ROOTS["c"]), SMALL_DISK))
            opened.enter_context(_small_disk(state_disk_of(servers[names["d"]]), STATE_DISK))
            fleet = Fleet(here, servers, api)
            for server in servers.values():
                enroll(fleet, server)
                updates.pin(server, here)
                here.start_agent(server)
            opened.callback(_remove, fleet)
            for name in servers:
                until(f"{name} to be online", lambda name=name: fleet.status(name) == "online")
            yield cls(number, fleet, servers, lines, FaultyFunctions.of(here))

    def name(self, letter: str) -> str:
        """Return the name of this team's server."""
        return f"faults-{self.number}-{letter}"

    def server(self, letter: str) -> InstalledServer:
        return self.servers[self.name(letter)]

    def line(self, letter: str) -> NetworkProxy:
        return self.lines[self.name(letter)]

    def place(self, where: str, folder: str) -> Place:
        """Return a folder at a place of the schedule."""
        if where == S3:
            return Prefix(self._s3, self.fleet.here.outputs.bucket, f"{self.name('s3')}/{folder}/")
        if where == REMOTE:
            far = _far(self.server("b")) / folder
            return Folder(f"{self.name('b')}:{REMOTE_NAME}:{folder}/", far, holds_only_files=True)
        path = f"{ROOTS[where]}/{folder}"
        return Folder(f"{self.name(where)}:{path}/", self.server(where).path(path))

    def restore(self) -> None:
        """Enroll again each server that a failed seed has left without a registration, or ended."""
        for name, server in self.servers.items():
            agent = self.fleet.agent(name)
            with suppress(ApiRefusal):
                self.fleet.api.get(f"/agents/{name}")
                if agent.process.poll() is None:
                    continue
            agent.stop()
            enroll(self.fleet, server)
            self.fleet.connect(name)

    @cached_property
    def _s3(self) -> object:
        return self.fleet.s3()


def state_disk_of(server: Server) -> Path:
    """Return the folder in which the server's state is, which may be a disk of its own."""
    return server.state.parent


def messages_of(server: Server) -> Path:
    """Return the folder that says what becomes of the server's messages (`tests.faults.faulty_agent`)."""
    return server.folder / "messages"


def clock_of(server: Server) -> Path:
    """Return the file with the seconds by which the server's clock is wrong."""
    return server.folder / "clock"


def has_compiler() -> bool:
    """Return whether clocks can be skewed here."""
    return shutil.which("cc") is not None


def _installed(here: Environment, name: str, roots: Mapping[str, str]) -> InstalledServer:
    """Return a server with an installed release."""
    server = installed_server(name, here.home / "servers" / name, roots, here.access.host)
    updates.install(server)
    return server


def _with_faults(server: InstalledServer) -> InstalledServer:
    """Return the server with a program whose messages and clock can be disturbed."""
    messages_of(server).mkdir(exist_ok=True)
    clock_of(server).write_bytes(TRUE_TIME)
    environment = [f"FAULTY_MESSAGES={messages_of(server)}", f"PYTHONPATH={REPOSITORY}"]
    if has_compiler():
        environment += [
            f"LD_PRELOAD={_clock_library(server.folder.parent)}",
            f"FAULTY_CLOCK={clock_of(server)}",
        ]
    return replace(server, program=("env", *environment, str(server.releases / "current/bin/crosshaul")))


def _clock_library(folder: Path) -> Path:
    library = folder / "clock.so"
    if not library.exists():
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
    return library


def _behind_proxy(server: Server) -> NetworkProxy:
    """Let an agent announce a proxy in front of its lane's port."""
    port = int((server.folder / "lane.port").read_text())
    line = NetworkProxy(port)
    text = server.config.read_text()
    server.config.write_text(
        text.replace(f'advertise = ["127.0.0.1:{port}"]', f'advertise = ["{line.endpoint}"]')
    )
    return line


def _far(server: Server) -> Path:
    return server.folder / "far"


def _offer_remote(server: Server) -> None:
    far, described = _far(server), server.folder / "rclone.conf"
    far.mkdir(exist_ok=True)
    described.write_text(f"[{REMOTE_NAME}]\ntype = alias\nremote = {far}\n")
    offered = f'[[remotes]]\nname = "{REMOTE_NAME}"\naccess = "rw"\n'
    server.config.write_text(f'rclone_config = "{described}"\n{server.config.read_text()}\n{offered}')


@contextmanager
def _small_disk(folder: Path, options: str) -> Iterator[None]:
    """Mount a small disk, where that is allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = not mount(folder, options).returncode
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


def mount(folder: Path, options: str) -> "subprocess.CompletedProcess[bytes]":
    command = ["mount", "-t", "tmpfs", "-o", options, "none", folder]
    return subprocess.run(command, check=False, capture_output=True)


def enroll(fleet: Fleet, server: Server) -> None:
    """Make a server an agent anew, whatever an earlier run or attempt has left of it.

    The embedded cloud may answer later than the agent waits, or refuse what it has half done: then again, as
    an operator would.
    """
    for attempt in range(1, ENROLLMENTS + 1):
        forget(fleet, server.name)
        token = fleet.api.post("/agents/enrollments", {"agent_id": server.name})["token"]
        try:
            register(server, fleet.here.outputs.api_url, token)
        except RuntimeError:
            if attempt == ENROLLMENTS:
                raise
        else:
            return


def forget(fleet: Fleet, name: str) -> None:
    """Remove an agent from the control plane, if it is known there."""
    try:
        fleet.api.delete(f"/agents/{name}")
    except ApiRefusal as refusal:
        if refusal.status != httpx.codes.NOT_FOUND:
            raise


def _remove(fleet: Fleet) -> None:
    """Stop the agents and remove them from the control plane, which others may use afterwards."""
    for name in fleet.servers:
        if agent := fleet.here.agents.pop(name, None):
            agent.stop()
        forget(fleet, name)
