"""Servers of the campaign whose agent is updated to and fro between two versions.

Both versions are what is in this repository, and installing one takes a moment: the published script makes a
release out of links. All else is real: the signed order and the signed release, the job that announces them,
the updater, the trial, and the return to the version before.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import sysconfig
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.updating import pinned_keys
from agent.updating.publisher_keys import PublisherKeys
from agent.updating.releases import Releases
from agent.updating.state_files import UpdateFiles, UpdateRecord, read_record
from agent.updating.units import AGENT_UNIT, UPDATER_UNITS
from infra import REPOSITORY
from infra.kit import FOLDER, SCRIPT, Kit, locked_rclone
from infra.local.deploy import stage_signer
from infra.local.environment import Environment
from infra.local.servers import RunningAgent
from infra.publish import stage_outputs
from lambdas.store.installer import Installer, items
from tests.e2e.conftest import Fleet
from tests.e2e.installed import InstalledServer

VERSIONS = ("6.0.0", "6.0.1")
"""Versions between which agents are updated. Both are signed at the same time, so that neither is too old."""
PACKAGE, LOCK = "cd" * 32, "ef" * 32
"""Digests of the package and of the lock file that the script claims to have installed."""
HEALTHY_WITHIN_S = 60
UPDATE_TIMEOUT_S = 280
POLL_INTERVAL_S = 0.1
SWEEP_INTERVAL_S = 2.0
ENDED = {"succeeded", "failed", "aborted", "cancelled"}
UNITS = tuple(REPOSITORY / "agent" / name for name in (AGENT_UNIT, *UPDATER_UNITS))
_SCRIPT = """#!/bin/bash
# install.sh release --prefix DIR
set -eu
folder=$3/opt/crosshaul/releases
name=$(date -u +%Y%m%dT%H%M%S.%NZ)-$$
release=$folder/$name
mkdir -p "$release/bin" "$release/{packages}" "$release/units"
cp {units} "$release/units/"
ln -s {python} "$release/bin/python3"
ln -s {rclone} "$release/bin/rclone"
echo "home = {home}" > "$release/pyvenv.cfg"
echo {dependencies} > "$release/{packages}/dependencies.pth"
cat > "$release/bin/crosshaul" <<END
#!/bin/sh
exec "$release/bin/python3" -c "{program}" "\\$@"
END
chmod +x "$release/bin/crosshaul"
"$release/bin/crosshaul" --version >&2
echo {package} {lock} > "$release/installed-from"
echo "$release"
"""
_PROGRAM = (
    "import agent, runpy; agent.VERSION = '{version}'; "
    "runpy.run_module('tests.faults.faulty_agent', run_name='__main__')"
)
"""Runs the faulty agent of this repository under another version."""


def _script(version: str) -> bytes:
    program = Path(sys.executable)
    return _SCRIPT.format(
        packages=f"lib/python{sysconfig.get_python_version()}/site-packages",
        python=program.resolve(),
        home=program.resolve().parent,
        rclone=program.with_name("rclone"),
        dependencies=sysconfig.get_path("purelib"),
        program=_PROGRAM.format(version=version),
        units=" ".join(str(unit) for unit in UNITS),
        package=PACKAGE,
        lock=LOCK,
    ).encode()


def publish(here: Environment) -> None:
    """Offer both versions, beside the newest release, which stays what it is."""
    outputs = stage_outputs(here.client("cloudformation"), here.stage)
    signer, released_at = stage_signer(here.home), int(time.time())
    for version in VERSIONS:
        script = _script(version)
        digest = hashlib.sha256(script).hexdigest()
        kit = Kit(
            version=version,
            script_digest=digest,
            package_digest=PACKAGE,
            lock_digest=LOCK,
            unit_digests={unit.name: hashlib.sha256(unit.read_bytes()).hexdigest() for unit in UNITS},  # type: ignore[misc]
            rclone_digests=tuple(part.partition("/")[0] for part in locked_rclone()),
            released_at=released_at,
            files={f"{FOLDER}/{digest}/{SCRIPT}": script},
        )
        here.client("s3").put_object(Bucket=outputs["ConsoleBucket"], Key=kit.script, Body=script)
        installer = Installer(f"{outputs['ConsoleUrl']}/{kit.script}", digest, version, signer.sign(kit))
        of_this_version, _newest = items(installer)
        here.client("dynamodb").put_item(TableName=outputs["ReleasesTable"], Item=of_this_version)


def install(server: InstalledServer) -> None:
    """Install the first version, as the install script does before the agent is registered."""
    releases, script = Releases(server.releases), server.folder / SCRIPT
    script.write_bytes(_script(VERSIONS[0]))
    command = ["bash", script, "release", "--prefix", server.folder]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    release = Path(done.stdout.strip()).name
    releases.run_from_now_on(release)
    releases.trust(release)


def pin(server: InstalledServer, here: Environment) -> None:
    """Pin the keys that root trusts, after the registration."""
    pinned_keys.pin(server.config, server.state)
    PublisherKeys(server.config).pin(stage_signer(here.home).public_keys)


def record_of(server: InstalledServer) -> UpdateRecord | None:
    """Return the record of the server's last update."""
    return read_record(Releases(server.releases).record)


