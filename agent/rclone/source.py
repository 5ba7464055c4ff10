"""Pull from a remote: its files as a source, listed and read by rclone.

rclone serves the remote on a Unix socket; ranges of a file are requested over it as on the lane (`reader`),
so a pull resumes in the middle of a file. Times are whole seconds, so a file that was written a moment ago
gets a provisional time at the destination, and is compared by its content the next time.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing

from agent import problems
from agent.errors import HopError
from agent.files.listing import FileEntry, Selection, is_inside, reserved_entry, unreadable_entry
from agent.files.paths import is_reserved
from agent.pull import worker_pool
from agent.pull.bandwidth import chunk_size_for, limiter_for
from agent.pull.mover import HostResources
from agent.pull.provisional_times import with_provisional_time
from agent.pull.source import FileError, SourceConnectionError, changed
from agent.rclone.backend import Backend, backend_of
from agent.rclone.errors import DIRECTORY_NOT_FOUND, error_text, is_line_lost, problem_of, transient_problem
from agent.rclone.lsjson import parse_entry, parse_listing
from agent.rclone.names import is_utf8
from agent.rclone.object_stat import Found, ObjectStat
from agent.rclone.process import RcloneError
from agent.rclone.rc_server import RcServer
from agent.rclone.reader import RcloneReader
from agent.rclone.unsized_files import NoSpaceError, UnsizedFiles
from events.base import Problem
from events.commands import Move
from events.locations import inner_path, stands_for_contents
from events.options import Options
from events.progress import Connection

MAX_STREAMS = 8
"""Connections to begin with: many remotes answer slowly, and to many at once."""
MAX_PACK_FILES = 16


def rclone_source(move: Move, host: HostResources) -> "RcloneSource":
    """Return the source of a hop from a remote to this host.

    Raises:
        HopError: this host does not offer the remote, or rclone is not installed.
    """
    return RcloneSource(backend_of(move.source, host.remotes, writing=False), host, move.options)


class RcloneSource:
    """A hop's source on a remote."""

    streams = MAX_STREAMS
    max_streams = worker_pool.MAX_WORKERS
    pack_files = MAX_PACK_FILES
    is_far = False

    def __init__(self, backend: Backend, host: HostResources, options: Options) -> None:
        """Prepare rclone. Raise HopError if it is not installed."""
        self._backend = backend
        self._location = backend.location
        self._rclone = backend.create_process()
        self._server = RcServer(self._rclone)
        self._unsized_files = UnsizedFiles(host.state)
        self._chunk_bytes = chunk_size_for(options)
        self._mark = ""
        # Never stopped: a long wait here is one for many chunks, and ending rclone ends it.
        self._limiter = limiter_for(options, host.bandwidth, threading.Event())

    def connect(self) -> Connection:
        """Start rclone's server. Raise SourceConnectionError if rclone does not start."""
        self._server.ensure_running()
        return Connection(kind="remote")

    def entries(self, selection: Selection) -> Iterator[FileEntry]:
        """Yield all entries of the selection, each with its size."""
        self._mark = selection.destination.mark if selection.destination else ""
        for entry in map(with_provisional_time, self._find_entries(selection)):
            yield self._with_size(entry) if entry.size < 0 and selection.matches(entry) else entry

    def reader(self) -> RcloneReader:
        """Return a new connection to rclone's server."""
        return RcloneReader(
            self._server.connection, self._backend, self._unsized_files, self._limiter, self.explain
        )

    def interrupt(self) -> None:
        self._rclone.terminate_all()

    def close(self) -> None:
        self._rclone.close()
        self._server.close()
        self._unsized_files.close()

    def _find_entries(self, selection: Selection) -> Iterator[FileEntry]:
        if entry := self._single_file():
            yield entry
        elif selection.paths is None:
            yield from self._list_all()
        else:
            yield from self._list_selected(selection.paths)

    def _single_file(self) -> FileEntry | None:
        """Return the source if it is a single file, None otherwise.

        Raises:
            HopError: the location asks for the contents of a file, or rclone failed, and would fail again.
            SourceConnectionError: rclone failed, and may succeed later.
        """
        path, contents = inner_path(self._location), stands_for_contents(self._location)
        if contents and not path:
            return None
        command = ["lsjson", "--stat", "--no-mimetype", self._backend.rclone_path(path.rstrip("/"))]
        fields = json.loads(b"".join(self._run(command)))
        if fields is None or fields["IsDir"]:
            return None
        if contents:
            raise HopError(problems.OBJECT_NOT_A_DIRECTORY.problem(path=str(self._location)))
        return parse_entry("", fields, self._backend.name_of)

    def _list_all(self) -> Iterator[FileEntry]:
        """Yield all entries, with directories, including empty ones, where the remote has them."""
        empty = True
        directory = self._backend.rclone_directory(inner_path(self._location))
        lines = self._run(["lsjson", "--no-mimetype", "--recursive", directory])
        for entry in parse_listing(lines, self._backend.name_of, self._mark):
            empty = False
            yield entry
        if empty:
            raise HopError(problems.OBJECTS_MISSING.problem(path=str(self._location)))

    def _with_size(self, entry: FileEntry) -> FileEntry:
        """Read a file whose size is unknown to its end, and return it with its size.

        Raises:
            SourceConnectionError: rclone was ended, or the line to the remote is lost.
        """
        if known := self._unsized_files.find(entry):
            return known
        try:
            with closing(
                self._rclone.output(
                    "cat",
                    self._backend.rclone_path(self._backend.path_below_root(entry.path)),
                    chunk_bytes=self._chunk_bytes,
                )
            ) as data:
                return self._unsized_files.store(entry, self._rate_limited(data))
        except (NoSpaceError, OSError):
            return unreadable_entry(entry.path, problems.SIZE_UNKNOWN.problem(path=entry.path))
        except RcloneError as ended:
            explained = self._explain(ended, self._backend.name_of(entry.path))
            if not explained.problem:
                raise explained from ended
            return unreadable_entry(entry.path, explained.problem)

    def _rate_limited(self, data: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the data within the hop's bandwidth limit.

        Reading a file to find its size uses the network, too.
        """
        for piece in data:
            self._limiter.acquire(len(piece))
            yield piece

    def _list_selected(self, selection: tuple[str, ...]) -> Iterator[FileEntry]:
        """Look up each selected file by itself: the remote may hold millions of others."""
        with closing(ObjectStat(self._server, self._backend)) as stat:
            paths = [path for path in selection if _is_listable(path) and not is_reserved(path)]
            for path in selection:
                if not _is_listable(path):
                    yield unreadable_entry(
                        path, problems.NOT_A_PATH.problem(path=self._backend.name_of(path))
                    )
                elif is_reserved(path):
                    yield reserved_entry(path, self._backend.name_of(path))
            found = stat.stat_all([self._backend.path_below_root(path) for path in paths])
            for path, one in zip(paths, found, strict=True):
                yield self._selected(path, one)

    def _selected(self, path: str, found: Found) -> FileEntry:
        if found is None:
            problem = problems.SELECTED_OBJECT_MISSING.problem(path=self._backend.name_of(path))
            return unreadable_entry(path, problem)
        if isinstance(found, dict):
            return parse_entry(path, found, self._backend.name_of)
        explained = self.explain(FileEntry("f", path), str(found))
        if isinstance(explained, FileError):
            return unreadable_entry(path, explained.problem)
        raise explained

    def _run(self, arguments: list[str]) -> Iterator[bytes]:
        """Yield the lines that rclone prints as it prints them.

        Raises:
            HopError: rclone failed, and would fail again.
            SourceConnectionError: rclone failed, and may succeed later.
        """
        try:
            yield from self._rclone.output(*arguments)
        except RcloneError as ended:
            raise self._error_of(ended) from ended

    def _error_of(self, ended: RcloneError) -> HopError | SourceConnectionError:
        """Return what it means that rclone could not list the source."""
        if ended.code == DIRECTORY_NOT_FOUND:
            return HopError(problems.OBJECTS_MISSING.problem(path=str(self._location)))
        error = self._explain(ended, self._location)
        if isinstance(error, FileError):
            return _whole_source(error.problem)
        return error

    def explain(self, entry: FileEntry, text: str) -> FileError | SourceConnectionError:
        """Return what it means that a file cannot be read, with rclone's `text` if it said any.

        What the storage answers about one file is that file's failure. Everything else ends the pass.
        """
        name = self._backend.name_of(entry.path)
        if text:
            return _meaning_of(text, name)
        path = self._backend.rclone_path(self._backend.path_below_root(entry.path))
        try:
            deque(self._rclone.output("cat", "--count=1", path), maxlen=0)
        except RcloneError as ended:
            return self._explain(ended, name)
        except SourceConnectionError as stopped:
            return stopped
        return changed(name)  # it can be read now

    def _explain(self, ended: RcloneError, name: object) -> FileError | SourceConnectionError:
        if ended.code < 0:
            return SourceConnectionError("rclone was stopped")
        return _meaning_of(error_text(ended.errors), name)


def _meaning_of(text: str, name: object) -> FileError | SourceConnectionError:
    if is_line_lost(text):
        transient = transient_problem(text, name)
        return SourceConnectionError(transient.message, transient)
    return FileError(problem_of(text, name))


def _is_listable(selected: str) -> bool:
    return bool(selected) and is_inside(selected) and is_utf8(selected)


def _whole_source(problem: Problem) -> HopError | SourceConnectionError:
    if problem.retryable:
        return SourceConnectionError(problem.message, problem)
    return HopError(problem)
