"""What rclone reads or writes for a hop: S3, or a remote that this host offers."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from agent.rclone import errors
from agent.rclone.process import RcloneProcess, inherited_environment
from agent.rclone.s3_process import REMOTE, Credentials, S3RcloneProcess, s3_route
from agent.remotes import Remotes
from events.base import Problem
from events.commands import Move
from events.locations import Location, RemoteLocation, S3Location, inner_path

_FOR_CONFIGURATIONS = ("HOME", "SSH_AUTH_SOCK", "RCLONE_CONFIG_PASS", "KRB5_CONFIG")
"""Of the agent's environment, what a remote's description may want: keys below a home, its password."""

_NO_MTIME_PRECISION = 100 * 365 * 24 * 3600 * 10**9
"""The precision, in nanoseconds, of a remote that keeps no times. https://rclone.org/commands/rclone_backend/"""


@dataclass(frozen=True)
class Backend:
    """One hop's, or somebody's who looks into it."""

    place: S3Location | RemoteLocation
    kind: Literal["s3", "remote"]
    name: str
    """For people."""
    top: str
    """What the place's path is relative to, in rclone's words."""
    begin: Callable[[], RcloneProcess]
    """rclone, knowing how to get there; HopError."""
    known_problem: Callable[[str, object], Problem | None]
    passing_problem: Callable[[str, object], Problem]

    def at(self, path: str) -> str:
        """A path below the top, in rclone's words."""
        joint = "" if not path or self.top.endswith((":", "/")) else "/"
        return f"{self.top}{joint}{path}"

    def directory(self, path: str) -> str:
        """The same. With a slash at its end it is not looked at first whether an object is called so, which
        S3's credentials would not allow."""
        where = self.at(path.rstrip("/"))
        return where if where.endswith((":", "/")) else f"{where}/"

    def address(self, path: str) -> str:
        """Where rclone's server has what is at a path below the place."""
        return quote(f"/[{self.top}]/{self.inner(path)}", errors="surrogateescape")

    def inner(self, path: str) -> str:
        """The same place, below the top."""
        return "/".join(part for part in (inner_path(self.place).strip("/"), path) if part)

    def precision(self, rclone: RcloneProcess) -> int | None:
        """Of the times that it keeps, in nanoseconds. None if it keeps none: then two files of one size are
        the same to rclone, whatever is in them."""
        if self.kind == "s3":
            return 1
        process = rclone.start("backend", "features", self.top)
        told, _ = process.communicate()
        if rclone.ended(process):
            return None
        precision = int(json.loads(told)["Precision"])
        return precision if precision < _NO_MTIME_PRECISION else None


def backend_of(order: Move, place: Location, credentials: Credentials, remotes: Remotes) -> Backend:
    """The end of a hop that rclone is at. HopError if this host does not offer it."""
    match place:
        case S3Location():
            return _s3(order, place, credentials)
        case RemoteLocation():
            return remote_backend(place, remotes, writing=place == order.destination)
        case _:
            raise TypeError(f"{order.hop_id}: rclone has nothing to do at {place}")


def _s3(order: Move, place: S3Location, credentials: Credentials) -> Backend:
    return Backend(
        place=place,
        kind="s3",
        name="S3",
        top=f"{REMOTE}:{place.bucket}",
        begin=lambda: S3RcloneProcess(order.hop_id, s3_route(order), credentials),
        known_problem=errors.permanent_s3_problem,
        passing_problem=errors.transient_s3_problem,
    )


def remote_backend(place: RemoteLocation, remotes: Remotes, *, writing: bool) -> Backend:
    """HopError if this host does not offer it."""
    return Backend(
        place=place,
        kind="remote",
        name=f"the remote {place.remote}",
        top=remotes.find(place, writing=writing).top,
        begin=lambda: RcloneProcess(_environment(remotes)),
        known_problem=errors.permanent_remote_problem,
        passing_problem=errors.transient_remote_problem,
    )


def _environment(remotes: Remotes) -> dict[str, str]:
    """The host's own configuration, which rclone is told the name of, and no more. It asks nobody."""
    return inherited_environment(*_FOR_CONFIGURATIONS) | {
        "RCLONE_CONFIG": os.fspath(remotes.described_in),
        "RCLONE_ASK_PASSWORD": "false",
        "RCLONE_USE_JSON_LOG": "true",
        "RCLONE_LOG_LEVEL": "NOTICE",
        "RCLONE_LOW_LEVEL_RETRIES": "4",
    }
