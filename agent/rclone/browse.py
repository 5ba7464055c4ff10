"""List a directory of a remote for people, one page at a time, while they wait."""

import errno
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from agent.errors import HopError
from agent.files.browse import describe_os_error, list_page
from agent.problems import REMOTE_SLOW
from agent.pull.source import SourceConnectionError
from agent.rclone.backend import Backend, backend_of
from agent.rclone.errors import DIRECTORY_NOT_FOUND, error_lines, problem_of, transient_problem
from agent.rclone.lsjson import parse_time
from agent.rclone.names import from_rclone
from agent.rclone.process import RcloneError, RcloneProcess
from agent.remotes import Remotes
from events.base import AgentId, Problem
from events.commands import Browse
from events.locations import RemoteLocation, base_name, inner_path
from events.reports import Browsed, DirectoryEntry

LISTING_TIMEOUT_S = 6.0
"""Seconds for a listing: the request itself times out after 8."""
MAX_LISTINGS = 2
"""Listings at once; each runs an rclone of its own."""


class RemoteBrowser:
    """Answers `Browse` commands about a remote. Safe to use from any thread."""

    def __init__(self, agent_id: AgentId, remotes: Remotes, timeout_s: float = LISTING_TIMEOUT_S) -> None:
        self._agent_id = agent_id
        self._remotes = remotes
        self._timeout_s = timeout_s
        self._slots = threading.BoundedSemaphore(MAX_LISTINGS)

    def __call__(self, command: Browse) -> Browsed:
        path = command.path.strip("/")
        location = RemoteLocation(agent_id=self._agent_id, remote=command.remote or "", path=path)
        try:
            return self._list(command, backend_of(location, self._remotes, writing=False))
        except HopError as error:
            return Browsed(request_id=command.request_id, problem=error.problem)

    def _list(self, command: Browse, backend: Backend) -> Browsed:
        if not self._slots.acquire(timeout=self._timeout_s):
            raise HopError(REMOTE_SLOW.problem(path=str(backend.location)))
        try:
            with closing(backend.create_process()) as rclone:
                answer = list_page(command, _list_names(rclone, backend, self._timeout_s), _entry)
                if _may_be_file(answer, backend) and _is_file(rclone, backend, self._timeout_s):
                    raise HopError(
                        describe_os_error(str(backend.location), NotADirectoryError(errno.ENOTDIR, ""))
                    )
                return answer
        except RcloneError as ended:
            raise HopError(_problem_of(ended, backend)) from ended
        except SourceConnectionError as error:
            raise HopError(transient_problem(str(error), backend.location)) from error
        finally:
            self._slots.release()


def _list_names(
    rclone: RcloneProcess, backend: Backend, timeout_s: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each name and what rclone says about it.

    Modification times are included only where they need no further request.
    """
    directory = backend.rclone_directory(inner_path(backend.location))
    for line in rclone.output(
        "lsjson", "--no-mimetype", "--use-server-modtime", directory, timeout_s=timeout_s
    ):
        if line.startswith(b"{"):
            fields = json.loads(line.rstrip(b",\n"))
            yield from_rclone(str(fields["Name"])), fields


def _may_be_file(answer: Browsed, backend: Backend) -> bool:
    """Return whether the listing may be that of a file, which rclone lists as a directory with that file."""
    name = base_name(backend.location)
    return bool(name) and [(entry.name, entry.type) for entry in answer.entries] == [(name, "file")]


def _is_file(rclone: RcloneProcess, backend: Backend, timeout_s: float) -> bool:
    lines = rclone.output(
        "lsjson",
        "--stat",
        "--no-mimetype",
        backend.rclone_path(inner_path(backend.location)),
        timeout_s=timeout_s,
    )
    fields = json.loads(b"".join(lines))
    return fields is not None and not fields["IsDir"]


def _entry(name: str, fields: dict[str, Any]) -> DirectoryEntry:
    """Return the entry. Some documents have no size; times outside years 1 to 9999 are omitted."""
    changed = parse_time(str(fields["ModTime"]))
    if fields["IsDir"]:
        return DirectoryEntry(name=name, type="directory", modified=changed)
    size = fields["Size"] if fields["Size"] >= 0 else None
    return DirectoryEntry(name=name, type="file", size=size, modified=changed)


def _problem_of(error: RcloneError, backend: Backend) -> Problem:
    if error.code < 0:
        return REMOTE_SLOW.problem(path=str(backend.location))
    text = " ".join(line for line, _ in error_lines(error.errors))
    if error.code == DIRECTORY_NOT_FOUND:
        return describe_os_error(str(backend.location), FileNotFoundError(errno.ENOENT, ""))
    return problem_of(text, backend.location)
