"""A hop from S3 or a remote: objects as a source, listed and read by rclone.

rclone serves the store on a socket in a directory that only this agent's user can enter; ranges of an object
are asked for over it as on the lane (`store_reader`), so a pull from it goes on in the middle of a file, too.
An object's time is when it was written to S3: that tells every version from the next, and costs no request.
On a remote it is what the remote has, to the second.
"""

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing

from agent.errors import HopError, display_path
from agent.files.listing import FileEntry, Selection, unreadable_entry
from agent.pull import worker_pool
from agent.pull.bandwidth import chunk_size_for, limiter_for
from agent.pull.mover import HostResources
from agent.pull.source import SourceConnectionError
from agent.rclone.backend import Backend
from agent.rclone.errors import DIRECTORY_NOT_FOUND, error_lines
from agent.rclone.lsjson import entry_of, is_carried, listed, not_carried
from agent.rclone.process import RcloneError
from agent.rclone.rc_server import RcServer
from agent.rclone.reader import RcloneReader
from agent.rclone.unsized_files import NoSpaceError, UnsizedFiles
from events.base import Problem
from events.locations import inner_path, stands_for_contents
from events.options import Options
from events.progress import Connection

MAX_STREAMS = 8
"""S3 answers slowly and to many at once."""
MAX_PACK_FILES = 16


class RcloneSource:
    streams = MAX_STREAMS
    most_streams = worker_pool.MAX_WORKERS
    pack_files = MAX_PACK_FILES

    def __init__(self, store: Backend, host: HostResources, options: Options) -> None:
        """HopError if there is no rclone here."""
        self._store = store
        self._place = store.place
        self._rclone = store.begin()
        self._serving = RcServer(self._rclone)
        self._aside = UnsizedFiles(host.state)
        self._piece = chunk_size_for(options)
        self._mark = ""
        # Never stopped: who waits here for long waits for many pieces, and rclone's end ends them.
        self._limiter = limiter_for(options, host.line, threading.Event())

    def connect(self) -> Connection:
        self._rclone.check()
        self._serving.ensure()
        return Connection(kind=self._store.kind)

    def entries(self, meant: Selection) -> Iterator[FileEntry]:
        self._mark = meant.arrives.mark if meant.arrives else ""
        for entry in self._found(meant):
            yield self._sized(entry) if entry.size < 0 and meant.matches(entry) else entry

    def reader(self) -> RcloneReader:
        return RcloneReader(self._serving.connection, self._store, self._aside)

    def interrupt(self) -> None:
        self._rclone.interrupt()

    def close(self) -> None:
        self._rclone.close()
        self._serving.close()
        self._aside.close()

    def _found(self, meant: Selection) -> Iterator[FileEntry]:
        if one := self._object():
            yield one
        elif meant.selection is None:
            yield from self._all()
        else:
            yield from self._selected(meant.selection)

    def _object(self) -> FileEntry | None:
        """The source if it is a single object; None if it stands for many. HopError for a remote's file that
        is to have contents; in S3 there may be an object and a prefix of one name."""
        path, contents = inner_path(self._place), stands_for_contents(self._place)
        if contents and (self._store.kind == "s3" or not path):
            return None
        lines = self._run(["lsjson", "--stat", "--no-mimetype", self._store.at(path.rstrip("/"))])
        fields = json.loads(b"".join(lines))
        if fields is None or fields["IsDir"]:
            return None
        if contents:
            raise HopError(_no_directory(self._place))
        return entry_of("", fields)

    def _all(self) -> Iterator[FileEntry]:
        empty = True
        for entry in self._listed(["--recursive"]):
            empty = False
            yield entry
        if empty:
            raise HopError(_nothing(self._place))

    def _listed(self, options: list[str]) -> Iterator[FileEntry]:
        """With the directories, empty ones, too, where there are such things."""
        kinds = ["--files-only"] if self._store.kind == "s3" else []
        where = self._store.directory(inner_path(self._place))
        return listed(
            self._run(["lsjson", "--no-mimetype", *kinds, *options, where]), self._place, self._mark
        )

    def _sized(self, entry: FileEntry) -> FileEntry:
        """One that has no size yet is read to its end. LostError, HopError."""
        if known := self._aside.known(entry):
            return known
        try:
            with closing(
                self._rclone.output("cat", self._store.at(self._store.inner(entry.path)), at_once=self._piece)
            ) as data:
                return self._aside.keep(entry, self._in_turn(data))
        except (NoSpaceError, OSError):
            return unreadable_entry(entry.path, _no_size(entry.path))
        except RcloneError as ended:
            return unreadable_entry(entry.path, self._why(ended, display_path(f"{self._place}{entry.path}")))

    def _in_turn(self, data: Iterator[bytes]) -> Iterator[bytes]:
        """As fast as the hop may: reading for the size, too, is on the line."""
        for piece in data:
            self._limiter.take(len(piece))
            yield piece

    def _selected(self, selection: tuple[str, ...]) -> Iterator[FileEntry]:
        """Each object that was named, looked up by itself: a bucket may hold millions of others."""
        lines = [path for path in selection if is_carried(path)]
        missing = dict.fromkeys(lines)
        for path in selection:
            if path not in missing:  # with a line break in it, it would select two other objects
                yield unreadable_entry(path, not_carried(display_path(f"{self._place}{path}")))
        if not lines:
            return
        with tempfile.NamedTemporaryFile(dir=self._serving.folder) as names:
            names.writelines(path.encode("utf-8", "surrogateescape") + b"\n" for path in lines)
            names.flush()
            for entry in self._listed(["--recursive", f"--files-from-raw={names.name}"]):
                missing.pop(entry.path, None)
                yield entry
        for path in missing:
            yield unreadable_entry(path, _gone(display_path(f"{self._place}{path}")))

    def _run(self, arguments: list[str]) -> Iterator[bytes]:
        """The lines that rclone prints, as it prints them. HopError or LostError if it fails."""
        try:
            yield from self._rclone.output(*arguments)
        except RcloneError as ended:
            self._explain(ended)

    def _explain(self, ended: RcloneError) -> None:
        problem = self._why(ended, self._place)
        if ended.code == DIRECTORY_NOT_FOUND:
            raise HopError(_nothing(self._place))
        if not problem.retryable:
            raise HopError(problem)
        raise SourceConnectionError(problem.message)

    def _why(self, ended: RcloneError, place: object) -> Problem:
        """LostError or HopError if it is about more than this place."""
        if refusal := self._rclone.refusal:
            raise refusal
        if ended.code < 0:
            raise SourceConnectionError("rclone was ended")
        words = " ".join(words for words, _ in error_lines(ended.errors))
        return self._store.known_problem(words, place) or self._store.passing_problem(words, place)


def _nothing(place: object) -> Problem:
    return Problem(
        code="source-missing",
        message=f"There is nothing at {place}.",
        advice="See that bucket and prefix, or remote and path, are right.",
        path=str(place),
    )


def _no_directory(place: object) -> Problem:
    return Problem(
        code="not-a-directory",
        message=f"{place} is a file, and has no contents.",
        advice="Leave out the slash at its end.",
        path=str(place),
    )


def _gone(name: str) -> Problem:
    return Problem(
        code="source-missing",
        message=f"{name} is not there any more.",
        advice="Nothing, if it was meant to go.",
        path=name,
    )


def _no_size(path: str) -> Problem:
    return Problem(
        code="size-unknown",
        message=f"{display_path(path)} has no size before it is read, and this agent's disk has no "
        "room to read it.",
        advice="Make room where the agent's state is, export it as a file, or leave it out with --exclude.",
        path=display_path(path),
    )
