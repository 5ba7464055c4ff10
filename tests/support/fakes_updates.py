"""A fake host with releases and a service manager that starts the release the link points to."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.utils import base64url_encode

from agent.cloud.command_verifier import CommandVerifier
from agent.cloud.messages import BrokerConnection
from agent.errors import HostError
from agent.files.disk import atomic_write
from agent.updating.publisher_keys import PublisherKeys
from agent.updating.releases import Releases
from agent.updating.state_files import HealthReport, UpdateFiles, UpdateRecord, read_record
from agent.updating.units import AGENT_UNIT, UPDATER_UNITS, Units
from agent.updating.update_jobs import Installation, UpdateJobs
from agent.updating.updater import Updater, UpdaterEnvironment
from events.commands import PublicKey, UpdateAgent
from events.releases import PublishedRelease
from events.topics import Topics
from tests.support.fakes_agent import AGENT, THING, Signer

UPDATE = "0123456789ab"
SCRIPT = "ab" * 32
"""Digest of the install script that every order names."""


class FakePublisher:
    """Signs releases like `infra.release_key`, at any time and about anything."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public = base64url_encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, version: str, **claims: Any) -> str:
        """Return a signed release; `claims` replace those of the script that `an_update` names."""
        parts = {"script": SCRIPT, "package": "cd" * 32, "lock": "ef" * 32, "units": {}}
        release = {"iat": 1_700_000_000, **parts, **claims}
        signed = PublishedRelease.model_validate({"version": version, **release})
        return jwt.encode(signed.model_dump(mode="json"), self._key, algorithm="EdDSA")


PUBLISHER = FakePublisher()
"""The publisher whom every fake host trusts."""


def an_update(
    version: str = "2.0.0", update_id: str = UPDATE, healthy_within: int = 10, release: str | None = None
) -> UpdateAgent:
    return UpdateAgent(
        update_id=update_id,
        version=version,
        script="https://console.example/install/abc/install.sh",
        digest=SCRIPT,
        release=release or PUBLISHER.sign(version),
        healthy_within=healthy_within,
    )


def not_installed(link: BrokerConnection, folder: Path) -> UpdateJobs:
    """Return the update jobs of an agent that the install script did not install."""

    def ask(_: str) -> None:
        raise HostError("nobody asks")

    host = Installation(None, UpdateFiles(folder), set)
    return UpdateJobs(link, THING, Topics("local"), host, ask)  # type: ignore[arg-type]


def unit(version: str, account: str = "crosshaul") -> str:
    """Return a version's unit."""
    return f"[Service]\nUser={account}\nGroup={account}\nExecStart=/opt/{version}\n"


class InstalledHost:
    """A host that runs version 1.0.0.

    `healthy` says whether a version would report healthy; `update()` starts a killed updater again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        self.notes = UpdateFiles(self.state)
        self.releases = Releases(folder / "opt")
        self.signer = Signer()
        self.pinned = [self.signer.jwk]
        self.publisher = PublisherKeys(folder / "agent.toml")
        self.publisher.pin((PUBLISHER.public,))
        self.running: str | None = None
        self.starts: list[str] = []
        self.healthy: Callable[[str], bool] = lambda _: True
        self.uninstallable = False
        self.units = folder / "systemd"
        """With the units that systemd reads, as the install script has fitted them to this host."""
        self.loaded = ""
        """The agent's unit as systemd has it: only `daemon-reload` reads it again."""
        self.started_with: list[str] = []
        """The unit with which the agent was started, each time."""
        self._numbers = itertools.count()
        self._now = 0.0
        first = self._make("1.0.0")
        self.units.mkdir()
        for name in (AGENT_UNIT, *UPDATER_UNITS):
            (self.units / name).write_text(unit("1.0.0", "files"))
        self.systemctl("daemon-reload")
        self.releases.run_from_now_on(first)
        self.releases.trust(first)
        self.restart()

    def _make(self, version: str) -> str:
        release = self.releases.folder / "releases" / f"{next(self._numbers):03d}-{version}"
        release.mkdir(parents=True)
        (release / "version").write_text(version)
        (release / "units").mkdir()
        for name in (AGENT_UNIT, *UPDATER_UNITS):
            (release / "units" / name).write_text(unit(version))
        return release.name

    def install(self, order: UpdateAgent, _: PublishedRelease) -> str:
        if self.uninstallable:
            raise HostError("the package index is away")
        return self._make(order.version)

    @property
    def version(self) -> str | None:
        """The version that `current` points to."""
        try:
            return (self.releases.folder / "current/version").read_text()
        except OSError:
            return None

    def restart(self) -> None:
        self.running = self.version
        self.starts.append(str(self.running))
        self.started_with.append(self.loaded)

    def systemctl(self, *arguments: str) -> None:
        if arguments == ("daemon-reload",):
            self.loaded = (self.units / AGENT_UNIT).read_text()

    def _pin(self, keys: tuple[PublicKey, ...]) -> None:
        self.pinned = [key.model_dump() for key in keys]

    def _wait(self, seconds: float) -> None:
        """Let the version on trial report its health instead of waiting."""
        self._now += seconds
        record = self.record
        if record and self.running == record.order.version and self.healthy(str(self.running)):
            body = HealthReport(update_id=record.order.update_id, version=str(self.running), healthy=True)
            self.notes.verdict.write_text(body.model_dump_json())

    @property
    def record(self) -> UpdateRecord | None:
        return read_record(self.releases.record)

    @property
    def kept(self) -> list[str]:
        """The versions whose releases are on disk."""
        found = sorted((self.releases.folder / "releases").iterdir())
        return [(release / "version").read_text() for release in found]

    def show(self, message: bytes) -> None:
        """Store an update order like the agent."""
        atomic_write(self.notes.request, message, 0o600)

    def ask_for(self, version: str = "2.0.0", update_id: str = UPDATE, **claims: object) -> None:
        self.show(self.signer.envelope(an_update(version, update_id), **claims))

    def update(self) -> None:
        """Run the updater once, like its systemd unit."""
        units = Units(self.units, self.systemctl)
        around = UpdaterEnvironment(
            self.install, self.restart, self._pin, self.publisher, units, self._wait, lambda: self._now
        )
        verifier = CommandVerifier(AGENT, self.pinned)
        Updater(self.releases, self.state, lambda: verifier, around).update()

    def boot(self) -> None:
        """Start the release that `current` points to, and the updater, like a reboot."""
        self.systemctl("daemon-reload")
        self.restart()
        self.update()
