"""Syncthing between two private devices.

Both are started and connected before the clock, with the folder paused. The clock runs from resuming the
folder at both until the destination reports that nothing more is needed: scanning, hashing, moving. If most
files are at the destination already, both have scanned them before, and a rescan at both is measured.
"""

import json
import secrets
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from infra.local.processes import free_ports
from tests.bench.serving import until_answers
from tests.bench.tools import FailedError, Job, Process, RunningTool, Tool, ToolSession

FOLDER = "bench"
TIMEOUT_S = 60.0
CONFIG = """\
<configuration version="35">
  <folder id="bench" label="bench" path="{path}" type="{kind}" rescanIntervalS="0" fsWatcherEnabled="false"
    ignorePerms="false" autoNormalize="false" paused="true">
    <filesystemType>basic</filesystemType>
    <device id="{own}"></device><device id="{other}"></device>
    <minDiskFree unit="%">0</minDiskFree><maxConflicts>0</maxConflicts>
  </folder>
  <device id="{own}" name="own" compression="never"><address>tcp://127.0.0.1:{port}</address></device>
  <device id="{other}" name="other" compression="never"><address>{address}</address></device>
  <gui enabled="true" tls="false"><address>127.0.0.1:{gui}</address><apikey>{api_key}</apikey></gui>
  <options>
    <listenAddress>tcp://127.0.0.1:{port}</listenAddress>
    <globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false</localAnnounceEnabled>
    <relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><startBrowser>false</startBrowser>
    <reconnectionIntervalS>1</reconnectionIntervalS><urAccepted>-1</urAccepted>
    <autoUpgradeIntervalH>0</autoUpgradeIntervalH><crashReportingEnabled>false</crashReportingEnabled>
    <setLowPriority>false</setLowPriority>
  </options>
</configuration>
"""


class SyncthingDevice:
    """One Syncthing process with its own home."""

    def __init__(self, job: Job, name: str) -> None:
        self.home = job.scratch / name
        self.port, self._gui = free_ports(2)
        self._api_key = secrets.token_hex(16)
        subprocess.run(["syncthing", "generate", "--home", self.home], check=True, capture_output=True)
        told = subprocess.run(
            ["syncthing", "serve", "--device-id", "--home", self.home],
            check=True,
            capture_output=True,
            text=True,
        )
        self.id = told.stdout.strip()

    def start(self, path: object, kind: str, other: str, address: str) -> None:
        config = CONFIG.format(
            path=path,
            kind=kind,
            own=self.id,
            other=other,
            port=self.port,
            address=address,
            gui=self._gui,
            api_key=self._api_key,
        )
        (self.home / "config.xml").write_text(config)
        words = ["serve", "--home", str(self.home), "--no-browser", "--no-restart", "--no-default-folder"]
        self.process = Process(["syncthing", *words], {"STNODEFAULTFOLDER": "1"}, self.home / "log")
        until_answers(self._gui, self.process)

    def ask(self, path: str, method: str = "GET", body: object = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._gui}/rest/{path}",
            method=method,
            headers={"X-API-Key": self._api_key},
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.loads(answer.read() or b"null")

    def pause(self, paused: bool) -> None:
        self.ask(f"config/folders/{FOLDER}", "PATCH", {"paused": paused})

    def rescan(self) -> None:
        """Rescan the folder; return when it is done."""
        self.ask(f"db/scan?folder={FOLDER}", "POST")

    def status(self) -> dict[str, Any]:
        with suppress(OSError):
            found: dict[str, Any] = self.ask(f"db/status?folder={FOLDER}")
            return found
        return {}


class RunningSync:
    """A running synchronization of the folder."""

    def __init__(self, source: SyncthingDevice, destination: SyncthingDevice) -> None:
        self._source, self._destination = source, destination
        self.pid = destination.process.pid

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"it was not done after {seconds:.0f} s")
            if not self._destination.process.alive():
                raise FailedError("it ended")
            time.sleep(0.05)

    def kill(self) -> None:
        self._destination.process.kill()

    def _done(self) -> bool:
        """Return whether the source has scanned and the destination has everything."""
        sent, taken = self._source.status(), self._destination.status()
        if sent.get("state") != "idle" or taken.get("state") != "idle" or not sent.get("localFiles"):
            return False
        alike = all(sent[f"local{what}"] == taken[f"local{what}"] for what in ("Bytes", "Files"))
        return (
            alike
            and taken["needTotalItems"] == 0
            and taken["globalFiles"] == sent["localFiles"]
            and self._knows(sent)
        )

    def _knows(self, sent: dict[str, Any]) -> bool:
        """Return whether the destination has received the source's latest index."""
        completion = self._source.ask(f"db/completion?folder={FOLDER}&device={self._destination.id}")
        return bool(completion["completion"] == 100 and completion["needItems"] == 0)


class SyncthingSession:
    command = "syncthing serve at both ends, on loopback alone; compression=never, no watcher, no discovery"

    def __init__(self, job: Job) -> None:
        self._job = job
        self._source, self._destination = SyncthingDevice(job, "source"), SyncthingDevice(job, "destination")
        self._address = f"tcp://127.0.0.1:{job.dial(self._source.port)}"
        self._source.start(job.source, "sendonly", self._destination.id, "dynamic")
        self._start_destination()
        self.far, self.near = [self._source.process.pid], [self._destination.process.pid]
        if job.compares:
            for device in (self._source, self._destination):
                device.pause(False)
            RunningSync(self._source, self._destination).wait(TIMEOUT_S * 10)

    def start(self) -> RunningTool:
        if not self._destination.process.alive():
            self._start_destination()
        for device in (self._source, self._destination):
            device.rescan() if self._job.compares else device.pause(False)
        return RunningSync(self._source, self._destination)

    def close(self) -> None:
        for device in (self._destination, self._source):
            device.process.end()

    def _start_destination(self) -> None:
        self._destination.start(self._job.destination, "receiveonly", self._source.id, self._address)
        deadline = time.monotonic() + TIMEOUT_S
        while not self._destination.ask("system/connections")["connections"][self._source.id]["connected"]:
            if time.monotonic() > deadline:
                raise FailedError("the two devices did not find each other")
            time.sleep(0.05)


@contextmanager
def _prepare(job: Job) -> Iterator[ToolSession]:
    for folder in (job.source, job.destination):
        (folder / ".stfolder").mkdir(exist_ok=True)
    session = SyncthingSession(job)
    try:
        yield session
    finally:
        session.close()


SYNCTHING = Tool("syncthing", _prepare, ("syncthing",), leaves=(".stfolder",))