@dataclass(frozen=True)
class Strike:
    """What ends processes in the middle of an update, once, some time after it has come to a step."""

    step: str
    after_s: float
    victims: str

    @classmethod
    def of(cls, dice: random.Random) -> "Strike":
        return cls(
            dice.choice(("ordered", "installing", "trying", "trying")),
            dice.uniform(0, 1.5),
            dice.choice(("agent", "agent", "updater", "both", "both", "restart")),
        )

    def __str__(self) -> str:
        return f"{self.victims} {self.after_s:.1f} s after {self.step}"


class UnderUpdate:
    """One server while it is updated: what systemd would start is started."""

    def __init__(self, fleet: Fleet, server: InstalledServer) -> None:
        self._fleet, self._server = fleet, server
        self._updater: subprocess.Popen[bytes] | None = None

    @property
    def _agent(self) -> RunningAgent:
        return self._fleet.agent(self._server.name)

    @property
    def _request(self) -> Path:
        return UpdateFiles(self._server.state).request

    def step(self, update_id: str) -> str | None:
        """Return the step of this update on the host; `ordered` before the updater has recorded one."""
        record = record_of(self._server)
        if record and record.order.update_id == update_id:
            return record.step
        return "ordered" if self._request.exists() else None

    def keep_alive(self) -> None:
        """Start the agent if it has ended, and the updater if there is an order or it was killed."""
        if self._agent.process.poll() is not None:
            self._fleet.here.start_agent(self._server)
        ended = None if self._updater is None else self._updater.poll()
        idle = self._updater is None or ended is not None
        if ended == -signal.SIGKILL or (idle and self._request.exists()):
            self._updater = self._start_updater()

    def strike(self, victims: str) -> None:
        """End the agent, the updater, or both, like a power cut; or the agent like a restart."""
        if victims in {"agent", "both"}:
            self._agent.kill()
        if victims in {"updater", "both"} and self._updater:
            with suppress(ProcessLookupError):
                os.killpg(self._updater.pid, signal.SIGKILL)
            self._updater.wait()
        if victims == "restart":
            self._agent.stop()

    @property
    def is_idle(self) -> bool:
        """Return whether the updater has nothing left to do."""
        return not self._request.exists() and (self._updater is None or self._updater.poll() == 0)

    def _start_updater(self) -> "subprocess.Popen[bytes]":
        server = self._server
        restart = f"sh -c 'kill $(cat {server.folder / 'agent.pid'})'"
        where = ["--config", server.config, "--prefix", server.folder, "--restart", restart]
        environment, program = server.program[:-1], server.releases / "proven/bin/crosshaul"
        with server.log.open("ab") as log:
            return subprocess.Popen(
                [*environment, program, "agent", "update", *where],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def update(fleet: Fleet, server: InstalledServer, dice: random.Random) -> str:
    """Update an agent to the other version, and end processes in the middle. Return what happened.

    Raises:
        TimeoutError: The update does not end.
        AssertionError: Afterward the host has not one whole version.
    """
    known, strike = fleet.api.get(f"/agents/{server.name}")["version"], Strike.of(dice)
    version = next(one for one in VERSIONS if one != known)
    body = {"version": version, "agents": [server.name], "healthy_within": HEALTHY_WITHIN_S}
    update_id = fleet.api.post("/updates", body)["update_id"]
    states = [one["state"] for one in _until_ended(fleet, server, update_id, strike)["members"]]
    releases, record = Releases(server.releases), record_of(server)
    what = f"({version} {' '.join(states)}; {strike})"
    if record and record.is_under_way:
        raise AssertionError(f"{what}: it has ended, but the host is {record.step}")
    if releases.current != releases.proven or not (server.releases / "current/installed-from").exists():
        raise AssertionError(f"{what}: the host runs {releases.current}, and {releases.proven} is proven")
    return what


def _until_ended(fleet: Fleet, server: InstalledServer, update_id: str, strike: Strike) -> Any:
    """Do what systemd would until the update has ended, and strike. Return the update."""
    host, end = UnderUpdate(fleet, server), time.monotonic() + UPDATE_TIMEOUT_S
    strike_at, sweep_at, shown = None, 0.0, None
    while time.monotonic() < end:
        host.keep_alive()
        now = time.monotonic()
        if strike_at is None and host.step(update_id) == strike.step:
            strike_at = now + strike.after_s
        if strike_at is not None and now >= strike_at:
            host.strike(strike.victims)
            strike_at = float("inf")
        if now >= sweep_at:
            fleet.minute()
            shown = fleet.api.get(f"/updates/{update_id}")
            if shown["state"] in ENDED and host.is_idle:
                return shown
            sweep_at = now + SWEEP_INTERVAL_S
        time.sleep(POLL_INTERVAL_S)
    raise TimeoutError(f"the update {update_id} does not end: {host.step(update_id)} on the host, {shown}")
