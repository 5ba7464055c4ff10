"""The host's systemd units, which come with a release like its programs.

Only root's updater writes them, from a release whose parts the publisher has signed. What an administrator
changes is in drop-ins, which stay.
"""

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import HostError
from agent.files.disk import atomic_write
from events.releases import UnitName

AGENT_UNIT: UnitName = "crosshaul-agent.service"
UPDATER_UNITS: tuple[UnitName, ...] = ("crosshaul-update.service", "crosshaul-update.path")
SYSTEMD_RUNS = Path("/run/systemd/system")
"""A directory that is there if the host was booted with systemd."""
RELOAD_TIMEOUT_S = 180
_WORLD_READABLE = 0o644
_OF_THE_HOST = ("User", "Group")
"""Settings that the install script has fitted to the host."""


def systemctl(*arguments: str) -> None:
    """Run systemctl, on a host with systemd.

    Raises:
        HostError: It failed, or took too long.
    """
    if not SYSTEMD_RUNS.is_dir():
        return
    command = ["systemctl", *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=RELOAD_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"{' '.join(command)} failed: {error}") from error
    if done.returncode:
        raise HostError(f"{' '.join(command)} failed: {' '.join(done.stderr.split())[-500:]}")


@dataclass(frozen=True)
class Units:
    """The unit files in `folder`, /etc/systemd/system on a host."""

    folder: Path
    systemctl: Callable[..., None] = systemctl

    def use_agent_unit(self, release: Path) -> None:
        """Let the next start of the agent follow the release's unit; doing it again is harmless.

        Raises:
            HostError: The release has no such unit, or it cannot be put in place.
        """
        if self._replace(release, (AGENT_UNIT,)):
            self.systemctl("daemon-reload")

    def use_updater_units(self, release: Path) -> None:
        """Let the updater's next start follow the release's units; doing it again is harmless.

        Raises:
            HostError: The release has no such unit, or it cannot be put in place.
        """
        if self._replace(release, UPDATER_UNITS):
            self.systemctl("daemon-reload")
            self.systemctl("restart", "crosshaul-update.path")  # it goes on with the old one otherwise

    def _replace(self, release: Path, names: Sequence[UnitName]) -> bool:
        """Write the units that differ; return False if this host has none, like an image."""
        if not (self.folder / AGENT_UNIT).exists():
            return False
        try:
            for name in names:
                self._write(name, (release / "units" / name).read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise HostError(f"the units of {release.name} cannot be used: {error}") from error
        return True

    def _write(self, name: UnitName, content: str) -> None:
        path = self.folder / name
        if path.is_symlink():  # masked, or kept elsewhere, by whoever administers the host
            return
        installed = path.read_text(errors="replace") if path.exists() else ""
        fitted = _with_settings(content, installed)
        if fitted != installed:
            atomic_write(path, fitted.encode(), _WORLD_READABLE)


def _with_settings(unit: str, installed: str) -> str:
    """Return a unit with the account of the one that is installed."""
    for key in _OF_THE_HOST:
        if found := re.search(rf"^{key}=[A-Za-z0-9_.-]+$", installed, re.MULTILINE):
            unit = re.sub(rf"^{key}=.*$", found[0], unit, flags=re.MULTILINE)
    return unit
