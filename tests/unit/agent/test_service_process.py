"""The agent as a process with a real broker: start, commands, kill, stop, removal."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.cli.errors import Exit
from agent.identity import lane_certificate
from agent.identity.enrollment import write_secret
from agent.identity.registration import Files, Registration
from agent.status import overview
from events.commands import Browse, Retire
from events.options import Options
from events.topics import Topics
from infra.local.processes import free_ports
from tests.support.connect_proxy import ConnectProxy
from tests.support.fakes_agent import AGENT, THING, Signer, move
from tests.support.waiting import HANG_TIMEOUT_S
from tests.unit.agent.conftest import BROKER_NAME

CROSSHAUL = Path(sys.executable).with_name("crosshaul")
SIGNER = Signer()
TOPICS = Topics("local")


class ProcessHost:
    """One registered host and its agent."""

    def __init__(self, folder: Path, cloud, endpoint) -> None:
        self.cloud = cloud
        self.process = None
        self.config = folder / "agent.toml"
        self.files = Files(folder / "state-of-agent")
        self._register(folder, endpoint)

    def _register(self, folder: Path, endpoint) -> None:
        files = self.files
        files.folder.mkdir(mode=0o700)
        (folder / "data").mkdir()
        shutil.copy(endpoint.certificate, files.device_certificate)
        shutil.copy(endpoint.ca, files.ca)
        write_secret(files.device_key, endpoint.key.read_bytes())
        write_secret(files.api_key, b"key")
        lane_certificate.ensure(files.folder)
        registration = Registration(
            agent_id=AGENT,
            thing=THING,
            api_url=self.cloud.url,
            stage="local",
            mqtt_host=endpoint.host,
            mqtt_port=endpoint.port,
            verification_keys=(SIGNER.jwk,),
            registered_at=datetime.now(UTC),
        )
        files.registration_file.write_text(registration.model_dump_json())
        port, metrics_port = free_ports(2)
        self.config.write_text(
            f'state = "{files.folder}"\n[lane]\nlisten = "127.0.0.1:{port}"\n'
            f'[metrics]\nlisten = "127.0.0.1:{metrics_port}"\n'
            f'[[roots]]\npath = "/data"\naccess = "rw"\ndirectory = "{folder}/data"\n'
        )

    def command(self, *arguments: str) -> list[str]:
        return [str(CROSSHAUL), "agent", *arguments, "--config", str(self.config)]

    def start(self, **environment: str) -> None:
        """Start it from a shell that allows core dumps of unlimited size."""
        command = ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", *self.command("run")]
        with (self.files.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.files.folder, env={**os.environ, **environment}
            )

    async def handles_hangup(self) -> None:
        """Return once the process catches SIGHUP, which is the first thing that it does."""
        status = Path(f"/proc/{self.process.pid}/status")
        async with asyncio.timeout(HANG_TIMEOUT_S):
            while not catches_hangup(status):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0)

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command; return its exit code and output."""
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
        process = await asyncio.create_subprocess_exec(*self.command(*arguments), **pipes)
        output, _ = await asyncio.wait_for(process.communicate(), HANG_TIMEOUT_S)
        return process.returncode, output.decode()

    async def logs(self, text: str) -> None:
        """Return once a text is in the log."""
        async with asyncio.timeout(HANG_TIMEOUT_S):
            while text not in self.log:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)

    async def connected(self) -> None:
        async with asyncio.timeout(HANG_TIMEOUT_S):
            while not overview(self.files).connected:
                assert self.process.poll() is None, self.log
                await asyncio.sleep(0.05)

    def send(self, command) -> None:
        data = self.cloud.client("iot-data")
        data.publish(topic=TOPICS.commands(THING), qos=1, payload=SIGNER.envelope(command))

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, HANG_TIMEOUT_S)

    @property
    def arguments(self) -> bytes:
        """The process's command line, which every user of the host can read."""
        return Path(f"/proc/{self.process.pid}/cmdline").read_bytes()

    @property
    def limits(self) -> str:
        return Path(f"/proc/{self.process.pid}/limits").read_text()

    @property
    def log(self) -> str:
        return (self.files.folder / "log").read_text()


def catches_hangup(status: Path) -> bool:
    return bool(int(re.search(r"^SigCgt:\s*(\w+)", status.read_text(), re.MULTILINE)[1], 16) & 1)


@pytest.fixture
def host(tmp_path, cloud, endpoint):
    host = ProcessHost(tmp_path, cloud, endpoint)
    host.start()
    yield host
    if host.process.poll() is None:
        host.process.kill()
        host.process.wait()


