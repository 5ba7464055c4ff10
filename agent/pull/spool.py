"""The queue of entries between the thread that lists the source and the planner.

The listing may run far ahead, so that totals are known early and no source waits for a slow connection. Most
of the queue is on disk: a million files do not fill the memory.
"""

import marshal
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from agent import state_disk
from agent.files.listing import FileEntry
from agent.files.owners import Owner
from agent.pull.limits import PullLimits
from events.base import Problem

BATCH_SIZE = 128
BATCH_LINGER_S = 0.005
"""Entries that the reader takes at once, and seconds it waits for them: two threads that wake each other for
every entry would do little else."""
WAKE_AT = {0, 1, BATCH_SIZE}


class Spool:
    """A queue with one writer and one reader, each on its own thread."""

    def __init__(self, folder: Path, limits: PullLimits) -> None:
        self._folder = folder
        self._max_in_memory = limits.max_spooled_in_memory
        self._changed = threading.Condition()
        self._pending: list[FileEntry] = []
        self._frames: deque[tuple[int, int]] = deque()
        self._file: IO[bytes] | None = None
        self._ended = False
        self._error: BaseException | None = None

    def put(self, entry: FileEntry) -> None:
        """Add an entry. Raises HopError if the state directory takes no more."""
        with self._changed:
            self._pending.append(entry)
            if len(self._pending) >= self._max_in_memory:
                self._to_disk()
            if len(self._pending) in WAKE_AT:
                self._changed.notify()

    def end(self, error: BaseException | None = None) -> None:
        """End the queue; the reader raises `error`, if any, after it has read all entries."""
        with self._changed:
            self._ended, self._error = True, self._error or error
            self._changed.notify()

    def __iter__(self) -> Iterator[FileEntry]:
        while batch := self._take():
            yield from batch
        if self._error:
            raise self._error

    def close(self) -> None:
        with self._changed:
            if self._file:
                self._file.close()

    def _take(self) -> list[FileEntry]:
        """Wait for entries and return them; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._pending or self._ended)
            self._changed.wait_for(self._is_enough, BATCH_LINGER_S)
            if self._frames and self._file:
                return self._from_disk(self._file)
            batch, self._pending = self._pending, []
            return batch

    def _is_enough(self) -> bool:
        return bool(self._frames or self._ended or len(self._pending) >= BATCH_SIZE)

    def _to_disk(self) -> None:
        frame = marshal.dumps([_to_plain(entry) for entry in self._pending])
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by close()
            start = self._file.seek(0, 2)
            self._file.write(frame)
            self._file.flush()  # here, where a full disk is answered
        except OSError as error:
            raise state_disk.hop_error(error, self._folder) from error
        self._frames.append((start, len(frame)))
        self._pending = []

    def _from_disk(self, file: IO[bytes]) -> list[FileEntry]:
        offset, length = self._frames.popleft()
        file.seek(offset)
        batch = [_from_plain(fields) for fields in marshal.loads(file.read(length))]  # noqa: S302 - our own, just now
        if not self._frames:
            file.seek(0)
            file.truncate()
        return batch


_PLAIN = (None, None)
"""Problem and owner of nearly all entries."""


def _to_plain(entry: FileEntry) -> tuple[object, ...]:
    if entry[-2:] == _PLAIN:
        return tuple(entry)
    *fields, problem, owner = entry
    return (*fields, problem and problem.model_dump(), owner and tuple(owner))


def _from_plain(fields: tuple[Any, ...]) -> FileEntry:
    if fields[-2:] == _PLAIN:
        return FileEntry._make(fields)
    *plain_fields, problem, owner = fields
    return FileEntry._make(
        (*plain_fields, problem and Problem.model_validate(problem), owner and Owner(*owner))
    )
