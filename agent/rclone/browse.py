"""Listing a directory of a remote for people, a page at a time: rclone lists it, for as long as somebody
waits for the answer."""

import errno
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from agent.errors import HopError
from agent.files.browse import describe_os_error, list_page
from agent.pull.source import SourceConnectionError
from agent.rclone.backend import Backend, remote_backend
from agent.rclone.errors import DIRECTORY_NOT_FOUND, error_lines
from agent.rclone.lsjson import modified
from agent.rclone.process import RcloneError, RcloneProcess
from agent.remotes import Remotes
from events.base import AgentId, Problem
from events.commands import Browse
from events.locations import RemoteLocation, base_name, inner_path
from events.reports import Browsed, DirectoryEntry

LISTING_TIMEOUT_S = 6.0
"""Seconds for a listing: whoever asked hears nothing after 8."""
MAX_LISTINGS = 2
"""Listings; each is an rclone of its own."""


class RemoteBrowser:
    """Answers `Browse` commands about a remote. Used by any thread."""

    def __init__(self, agent_id: AgentId, remotes: Remotes, within: float = LISTING_TIMEOUT_S) -> None:
        self._agent_id = agent_id
        self._remotes = remotes
        self._within = within
        self._places = threading.BoundedSemaphore(MAX_LISTINGS)

    def __call__(self, asked: Browse) -> Browsed:
        path = asked.path.strip("/")
        place = RemoteLocation(agent_id=self._agent_id, remote=asked.remote or "", path=path)
        try:
            return self._listed(asked, remote_backend(place, self._remotes, writing=False))
        except HopError as error:
            return Browsed(request_id=asked.request_id, problem=error.problem)

    def _listed(self, asked: Browse, store: Backend) -> Browsed:
        if not self._places.acquire(timeout=self._within):
            raise HopError(_slow(store.place))
        try:
            with closing(store.begin()) as rclone:
                answer = list_page(asked, _found(rclone, store, self._within), _entry)
                if _may_be_it(answer, store) and _is_file(rclone, store, self._within):
                    raise HopError(describe_os_error(str(store.place), NotADirectoryError(errno.ENOTDIR, "")))
                return answer
        except RcloneError as ended:
            raise HopError(_explained(ended, store)) from ended
        except SourceConnectionError as lost:
            raise HopError(store.passing_problem(str(lost), store.place)) from lost
        finally:
            self._places.release()


def _found(rclone: RcloneProcess, store: Backend, within: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each name and what rclone tells of it. The time of its last change where that costs no request of its
    own."""
    where = store.directory(inner_path(store.place))
    for line in rclone.output("lsjson", "--no-mimetype", "--use-server-modtime", where, within=within):
        if line.startswith(b"{"):
            fields = json.loads(line.rstrip(b",\n"))
            yield str(fields["Name"]), fields


def _may_be_it(answer: Browsed, store: Backend) -> bool:
    """Of a file rclone lists just the file."""
    name = base_name(store.place)
    return bool(name) and [(one.name, one.type) for one in answer.entries] == [(name, "file")]


def _is_file(rclone: RcloneProcess, store: Backend, within: float) -> bool:
    lines = rclone.output(
        "lsjson", "--stat", "--no-mimetype", store.at(inner_path(store.place)), within=within
    )
    fields = json.loads(b"".join(lines))
    return fields is not None and not fields["IsDir"]


def _entry(name: str, fields: dict[str, Any]) -> DirectoryEntry:
    """Some services do not know how large a document is; a time that no calendar here has is left out."""
    changed = modified(str(fields["ModTime"]))
    if fields["IsDir"]:
        return DirectoryEntry(name=name, type="directory", modified=changed)
    size = fields["Size"] if fields["Size"] >= 0 else None
    return DirectoryEntry(name=name, type="file", size=size, modified=changed)


def _explained(ended: RcloneError, store: Backend) -> Problem:
    if ended.code < 0:
        return _slow(store.place)
    words = " ".join(words for words, _ in error_lines(ended.errors))
    if ended.code == DIRECTORY_NOT_FOUND:
        return describe_os_error(str(store.place), FileNotFoundError(errno.ENOENT, ""))
    return store.known_problem(words, store.place) or store.passing_problem(words, store.place)


def _slow(place: object) -> Problem:
    return Problem(
        code="remote-slow",
        message=f"{place} could not be listed while you waited.",
        advice="Try again, or write the path by hand: a transfer takes its time.",
        path=str(place),
        retryable=True,
    )
