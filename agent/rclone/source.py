"""Pull from S3 or a remote: objects as a source, listed and read by rclone.

rclone serves the backend on a Unix socket; ranges of an object are requested over it as on the lane
(`reader`), so a pull resumes in the middle of a file. An S3 object's time is when it was written: that
distinguishes all versions and costs no request. On a remote it is the file's own time, in whole seconds.
"""

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing

from agent import problems
from agent.errors import HopError, display_path
from agent.files.listing import FileEntry, Selection, unreadable_entry
from agent.pull import worker_pool
from agent.pull.bandwidth import chunk_size_for, limiter_for
from agent.pull.mover import Credentials, HostResources
from agent.pull.source import SourceConnectionError
from agent.rclone.backend import Backend, backend_of
from agent.rclone.errors import DIRECTORY_NOT_FOUND, error_lines
from agent.rclone.lsjson import is_name_preserved, parse_entry, parse_listing
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
"""Connections to begin with: S3 answers slowly, and to many at once."""
MAX_PACK_FILES = 16


def rclone_source(move: Move, host: HostResources, credentials: Credentials) -> "RcloneSource":
    """Return the source of a hop from S3 or a remote to this host.

    Raises:
        HopError: this host does not offer the remote, or rclone is not installed.
    """
    backend = backend_of(move, move.source, credentials, host.remotes)
    return RcloneSource(backend, host, move.options)


class RcloneSource:
    """A hop's source in S3 or on a remote."""

    streams = MAX_STREAMS
    max_streams = worker_pool.MAX_WORKERS
    pack_files = MAX_PACK_FILES

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
        """Check the credentials and start rclone's server.

        Raises:
            HopError: the control plane refuses credentials.
            SourceConnectionError: the control plane or rclone does not answer.
        """
        self._rclone.check()
        self._server.ensure_running()
        return Connection(kind=self._backend.kind)

    def entries(self, selection: Selection) -> Iterator[FileEntry]:
        """Yield all entries of the selection, each with its size."""
        self._mark = selection.destination.mark if selection.destination else ""
        for entry in self._find_entries(selection):
            yield self._with_size(entry) if entry.size < 0 and selection.matches(entry) else entry

    def reader(self) -> RcloneReader:
        """Return a new connection to rclone's server."""
        return RcloneReader(self._server.connection, self._backend, self._unsized_files)

    def interrupt(self) -> None:
        self._rclone.terminate_all()

    def close(self) -> None:
        self._rclone.close()
        self._server.close()
        self._unsized_files.close()

    def _find_entries(self, selection: Selection) -> Iterator[FileEntry]:
        if entry := self._single_object():
            yield entry
        elif selection.paths is None:
            yield from self._list_all()
        else:
            yield from self._list_selected(selection.paths)

    def _single_object(self) -> FileEntry | None:
        """Return the source if it is a single object, None otherwise.

        In S3, an object and a prefix may have the same name.

        Raises:
            HopError: the location asks for the contents of a remote's file.
        """
        path, contents = inner_path(self._location), stands_for_contents(self._location)
        if contents and (self._backend.kind == "s3" or not path):
            return None
        lines = self._run(["lsjson", "--stat", "--no-mimetype", self._backend.rclone_path(path.rstrip("/"))])
        fields = json.loads(b"".join(lines))
        if fields is None or fields["IsDir"]:
            return None
        if contents:
            raise HopError(problems.OBJECT_NOT_A_DIRECTORY.problem(path=str(self._location)))
        return parse_entry("", fields)

    def _list_all(self) -> Iterator[FileEntry]:
        empty = True
        for entry in self._list(["--recursive"]):
            empty = False
            yield entry
        if empty:
            raise HopError(problems.OBJECTS_MISSING.problem(path=str(self._location)))

    def _list(self, options: list[str]) -> Iterator[FileEntry]:
        """Yield the entries; with directories, including empty ones, where the backend has them."""
        kinds = ["--files-only"] if self._backend.kind == "s3" else []
        directory = self._backend.rclone_directory(inner_path(self._location))
        return parse_listing(
            self._run(["lsjson", "--no-mimetype", *kinds, *options, directory]), self._location, self._mark
        )

    def _with_size(self, entry: FileEntry) -> FileEntry:
        """Read a file whose size is unknown to its end, and return it with its size.

        Raises:
            SourceConnectionError: rclone was ended.
            HopError: no credentials are issued.
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
            return unreadable_entry(
                entry.path, self._problem_of(ended, display_path(f"{self._location}{entry.path}"))
            )

    def _rate_limited(self, data: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the data within the hop's bandwidth limit.

        Reading a file to find its size uses the network, too.
        """
        for piece in data:
            self._limiter.acquire(len(piece))
            yield piece

    def _list_selected(self, selection: tuple[str, ...]) -> Iterator[FileEntry]:
        """Look up each selected object by itself: a bucket may hold millions of others."""
        lines = [path for path in selection if is_name_preserved(path)]
        missing = dict.fromkeys(lines)
        for path in selection:
            if path not in missing:  # with a line break, it would select two other objects
                yield unreadable_entry(
                    path, problems.CONTROL_CHARACTER_IN_NAME.problem(path=f"{self._location}{path}")
                )
        if not lines:
            return
        with tempfile.NamedTemporaryFile(dir=self._server.directory) as names:
            names.writelines(path.encode("utf-8", "surrogateescape") + b"\n" for path in lines)
            names.flush()
            for entry in self._list(["--recursive", f"--files-from-raw={names.name}"]):
                missing.pop(entry.path, None)
                yield entry
        for path in missing:
            yield unreadable_entry(
                path, problems.SELECTED_OBJECT_MISSING.problem(path=f"{self._location}{path}")
            )

    def _run(self, arguments: list[str]) -> Iterator[bytes]:
        """Yield the lines that rclone prints as it prints them.

        Raises:
            HopError: rclone failed, and would fail again.
            SourceConnectionError: rclone failed, and may succeed later.
        """
        try:
            yield from self._rclone.output(*arguments)
        except RcloneError as ended:
            self._raise_for(ended)

    def _raise_for(self, error: RcloneError) -> None:
        problem = self._problem_of(error, self._location)
        if error.code == DIRECTORY_NOT_FOUND:
            raise HopError(problems.OBJECTS_MISSING.problem(path=str(self._location)))
        if not problem.retryable:
            raise HopError(problem)
        raise SourceConnectionError(problem.message)

    def _problem_of(self, error: RcloneError, location: object) -> Problem:
        """Return the problem at this location.

        Raises:
            HopError: no credentials are issued.
            SourceConnectionError: rclone was ended, or the control plane does not answer.
        """
        if refusal := self._rclone.refusal:
            raise refusal
        if error.code < 0:
            raise SourceConnectionError("rclone was stopped")
        text = " ".join(line for line, _ in error_lines(error.errors))
        return self._backend.permanent_problem(text, location) or self._backend.transient_problem(
            text, location
        )
