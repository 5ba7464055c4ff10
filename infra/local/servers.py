"""The demonstration's servers: a folder and a real agent process each, operated through `crosshaul` only."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.processes import free_port

CROSSHAUL = str(Path(sys.executable).with_name("crosshaul"))


@dataclass(frozen=True)
class Server:
    """A server; its folder holds the agent's configuration, state and the files of its roots."""

    name: str
    folder: Path
    roots: Mapping[str, str]
    """Access by root, as locations name it: {"/data": "rw"}."""
    host: str = "127.0.0.1"
    """The address at which other servers reach it."""
    program: tuple[str, ...] = (CROSSHAUL,)
    """Command that the agent is started with."""

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> Path:
        return self.folder / "agent.log"

    def path(self, location: str) -> Path:
        """Return the local folder of a location's path: /data/videos → …/server-b/data/videos."""
        return self.folder / location.strip("/")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def configure(server: Server) -> None:
    """Write agent.toml. The lane keeps its port from run to run, unless another program uses it now."""
    remembered = server.folder / "lane.port"
    port = int(remembered.read_text()) if remembered.exists() else free_port()
    if not _is_free(port):
        port = free_port()
    server.folder.mkdir(parents=True, exist_ok=True)
    remembered.write_text(str(port))
    for root in server.roots:
        server.path(root).mkdir(parents=True, exist_ok=True)
    address = json.dumps(f"{server.host}:{port}")
    blocks = [
        f"state = {json.dumps(str(server.state))}",
        f"[lane]\nlisten = {address}\nadvertise = [{address}]",
    ]
    blocks += [
        f"[[roots]]\npath = {json.dumps(path)}\naccess = {json.dumps(access)}\n"
        f"directory = {json.dumps(str(server.path(path)))}"
        for path, access in server.roots.items()
    ]
    server.config.write_text("\n\n".join(blocks) + "\n")


def register(server: Server, api_url: str, token: str, *more: str) -> None:
    """Run `crosshaul agent register` with the token on standard input.

    Raises:
        RuntimeError: It failed; the message has its output.
    """
    done = subprocess.run(
        [CROSSHAUL, "agent", "register", "--config", str(server.config), "--api", api_url, "--force", *more],
        input=token,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{server.name} could not register:\n{done.stderr or done.stdout}")


@dataclass
class RunningAgent:
    """An agent process, in its own session, so that Ctrl-C in the terminal does not reach it."""

    server: Server
    process: subprocess.Popen[bytes]

    @classmethod
    def launch(cls, server: Server) -> "RunningAgent":
        end_stray(server)
        with server.log.open("ab") as log:
            process = subprocess.Popen(
                [*server.program, "agent", "run", "--config", str(server.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _pid_file(server).write_text(str(process.pid))
        return cls(server, process)

    def kill(self) -> None:
        """Kill the agent and all processes of its session, like a power cut."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout_s: float = 60) -> None:
        """Send SIGTERM, and SIGKILL if it does not end within `timeout_s` seconds."""
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        _pid_file(self.server).unlink(missing_ok=True)


def _pid_file(server: Server) -> Path:
    return server.folder / "agent.pid"


def end_stray(server: Server) -> None:
    """End the agent that an earlier run, which was killed, left behind for this folder."""
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        pid = int(_pid_file(server).read_text())
        if str(server.config).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
            _await_end(pid)


def _await_end(pid: int, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
