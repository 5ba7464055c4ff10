"""What rclone reads or writes for a hop or a listing: a remote that this host offers."""

import json
import os
from dataclasses import dataclass
from urllib.parse import quote

from agent.errors import display_path
from agent.rclone.names import to_rclone
from agent.rclone.process import RcloneProcess, inherited_environment
from agent.remotes import Remotes
from events.locations import Location, RemoteLocation, inner_path

_FOR_CONFIGURATIONS = ("HOME", "SSH_AUTH_SOCK", "RCLONE_CONFIG_PASS", "KRB5_CONFIG")
"""Environment variables of the agent that a remote's configuration may need: keys below a home, its password.
"""

_NO_MTIME_PRECISION = 100 * 365 * 24 * 3600 * 10**9
"""The precision, in nanoseconds, of a remote that keeps no modification times.
https://rclone.org/commands/rclone_backend/"""


@dataclass(frozen=True)
class Backend:
    """A remote, for one hop or one listing."""

    location: RemoteLocation
    root: str
    """What the location's path is relative to, in rclone's syntax."""
    remotes: Remotes

    def create_process(self) -> RcloneProcess:
        """Prepare rclone with the host's configuration. Raise HopError if it is not installed."""
        return RcloneProcess(_environment(self.remotes))

    def name_of(self, path: str) -> str:
        """Return the name, for people, of what is at a path below the location."""
        where = str(self.location)
        joint = "" if not path or where.endswith((":", "/")) else "/"
        return display_path(f"{where}{joint}{path}")

    def rclone_path(self, path: str) -> str:
        """Return a path below the root in rclone's syntax."""
        joint = "" if not path or self.root.endswith((":", "/")) else "/"
        return f"{self.root}{joint}{to_rclone(path)}"

    def rclone_directory(self, path: str) -> str:
        """Return a directory below the root in rclone's syntax.

        With a slash at its end, rclone does not first look for a file of that name.
        """
        where = self.rclone_path(path.rstrip("/"))
        return where if where.endswith((":", "/")) else f"{where}/"

    def url_path(self, path: str) -> str:
        """Return the URL path under which rclone's server has a path below the location."""
        return quote(f"/[{self.root}]/{to_rclone(self.path_below_root(path))}", errors="surrogateescape")

    def path_below_root(self, path: str) -> str:
        """Return a path below the location as a path below the root."""
        return "/".join(part for part in (inner_path(self.location).strip("/"), path) if part)

    def mtime_precision_ns(self, rclone: RcloneProcess) -> int | None:
        """Return the precision of its modification times, in nanoseconds; None if it keeps none.

        Without times, rclone treats two files of one size as identical, whatever their content.
        """
        process = rclone.spawn("backend", "features", self.root)
        output, _ = process.communicate()
        if rclone.wait(process):
            return None
        precision = int(json.loads(output)["Precision"])
        return precision if precision < _NO_MTIME_PRECISION else None


def backend_of(location: Location, remotes: Remotes, *, writing: bool) -> Backend:
    """Return the backend of a remote. Raise HopError if this host does not offer it."""
    if not isinstance(location, RemoteLocation):
        raise TypeError(f"rclone has nothing to do at {location}")
    return Backend(location, remotes.find(location, writing=writing).top, remotes)


def _environment(remotes: Remotes) -> dict[str, str]:
    """Return rclone's environment: the name of the host's own configuration file and little else.

    rclone must never prompt for a password.
    """
    return inherited_environment(*_FOR_CONFIGURATIONS) | {
        "RCLONE_CONFIG": os.fspath(remotes.rclone_config),
        "RCLONE_ASK_PASSWORD": "false",
        "RCLONE_USE_JSON_LOG": "true",
        "RCLONE_LOG_LEVEL": "NOTICE",
        "RCLONE_LOW_LEVEL_RETRIES": "4",
    }
