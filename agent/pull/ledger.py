"""The ledger of one hop (SQLite): which files are complete at the destination, and which are partial.

Each hop has a file of its own, which is removed when the hop is over. It survives a kill unchanged. After a
power cut its last rows may be missing, or refer to bytes that never reached the disk: so a resumed hop reads
partial ranges again and compares their digests.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from agent.files.digests import RANGE_BYTES
from agent.files.listing import FileEntry
from agent.files.owners import Owner
from agent.pull.file_outcomes import FileOutcomes
from agent.pull.ledger_database import DamagedLedgerError, LedgerDatabase, path_key
from agent.pull.partial_directories import SUFFIX, PartialDirectories
from agent.pull.upload_records import UploadRecords
from agent.quarantine import Quarantine

_CREATE_ARRIVAL_INDEX = "CREATE INDEX IF NOT EXISTS arrivals ON files (at, path) WHERE digest IS NOT NULL"
"""Created at the first call of `arrived_since`: most hops do not need it."""


def ledger_path(state: Path, hop_id: str) -> Path:
    return state / "hops" / f"{hop_id}.db"


class CompletedFile(NamedTuple):
    """A file that this hop has completely written."""

    path: str
    size: int
    digest: bytes


class Piece(NamedTuple):
    """A part of a big file: a whole range, or the part of it that one request fetched."""

    digest: bytes
    length: int


ArrivalCursor = tuple[float, bytes]
"""Position in the list of arrivals: seconds since 1970, and the path, for arrivals at the same time."""
FIRST_ARRIVAL: ArrivalCursor = (0.0, b"")
Arrival = tuple[ArrivalCursor, str]
"""The cursor after a completed file, and the file's path."""
ARRIVALS_BATCH_SIZE = 1000
"""Maximum number of arrivals per call."""


def open_ledger(state: Path, hop_id: str) -> "Ledger":
    """Open a hop's ledger, or create it.

    A damaged ledger goes to the quarantine; the hop then compares with its destination, as a new hop does.
    """
    path = ledger_path(state, hop_id)
    record = path.with_suffix(SUFFIX)
    if record.exists() and not record.is_file():
        Quarantine(state).move(record, "it is not a file")
    try:
        return Ledger(path)
    except DamagedLedgerError as error:
        Quarantine(state).move(path, str(error))
        return Ledger(path)


