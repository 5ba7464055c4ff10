"""A server whose agent was installed by the published script, below a folder, with a stand-in for systemd.

The stand-in keeps the agent running and starts the updater when there is an update order, like the units.
"""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from infra.local.servers import Server, configure

_POLL_INTERVAL_S = 0.1
"""Seconds."""


def installed_server(name: str, prefix: Path, roots: Mapping[str, str], host: str) -> "InstalledServer":
    """Return a server with the agent.toml that the script would write, with roots below the folder, too."""
    server = InstalledServer(name, prefix, roots, host)
    server.config.parent.mkdir(parents=True, exist_ok=True)
    configure(server)
    return server


class InstalledServer(Server):
    """A server with the install script's layout below `folder`."""

    @property
    def config(self) -> Path:
        return self.folder / "etc/crosshaul/agent.toml"

    @property
    def state(self) -> Path:
        return self.folder / "var/lib/crosshaul"

    @property
    def releases(self) -> Path:
        return self.folder / "opt/crosshaul"


class ServiceManager:
    """Runs what the systemd units of one host would run, with `env` in the environment."""

    def __init__(self, server: InstalledServer, env: Mapping[str, str]) -> None:
        self._server = server
        self._env = os.environ | dict(env)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"services of {server.name}")
        self._pid_file = server.folder / "agent.pid"
        self._agent: subprocess.Popen[bytes] | None = None
        self._updater: subprocess.Popen[bytes] | None = None

    def install(self, script: bytes, api_url: str, token: str) -> None:
        """Run the install script.

        Raises:
            RuntimeError: The script failed; the message has its output.
        """
        file = self._server.folder / "install.sh"
        file.write_bytes(script)
        done = subprocess.run(
            ["bash", str(file), "--prefix", str(self._server.folder), "--api", api_url],
            env=self._env | {"CROSSHAUL_TOKEN": token},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self._server.name} was not installed:\n{done.stderr}")

    def start_service(self) -> None:
        self._thread.start()

    def stop_service(self) -> None:
        self._ending.set()
        self._thread.join()

    def kill(self) -> None:
        """Kill the agent and the updater like a power cut; both are started again."""
        for process in (self._updater, self._agent):
            if process:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _run(self) -> None:
        self._updater = self._spawn("proven", *self._update())
        while not self._ending.wait(_POLL_INTERVAL_S):
            if self._agent is None or self._agent.poll() is not None:
                self._agent = self._spawn("current", "agent", "run", "--config", str(self._server.config))
                self._pid_file.write_text(str(self._agent.pid))
            killed = self._updater.poll() == -signal.SIGKILL
            idle = self._updater.poll() is not None
            if killed or (idle and (self._server.state / "update-request").exists()):
                self._updater = self._spawn("proven", *self._update())
        for process in (self._updater, self._agent):
            if process:
                _end(process)

    def _update(self) -> list[str]:
        restart = f"sh -c 'kill $(cat {self._pid_file})'"
        where = ["--config", str(self._server.config), "--prefix", str(self._server.folder)]
        return ["agent", "update", *where, "--restart", restart]

    def _spawn(self, release: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self._server.log.open("ab") as log:
            return subprocess.Popen(
                [str(self._server.releases / release / "bin/crosshaul"), *arguments],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