async def test_an_agent_from_start_to_removal(host):
    await host.connected()
    code, output = await host.run("status", "--json")
    assert code == 0, output
    assert json.loads(output)["pid"] == host.process.pid

    await host.logs("metrics are offered")
    code, output = await host.run("doctor")
    assert code == 0, output
    assert "metrics: offered at http://127.0.0.1:" in output
    assert "lane port: 127.0.0.1" in output
    assert "answers" in output

    code, output = await host.run("run")
    assert code == Exit.REFUSED
    assert f"process {host.process.pid}" in output

    host.process.kill()
    await host.ended()
    assert (await host.run("status"))[0] == Exit.FAILED
    host.start()
    await host.connected()

    host.process.terminate()
    assert await host.ended() == 0

    host.start()
    await host.connected()
    host.send(Browse(request_id="r", path="/data"))
    host.send(Retire())
    assert await host.ended() == 0
    assert "kind=browse" in host.log
    code, output = await host.run("run")
    assert code == Exit.REFUSED
    assert "removed by the control plane" in output


async def test_a_crash_leaves_no_core_dump(host):
    """A core dump would contain keys."""
    await host.connected()
    limits = host.limits
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), limits
    before = set(host.files.folder.iterdir())
    host.process.send_signal(signal.SIGSEGV)
    assert await host.ended() == -signal.SIGSEGV
    assert {path.name for path in set(host.files.folder.iterdir()) - before} <= {"agent.lock"}


async def test_sighup_in_the_first_moments_of_a_start_does_not_end_the_agent(host, tmp_path):
    await host.connected()
    host.process.terminate()
    await host.ended()
    (host.files.folder / "log").unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.setblocking(False)
        host.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        await host.handles_hangup()
        for _ in range(20):  # while it imports and starts
            host.process.send_signal(signal.SIGHUP)
        ready = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(notified, 100), HANG_TIMEOUT_S)
    assert ready == b"READY=1"
    await host.logs("roots read again")
    await host.connected()


async def test_roots_are_read_again_on_sighup(host, tmp_path):
    await host.connected()
    before = host.config.read_text()
    host.config.write_text(f'{before}[[roots]]\npath = "/more"\naccess = "ro"\ndirectory = "{tmp_path}"\n')
    host.process.send_signal(1)
    await host.logs("roots read again")
    host.config.write_text("nonsense")
    host.process.send_signal(1)
    await host.logs("roots stay as they were")
    assert host.process.poll() is None


async def test_behind_a_company_s_proxy_the_agent_works_and_shows_its_password_to_nobody(
    tmp_path, cloud, endpoint
):
    """The broker is known by AWS's name and behind port 443 alone; rclone and doctor take the same way."""
    credentials = tmp_path / "proxy-credentials"
    write_secret(credentials, b"server-b:not-for-everybody\n")
    host = ProcessHost(tmp_path, cloud, replace(endpoint, host=BROKER_NAME, port=8883))
    with ConnectProxy({(BROKER_NAME, 443): cloud.mqtt_port}, "server-b:not-for-everybody") as proxy:
        text = host.config.read_text()
        host.config.write_text(
            f'{text}[network]\nmqtt_port = 443\nproxy = "{proxy.url}"\nproxy_credentials = "{credentials}"\n'
        )
        host.start()
        try:
            await host.connected()
            arguments = host.arguments
            _, output = await host.run("doctor")
            host.send(Browse(request_id="r", path="/data"))
            await host.logs("kind=browse")
        finally:
            host.process.kill()
            host.process.wait()
    assert f"ok    broker: {BROKER_NAME}:443 through 127.0.0.1:{proxy.port}" in output
    assert b"not-for-everybody" not in arguments + output.encode() + host.log.encode()


async def test_an_agent_without_the_password_of_its_proxy_says_so_and_is_not_started_again(
    tmp_path, cloud, endpoint
):
    host = ProcessHost(tmp_path, cloud, endpoint)
    text = host.config.read_text()
    host.config.write_text(
        f'{text}[network]\nproxy = "http://127.0.0.1:1"\nproxy_credentials = "{tmp_path}/none"\n'
    )
    code, output = await host.run("run")
    assert code == Exit.REFUSED
    assert f"{tmp_path}/none cannot be read" in output


async def test_a_mapped_file_that_becomes_shorter_costs_one_start(host, tmp_path):
    """The kernel ends a process whose mapped file is cut off: systemd starts it, and the hop goes on."""
    await host.connected()
    (tmp_path / "data/a").mkdir()
    (tmp_path / "data/a/big").write_bytes(os.urandom(3 * 1024**2))
    slow = Options(bandwidth_limit=256 * 1024)
    host.send(move(options=slow))
    await host.logs("hop started")
    os.truncate(host.files.folder / "journal.db-shm", 0)
    assert await host.ended() == -signal.SIGBUS
    host.start()
    await host.logs("hop succeeded")
    assert (tmp_path / "data/b/big").read_bytes() == (tmp_path / "data/a/big").read_bytes()