class Ledger(LedgerDatabase):
    """The ledger of one hop. Thread-safe; every method but `pack` is one transaction."""

    def __init__(self, path: Path) -> None:
        """Open the ledger, or create it. Raises DamagedLedgerError."""
        super().__init__(path)
        self.hop_id = path.stem
        self.outcomes = FileOutcomes(self)
        self.uploads = UploadRecords(self)
        self.partial_directories = PartialDirectories(path.with_suffix(SUFFIX))
        """Survives the ledger; deleted once the hop has left nothing behind."""

    def _open(self) -> None:
        super()._open()
        self._has_files, self._has_ranges = (
            self.fetch_one(f"SELECT 1 FROM {table} LIMIT 1") is not None for table in ("files", "ranges")
        )
        """Whether the table ever had a row; while it is empty, lookups are skipped."""
        self._resume_packs()
        self.had_files = self._has_files
        """Whether an earlier pass or attempt recorded files."""
        self._has_arrival_index = False

    def begin(self, destination: str, *, anew: bool = False) -> None:
        """Record the destination; clear the ledger if it was another one, or if `anew`."""
        if self.destination == destination and not anew:
            return
        with self._lock:
            self.clear()
            self._db.execute("INSERT INTO hop (destination) VALUES (?)", (destination,))

    @property
    def is_resumed(self) -> bool:
        """Whether an earlier attempt, which may have been killed, used this ledger."""
        return self._run > 1

    @property
    def destination(self) -> str | None:
        """The recorded destination; None for a hop that never began."""
        row = self.fetch_one("SELECT destination FROM hop")
        return str(row[0]) if row else None

    def mark_source_deleted(self) -> None:
        """Record that all files were moved and the source path itself is about to be deleted."""
        with self._lock:
            self._db.execute("UPDATE hop SET cleared = 1")

    @property
    def is_source_deleted(self) -> bool:
        """Whether a missing source is expected, since this hop deleted it."""
        row = self.fetch_one("SELECT cleared FROM hop")
        return bool(row and row[0])

    def add_marks(self, directories: Iterable[str], name: str) -> None:
        """Record directories that may have a marker file of this name from now on."""
        rows = [(os.fsencode(directory), name) for directory in directories]
        self.execute_many("INSERT OR REPLACE INTO marks (path, name) VALUES (?, ?)", rows)

    def set_mark_times(self, made: Iterable[tuple[str, tuple[int, int]]]) -> None:
        """Record the modification time in ns of each directory before and after it was marked."""
        rows = [(os.fsencode(directory), *times) for directory, times in made]
        self.execute_many("UPDATE marks SET before = ?2, after = ?3 WHERE path = ?1", rows)

    def marks(self) -> Iterator[tuple[str, str, int | None, int | None]]:
        for path, name, before, after in self.paged("SELECT * FROM marks WHERE path > ?"):
            yield os.fsdecode(path), name, before, after

    def remove_marks(self) -> None:
        with self._lock:
            self._db.execute("DELETE FROM marks")

    def begin_files(self, entries: Iterable[FileEntry]) -> None:
        """Record files that may have partial files from now on; forget ranges of other versions of them."""
        rows = [(os.fsencode(entry.path), entry.size, entry.mtime_ns, entry.ctime_ns) for entry in entries]
        if self._has_ranges:
            self.execute_many(
                "DELETE FROM ranges WHERE path = ?1 AND NOT EXISTS"
                " (SELECT 1 FROM files WHERE path = ?1 AND size = ?2 AND mtime_ns = ?3 AND ctime_ns = ?4"
                " AND digest IS NULL)",
                rows,
            )
        self._has_files = True
        self.execute_many("INSERT OR REPLACE INTO files VALUES (?1, ?2, ?3, NULL, NULL, NULL, ?4)", rows)

    @contextmanager
    def pack(self, entries: Sequence[FileEntry]) -> Iterator[None]:
        """Record a pack of small files as begun while the context runs.

        The caller removes completed files from `entries` and passes them to `complete_all`; those left at the
        end are recorded one by one, as by `begin_files`. Most packs complete, and recording each file twice
        would take a tenth of the time.
        """
        recorded = json.dumps([(entry.path, entry.size, entry.mtime_ns, entry.ctime_ns) for entry in entries])
        with self._lock:
            number = self._db.execute("INSERT INTO packs (files) VALUES (?)", (recorded,)).lastrowid
        try:
            yield
        finally:
            if entries:
                self.begin_files(entries)
            with self._lock:
                self._db.execute("DELETE FROM packs WHERE number = ?", (number,))

    def _resume_packs(self) -> None:
        """Record the files of packs that were interrupted by a kill as begun; some may be complete."""
        for (recorded,) in self._db.execute("SELECT files FROM packs").fetchall():
            self.begin_files(
                FileEntry("f", path, size, mtime_ns, ctime_ns=ctime_ns)
                for path, size, mtime_ns, ctime_ns in json.loads(recorded)
            )
        self._db.execute("DELETE FROM packs")

    def complete(self, entry: FileEntry, digest: bytes) -> None:
        self.complete_all([(entry, digest)])

    def complete_all(self, files: Iterable[tuple[FileEntry, bytes]]) -> None:
        """Record files that are complete, under their final names, with their digests."""
        forget = "DELETE FROM ranges WHERE path = ?1" if self._has_ranges else None
        with self._lock:  # so that what comes later has a later time
            now = time.time()
            rows = [
                (os.fsencode(one.path), one.size, one.mtime_ns, digest, now, self._run, one.ctime_ns)
                for one, digest in files
            ]
            self._has_files = True
            self.execute_many(
                "INSERT OR REPLACE INTO files VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", rows, forget
            )

    def arrived_since(self, after: ArrivalCursor) -> list[Arrival]:
        """Return the next completed files after the cursor, in the order of completion."""
        sql = (
            "SELECT at, path FROM files WHERE digest IS NOT NULL AND (at, path) > (?, ?)"
            f" ORDER BY at, path LIMIT {ARRIVALS_BATCH_SIZE}"
        )
        with self._lock:
            if not self._has_arrival_index:
                self._db.execute(_CREATE_ARRIVAL_INDEX)
                self._has_arrival_index = True
            return [((at, path), os.fsdecode(path)) for at, path in self._db.execute(sql, after)]

    def forget_file(self, path: str) -> None:
        """Forget a file of which nothing is left at the destination."""
        row = [(os.fsencode(path),)]
        self.execute_many("DELETE FROM files WHERE path = ?1", row, "DELETE FROM ranges WHERE path = ?1")

    def invalidate(self, path: str) -> None:
        """Forget that this hop has written anything to this path."""
        with self._lock:
            for table in ("files", "ranges", "links", "folders"):
                self._db.execute(f"DELETE FROM {table} WHERE path = ?", (os.fsencode(path),))

    def known(self, entry: FileEntry) -> Literal["begun", "done"] | None:
        """Return how far this hop has come with a file of this size and time."""
        if not self._has_files:
            return None
        sql = "SELECT digest FROM files WHERE path = ? AND size = ? AND mtime_ns = ?"
        row = self.fetch_one(sql, (os.fsencode(entry.path), entry.size, entry.mtime_ns))
        return None if row is None else "begun" if row[0] is None else "done"

    def earlier_state(self, entry: FileEntry) -> Literal["begun", "done"] | None:
        """Return how far the hop had come with a file before this pass; cheaper than `known` for new hops."""
        return self.known(entry) if self.had_files else None

    def is_same_version(self, entry: FileEntry) -> bool:
        """Return whether the recorded file had the status change that it has now at the source."""
        row = self.fetch_one("SELECT ctime_ns FROM files WHERE path = ?", (os.fsencode(entry.path),))
        return row is not None and row[0] == entry.ctime_ns

    def completed_this_run(self, path: str) -> bool:
        """Return whether the file was completed or verified since the ledger was opened."""
        row = self.fetch_one("SELECT run FROM files WHERE path = ?", (os.fsencode(path),))
        return row is not None and row[0] == self._run

    def is_present(self, path: str) -> bool:
        """Return whether the file is one of those that `present` yields."""
        sql = (
            "SELECT 1 FROM files WHERE path = ?1 AND digest IS NOT NULL"
            " UNION ALL SELECT 1 FROM unchanged WHERE path = ?1"
        )
        return self.fetch_one(sql, (os.fsencode(path),)) is not None

    def add_piece(self, path: str, start: int, piece: Piece) -> None:
        self._has_ranges = True
        row = [(os.fsencode(path), start, piece.digest, piece.length)]
        self.execute_many("INSERT OR REPLACE INTO ranges VALUES (?, ?, ?, ?)", row)

    def pieces(self, path: str) -> dict[int, Piece]:
        """Return start → piece that an earlier attempt wrote."""
        sql = "SELECT start, digest, length FROM ranges WHERE path = ?"
        with self._lock:
            rows = self._db.execute(sql, (os.fsencode(path),)).fetchall()
        return {start: Piece(digest, length or RANGE_BYTES) for start, digest, length in rows}

    def add_link(self, path: str, target: str) -> None:
        row = [(os.fsencode(path), os.fsencode(target))]
        self.execute_many("INSERT OR REPLACE INTO links VALUES (?, ?)", row)

    def add_name(self, entry: FileEntry) -> None:
        """Record a file that will be a hard link to another file of the hop."""
        path, target = os.fsencode(entry.path), os.fsencode(entry.target)
        row = (path, entry.size, entry.mtime_ns, entry.mode, target, entry.ctime_ns)
        self.execute_many("INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?, ?)", [row])

    def names(self) -> Iterator[FileEntry]:
        sql = "SELECT path, size, mtime_ns, mode, target, ifnull(ctime_ns, 0) FROM names WHERE path > ?"
        for path, size, mtime_ns, mode, target, ctime_ns in self.paged(sql):
            yield FileEntry(
                "f", os.fsdecode(path), size, mtime_ns, mode, False, os.fsdecode(target), ctime_ns
            )

    def digest(self, path: str) -> bytes | None:
        """Return the digest of a file that this hop completed; None for any other."""
        row = self.fetch_one("SELECT digest FROM files WHERE path = ?", (os.fsencode(path),))
        return None if row is None or not isinstance(row[0], bytes) else row[0]

    def add_directory(self, entry: FileEntry, *, made: bool) -> None:
        """Record a directory whose times are set after all files are written."""
        owner = json.dumps(entry.owner) if entry.owner else None
        row = [(os.fsencode(entry.path), entry.mtime_ns, entry.mode, made, owner)]
        self.execute_many(
            "INSERT INTO folders VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (path) DO UPDATE"
            " SET mtime_ns = ?2, mode = ?3, made = max(made, ?4), owner = ?5",
            row,
        )

    def start_pass(self) -> None:
        """Forget what the last pass found out: the listing, unchanged files, hard links and failures."""
        with self._lock:
            for table in ("listed", "names"):
                self._db.execute(f"DELETE FROM {table}")
            self.outcomes.start_pass()
            self.had_files = self._has_files

    def add_listed(self, paths: Iterable[str]) -> None:
        """Record paths that the source has."""
        self.execute_many("INSERT OR IGNORE INTO listed VALUES (?)", [(path_key(path),) for path in paths])

    def is_listed(self, path: str) -> bool:
        return self.fetch_one("SELECT 1 FROM listed WHERE path = ?", (path_key(path),)) is not None

    def partial_files(self) -> Iterator[FileEntry]:
        """Yield files that were begun and are not complete, in the order of their paths' bytes."""
        sql = "SELECT path, size, mtime_ns, ifnull(ctime_ns, 0) FROM files WHERE digest IS NULL AND path > ?"
        for path, size, mtime_ns, ctime_ns in self.paged(sql):
            yield FileEntry("f", os.fsdecode(path), size, mtime_ns, ctime_ns=ctime_ns)

    def forget_begun(self) -> None:
        """Forget the files that are not complete: a new pass lists them again."""
        self.execute("DELETE FROM files WHERE digest IS NULL")

    def completed(self) -> Iterator[CompletedFile]:
        sql = "SELECT path, size, digest FROM files WHERE digest IS NOT NULL AND path > ?"
        for path, size, digest in self.paged(sql):
            yield CompletedFile(os.fsdecode(path), size, digest)

    def present(self) -> Iterator[FileEntry]:
        """Yield every file that the destination has as the source has it, written by this hop or before.

        Links are among them if they were there before; those that this hop made are in `links`.
        """
        sql = (
            "SELECT path, 'f', size, mtime_ns, NULL, ctime_ns FROM files"
            " WHERE digest IS NOT NULL AND path > ?",
            "SELECT path, ifnull(kind, 'f'), size, mtime_ns, target, ctime_ns FROM unchanged WHERE path > ?",
        )
        for path, kind, size, mtime_ns, target, ctime_ns in chain.from_iterable(map(self.paged, sql)):
            yield FileEntry(
                kind,
                os.fsdecode(path),
                size,
                mtime_ns,
                target=os.fsdecode(target or b""),
                ctime_ns=ctime_ns or 0,
            )

    def is_link(self, path: str) -> bool:
        """Return whether this hop has made a link there."""
        return self.fetch_one("SELECT 1 FROM links WHERE path = ?", (os.fsencode(path),)) is not None

    def links(self) -> Iterator[tuple[str, bytes]]:
        for path, target in self.paged("SELECT path, target FROM links WHERE path > ?"):
            yield os.fsdecode(path), target

    def directories(self) -> Iterator[tuple[FileEntry, bool]]:
        """Yield each directory, and whether this hop created it."""
        for path, mtime_ns, mode, made, owner_json in self.paged("SELECT * FROM folders WHERE path > ?"):
            owner = Owner(*json.loads(owner_json)) if owner_json else None
            yield FileEntry("d", os.fsdecode(path), mtime_ns=mtime_ns, mode=mode, owner=owner), bool(made)
