"""The rclone remotes of this host that agent.toml lists; locations can name no others."""

from collections.abc import Iterable
from pathlib import Path

from agent.config import Config, RemoteConfig
from agent.errors import HopError
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
            raise HopError(_not_described(self._rclone_config))
        return self._rclone_config

    def _unknown(self, location: RemoteLocation) -> Problem:
        return Problem(
            code="remote-unknown",
            message=f"This agent has no remote named {location.remote}.",
            advice=f"Its remotes are {self._names(self._remotes)}; its host's administrator can add one in "
            "agent.toml.",
            path=str(location),
        )

    def _read_only(self, location: RemoteLocation) -> Problem:
        writable = [name for name, remote in self._remotes.items() if remote.access == "rw"]
        return Problem(
            code="read-only-remote",
            message=f"{location} is on the remote {location.remote}, which is read-only.",
            advice=f"Writable remotes: {self._names(writable)}.",
            path=str(location),
        )

    @staticmethod
    def _names(names: Iterable[str]) -> str:
        return ", ".join(names) or "none"


def _not_described(path: Path | None) -> Problem:
    return Problem(
        code="remote-not-described",
        message=f"The rclone configuration of this agent's host does not exist: {path}.",
        advice="Its administrator can create it with `rclone config`, or set rclone_config in agent.toml to "
        "another file.",
    )
