"""The remotes of this host's rclone that its administrator lets locations name; no other is touched."""

from collections.abc import Iterable
from pathlib import Path

from agent.config import Config, RemoteConfig
from agent.errors import HopError
from events.base import Problem
from events.locations import RemoteLocation


class Remotes:
    """As agent.toml has them now."""

    def __init__(self, remotes: Iterable[RemoteConfig] = (), described_in: Path | None = None) -> None:
        """`described_in` is rclone's own configuration."""
        self._remotes = {remote.name: remote for remote in remotes}
        self._described_in = described_in

    def reload(self, config: Config) -> None:
        self._remotes = {remote.name: remote for remote in config.remotes}
        self._described_in = config.rclone_config

    def find(self, place: RemoteLocation, *, writing: bool) -> RemoteConfig:
        """HopError if the host does not offer it, or not to be written to."""
        remote = self._remotes.get(place.remote)
        if remote is None:
            raise HopError(self._unknown(place))
        if writing and remote.access != "rw":
            raise HopError(self._read_only(place))
        return remote

    @property
    def described_in(self) -> Path:
        """HopError if rclone's configuration is not there."""
        if self._described_in is None or not self._described_in.is_file():
            raise HopError(_not_described(self._described_in))
        return self._described_in

    def _unknown(self, place: RemoteLocation) -> Problem:
        return Problem(
            code="remote-unknown",
            message=f"This agent offers no remote called {place.remote}.",
            advice=f"Its remotes are {self._names(self._remotes)}; its host's administrator can list one.",
            path=str(place),
        )

    def _read_only(self, place: RemoteLocation) -> Problem:
        writable = [name for name, remote in self._remotes.items() if remote.access == "rw"]
        return Problem(
            code="read-only-remote",
            message=f"{place} is on the remote {place.remote}, where nothing may be written.",
            advice=f"It may write to {self._names(writable)}.",
            path=str(place),
        )

    @staticmethod
    def _names(names: Iterable[str]) -> str:
        return ", ".join(names) or "none"


def _not_described(path: Path | None) -> Problem:
    return Problem(
        code="remote-not-described",
        message=f"The rclone configuration of this agent's host is not there: {path}.",
        advice="Its administrator writes it with `rclone config`, or names another as rclone_config in "
        "agent.toml.",
    )
