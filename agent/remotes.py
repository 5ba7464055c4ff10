"""The rclone remotes of this host that agent.toml lists; locations can name no others."""

from collections.abc import Iterable
from pathlib import Path

from agent.config import Config, RemoteConfig
from agent.errors import HopError
from agent.problems import RCLONE_CONFIG_MISSING, REMOTE_NOT_WRITABLE, REMOTE_UNKNOWN
from events.base import Problem
from events.locations import RemoteLocation


class Remotes:
    """The remotes as agent.toml lists them now."""

    def __init__(self, remotes: Iterable[RemoteConfig] = (), rclone_config: Path | None = None) -> None:
        """Create the list; `rclone_config` is the path of rclone's own configuration."""
        self._remotes = {remote.name: remote for remote in remotes}
        self._rclone_config = rclone_config

    def reload(self, config: Config) -> None:
        """Use the remotes of a changed agent.toml from now on."""
        self._remotes = {remote.name: remote for remote in config.remotes}
        self._rclone_config = config.rclone_config

    def find(self, location: RemoteLocation, *, writing: bool) -> RemoteConfig:
        """Return the remote of a location.

        Raises HopError if the host does not offer it, or not for writing.
        """
        remote = self._remotes.get(location.remote)
        if remote is None:
            raise HopError(self._unknown(location))
        if writing and remote.access != "rw":
            raise HopError(self._read_only(location))
        return remote

    @property
    def rclone_config(self) -> Path:
        """Path of rclone's own configuration. Raises HopError if it does not exist."""
        if self._rclone_config is None or not self._rclone_config.is_file():
            raise HopError(RCLONE_CONFIG_MISSING.problem(file=self._rclone_config))
        return self._rclone_config

    def _unknown(self, location: RemoteLocation) -> Problem:
        return REMOTE_UNKNOWN.problem(
            path=str(location), remote=location.remote, remotes=self._names(self._remotes)
        )

    def _read_only(self, location: RemoteLocation) -> Problem:
        writable = [name for name, remote in self._remotes.items() if remote.access == "rw"]
        return REMOTE_NOT_WRITABLE.problem(
            path=str(location), remote=location.remote, remotes=self._names(writable)
        )

    @staticmethod
    def _names(names: Iterable[str]) -> str:
        return ", ".join(names) or "none"
