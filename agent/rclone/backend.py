"""What rclone reads or writes for a hop: S3, or a remote that this host offers."""

import json
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from agent import problems
from agent.errors import HopError
from agent.pull.mover import Credentials
from agent.rclone import errors
from agent.rclone.names import to_rclone
from agent.rclone.process import RcloneError, RcloneProcess, inherited_environment
from agent.rclone.s3_process import REMOTE, S3RcloneProcess, s3_route
from agent.remotes import Remotes
from events.base import Problem
from events.commands import Move
from events.locations import Location, RemoteLocation, S3Location, inner_path

_FOR_CONFIGURATIONS = ("HOME", "SSH_AUTH_SOCK", "RCLONE_CONFIG_PASS", "KRB5_CONFIG")
"""Environment variables of the agent that a remote's configuration may need: keys below a home, its password.
"""

_NO_MTIME_PRECISION = 100 * 365 * 24 * 3600 * 10**9
"""The precision, in nanoseconds, of a remote that keeps no modification times.
https://rclone.org/commands/rclone_backend/"""


@dataclass(frozen=True)
class Backend:
    """S3 or a remote, for one hop or one listing."""

    location: S3Location | RemoteLocation
    root: str
    """What the location's path is relative to, in rclone's syntax."""
    create_process: Callable[[], RcloneProcess]
    """Prepare rclone with the configuration for this backend. Raises HopError."""
    permanent_problem: Callable[[str, object], Problem | None]
    transient_problem: Callable[[str, object], Problem]

    @property
    def kind(self) -> Literal["s3", "remote"]:
        return "s3" if isinstance(self.location, S3Location) else "remote"

    @property
    def name(self) -> str:
        """Return its name for people."""
        return "S3" if isinstance(self.location, S3Location) else f"the remote {self.location.remote}"

    def rclone_path(self, path: str) -> str:
        """Return a path below the root in rclone's syntax."""
        joint = "" if not path or self.root.endswith((":", "/")) else "/"
        return f"{self.root}{joint}{to_rclone(path)}"

    def rclone_directory(self, path: str) -> str:
        """Return a directory below the root in rclone's syntax.

        With a slash at its end, rclone does not first check for an object of that name, which the hop's
        credentials for S3 would not allow.
        """
        where = self.rclone_path(path.rstrip("/"))
        return where if where.endswith((":", "/")) else f"{where}/"

    def url_path(self, path: str) -> str:
        """Return the URL path under which rclone's server has a path below the location."""
        return quote(f"/[{self.root}]/{to_rclone(self.path_below_root(path))}", errors="surrogateescape")

    def path_below_root(self, path: str) -> str:
        """Return a path below the location as a path below the root."""
        return "/".join(part for part in (inner_path(self.location).strip("/"), path) if part)

    def listing_error(self, rclone: RcloneProcess, below: str) -> str:
        """Return rclone's error for a listing of a prefix that does not exist; '' if it is allowed.

        Unlike an answer about one object, it tells why S3 refuses.
        """
        path = f"{inner_path(self.location).rstrip('/')}/{below}".lstrip("/")
        try:
            deque(rclone.output("lsf", self.rclone_directory(path)), maxlen=0)
        except RcloneError as error:
            return "" if error.code == errors.DIRECTORY_NOT_FOUND else errors.error_text(error.errors)
        return ""

    def mtime_precision_ns(self, rclone: RcloneProcess) -> int | None:
        """Return the precision of its modification times, in nanoseconds; None if it keeps none.

        Without times, rclone treats two files of one size as identical, whatever their content.
        """
        if self.kind == "s3":
            return 1
        process = rclone.spawn("backend", "features", self.root)
        output, _ = process.communicate()
        if rclone.wait(process):
            return None
        precision = int(json.loads(output)["Precision"])
        return precision if precision < _NO_MTIME_PRECISION else None


def backend_of(command: Move, location: Location, credentials: Credentials, remotes: Remotes) -> Backend:
    """Return the backend at one end of a hop.

    Raises:
        HopError: this host does not offer the remote, or rclone cannot name the prefix.
    """
    match location:
        case S3Location():
            return _s3(command, location, credentials)
        case RemoteLocation():
            return remote_backend(location, remotes, writing=location == command.destination)
        case _:
            raise TypeError(f"{command.hop_id}: rclone has nothing to do at {location}")


def _s3(command: Move, location: S3Location, credentials: Credentials) -> Backend:
    if location.prefix.endswith("//"):  # rclone would use the prefix with one slash, which is another
        raise HopError(problems.NOT_A_PATH.problem(path=str(location)))
    return Backend(
        location=location,
        root=f"{REMOTE}:{location.bucket}",
        create_process=lambda: S3RcloneProcess(command.hop_id, s3_route(command), credentials),
        permanent_problem=errors.permanent_s3_problem,
        transient_problem=errors.transient_s3_problem,
    )


def remote_backend(location: RemoteLocation, remotes: Remotes, *, writing: bool) -> Backend:
    """Return the backend of a remote. Raise HopError if this host does not offer it."""
    return Backend(
        location=location,
        root=remotes.find(location, writing=writing).top,
        create_process=lambda: RcloneProcess(_environment(remotes)),
        permanent_problem=errors.permanent_remote_problem,
        transient_problem=errors.transient_remote_problem,
    )


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
