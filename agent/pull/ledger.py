"""The ledger of one hop (SQLite): which files are complete at the destination, and which are partial.

Each hop has a file of its own, which is removed when the hop is over. It survives a kill unchanged. After a
power cut its last rows may be missing, or refer to bytes that never reached the disk: so a resumed hop reads
partial ranges again and compares their digests.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from agent.files.digests import RANGE_BYTES
from agent.files.listing import FileEntry
from agent.files.owners import Owner
from agent.quarantine import Quarantine, is_damage
from events.base import display_text

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, digest BLOB, at REAL, run INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links (path BLOB PRIMARY KEY, target BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ranges (
    path BLOB, start INTEGER, digest BLOB NOT NULL, length INTEGER, PRIMARY KEY (path, start)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folders (
    path BLOB PRIMARY KEY, mtime_ns INTEGER NOT NULL, mode INTEGER NOT NULL, made INTEGER NOT NULL, owner TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, mode INTEGER NOT NULL,
    target BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unchanged (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, at REAL, kind TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fates (
    path BLOB PRIMARY KEY, kind TEXT NOT NULL, size INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT,
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS listed (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS packs (number INTEGER PRIMARY KEY, files TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS marks (
    path BLOB PRIMARY KEY, name TEXT NOT NULL, before INTEGER, after INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hop (destination TEXT NOT NULL, cleared INTEGER);
"""
_CREATE_ARRIVAL_INDEX = "CREATE INDEX IF NOT EXISTS arrivals ON files (at, path) WHERE digest IS NOT NULL"
"""Created at the first call of `arrived_since`: most hops do not need it."""
_TABLES = ("hop", "files", "links", "ranges", "folders", "names", "unchanged", "listed", "fates", "packs")
_ADDED_COLUMNS = {
    "files": ("at REAL", "run INTEGER"),
    "ranges": ("length INTEGER",),
    "unchanged": ("at REAL", "kind TEXT"),
    "folders": ("owner TEXT",),
    "hop": ("cleared INTEGER",),
}
"""Columns by table that ledgers of older agents lack."""


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

Outcome = Literal["left", "removed", "failed"]

_MAX_INT64 = 2**63 - 1
"""The largest integer that SQLite stores."""
_OTHER = "other"
"""Kind of an entry that cannot be moved (`!` in a listing), as in a manifest."""


class DamagedLedgerError(Exception):
    """The file is not a ledger, or has a format that this agent does not know."""


def open_ledger(state: Path, hop_id: str) -> "Ledger":
    """Open a hop's ledger, or create it.

    A damaged ledger goes to the quarantine; the hop then compares with its destination, as a new hop does.
    """
    path = ledger_path(state, hop_id)
    try:
        return Ledger(path)
    except DamagedLedgerError as error:
        Quarantine(state).move(path, str(error))
        return Ledger(path)


def _is_damaged(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return is_damage(error, at_open=True)
    return isinstance(error, ValueError | TypeError | RecursionError)


class Ledger:
    """The ledger of one hop. Thread-safe; every method but `pack` is one transaction."""

    def __init__(self, path: Path) -> None:
        """Open the ledger, or create it. Raises DamagedLedgerError."""
        self._path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.RLock()
        if path.exists() and not path.is_file():  # SQLite would wait for a FIFO's other end
            raise DamagedLedgerError(f"{path} is not a file")
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._open()
        except BaseException as error:
            self._db.close()
            if _is_damaged(error):
                raise DamagedLedgerError(f"{path} cannot be read: {error}") from error
            raise

    def _open(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self._migrate()
        self._run = self._count_run()
        self._has_files, self._has_ranges = (
            self._fetch_one(f"SELECT 1 FROM {table} LIMIT 1") is not None for table in ("files", "ranges")
        )
        """Whether the table ever had a row; while it is empty, lookups are skipped."""
        self._resume_packs()
        self.had_files = self._has_files
        """Whether an earlier pass or attempt recorded files."""
        self._has_arrival_index = False

    def _migrate(self) -> None:
        for table, columns in _ADDED_COLUMNS.items():
            known = {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}
            for column in columns:
                if column.partition(" ")[0] not in known:
                    self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")

    def _count_run(self) -> int:
        """Count how often the ledger was opened: a power cut may have happened before each time."""
        run = int(self._db.execute("PRAGMA user_version").fetchone()[0]) + 1
        self._db.execute(f"PRAGMA user_version = {run}")
        return run

    def close(self) -> None:
        self._db.close()

    def move(self, path: Path) -> None:
        """Close the ledger of an ended hop and move its file to `path`."""
        self.close()
        self._path.with_name(self._path.name + "-shm").unlink(missing_ok=True)
        for suffix in ("-wal", ""):  # the database last: once it is there, it is complete
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).rename(path.with_name(path.name + suffix))

    def copy(self, path: Path) -> None:
        """Copy the ledger as it is now to `path`, for a hop that may be resumed."""
        with self._lock, closing(sqlite3.connect(path)) as other:
            self._db.backup(other)

    def forget(self) -> None:
        """Close the ledger and remove its files."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def begin(self, destination: str, *, anew: bool = False) -> None:
        """Record the destination; clear the ledger if it was another one, or if `anew`."""
        if self.destination == destination and not anew:
            return
        with self._lock:
            for table in _TABLES:
                self._db.execute(f"DELETE FROM {table}")
            self._db.execute("INSERT INTO hop (destination) VALUES (?)", (destination,))

    @property
    def destination(self) -> str | None:
        """The recorded destination; None for a hop that never began."""
        row = self._fetch_one("SELECT destination FROM hop")
        return str(row[0]) if row else None

    def mark_source_deleted(self) -> None:
        """Record that all files were moved and the source path itself is about to be deleted."""
        with self._lock:
            self._db.execute("UPDATE hop SET cleared = 1")

    @property
    def is_source_deleted(self) -> bool:
        """Whether a missing source is expected, since this hop deleted it."""
        row = self._fetch_one("SELECT cleared FROM hop")
        return bool(row and row[0])

    def add_marks(self, directories: Iterable[str], name: str) -> None:
        """Record directories that may have a marker file of this name from now on."""
        rows = [(os.fsencode(directory), name) for directory in directories]
        self._execute_many("INSERT OR REPLACE INTO marks (path, name) VALUES (?, ?)", rows)

    def set_mark_times(self, made: Iterable[tuple[str, tuple[int, int]]]) -> None:
        """Record the modification time in ns of each directory before and after it was marked."""
        rows = [(os.fsencode(directory), *times) for directory, times in made]
        self._execute_many("UPDATE marks SET before = ?2, after = ?3 WHERE path = ?1", rows)

    def marks(self) -> Iterator[tuple[str, str, int | None, int | None]]:
        for path, name, before, after in self.paged("SELECT * FROM marks WHERE path > ?"):
            yield os.fsdecode(path), name, before, after

    def remove_marks(self) -> None:
        with self._lock:
            self._db.execute("DELETE FROM marks")

    def begin_files(self, entries: Iterable[FileEntry]) -> None:
        """Record files that may have partial files from now on; forget ranges of other versions of them."""
        rows = [(os.fsencode(entry.path), entry.size, entry.mtime_ns) for entry in entries]
        if self._has_ranges:
            self._execute_many(
                "DELETE FROM ranges WHERE path = ?1 AND NOT EXISTS"
                " (SELECT 1 FROM files WHERE path = ?1 AND size = ?2 AND mtime_ns = ?3 AND digest IS NULL)",
                rows,
            )
        self._has_files = True
        self._execute_many("INSERT OR REPLACE INTO files VALUES (?1, ?2, ?3, NULL, NULL, NULL)", rows)

    @contextmanager
    def pack(self, entries: Sequence[FileEntry]) -> Iterator[None]:
        """Record a pack of small files as begun while the context runs.

        The caller removes completed files from `entries` and passes them to `complete_all`; those left at the
        end are recorded one by one, as by `begin_files`. Most packs complete, and recording each file twice
        would take a tenth of the time.
        """
        recorded = json.dumps([(entry.path, entry.size, entry.mtime_ns) for entry in entries])
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
                FileEntry("f", path, size, mtime_ns) for path, size, mtime_ns in json.loads(recorded)
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
                (os.fsencode(one.path), one.size, one.mtime_ns, digest, now, self._run)
                for one, digest in files
            ]
            self._has_files = True
            self._execute_many("INSERT OR REPLACE INTO files VALUES (?1, ?2, ?3, ?4, ?5, ?6)", rows, forget)

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

    def drop(self, path: str) -> None:
        """Forget a file of which nothing is left at the destination."""
        row = [(os.fsencode(path),)]
        self._execute_many("DELETE FROM files WHERE path = ?1", row, "DELETE FROM ranges WHERE path = ?1")

    def invalidate(self, path: str) -> None:
        """Forget that this hop has written anything to this path."""
        with self._lock:
            for table in ("files", "ranges", "links", "folders"):
                self._db.execute(f"DELETE FROM {table} WHERE path = ?", (os.fsencode(path),))

    def known(self, entry: FileEntry) -> Literal["begun", "done"] | None:
        """Return how far this hop has come with this version of a file."""
        if not self._has_files:
            return None
        sql = "SELECT digest FROM files WHERE path = ? AND size = ? AND mtime_ns = ?"
        row = self._fetch_one(sql, (os.fsencode(entry.path), entry.size, entry.mtime_ns))
        return None if row is None else "begun" if row[0] is None else "done"

    def earlier_state(self, entry: FileEntry) -> Literal["begun", "done"] | None:
        """Return how far the hop had come with a file before this pass; cheaper than `known` for new hops."""
        return self.known(entry) if self.had_files else None

    def completed_this_run(self, path: str) -> bool:
        """Return whether the file was completed or verified since the ledger was opened."""
        row = self._fetch_one("SELECT run FROM files WHERE path = ?", (os.fsencode(path),))
        return row is not None and row[0] == self._run

    def is_present(self, path: str) -> bool:
        """Return whether the file is one of those that `present` yields."""
        sql = (
            "SELECT 1 FROM files WHERE path = ?1 AND digest IS NOT NULL"
            " UNION ALL SELECT 1 FROM unchanged WHERE path = ?1"
        )
        return self._fetch_one(sql, (os.fsencode(path),)) is not None

    def add_piece(self, path: str, start: int, piece: Piece) -> None:
        self._has_ranges = True
        row = [(os.fsencode(path), start, piece.digest, piece.length)]
        self._execute_many("INSERT OR REPLACE INTO ranges VALUES (?, ?, ?, ?)", row)

    def pieces(self, path: str) -> dict[int, Piece]:
        """Return start → piece that an earlier attempt wrote."""
        sql = "SELECT start, digest, length FROM ranges WHERE path = ?"
        with self._lock:
            rows = self._db.execute(sql, (os.fsencode(path),)).fetchall()
        return {start: Piece(digest, length or RANGE_BYTES) for start, digest, length in rows}

    def add_link(self, path: str, target: str) -> None:
        row = [(os.fsencode(path), os.fsencode(target))]
        self._execute_many("INSERT OR REPLACE INTO links VALUES (?, ?)", row)

    def add_name(self, entry: FileEntry) -> None:
        """Record a file that will be a hard link to another file of the hop."""
        row = (os.fsencode(entry.path), entry.size, entry.mtime_ns, entry.mode, os.fsencode(entry.target))
        self._execute_many("INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?)", [row])

    def names(self) -> Iterator[FileEntry]:
        for path, size, mtime_ns, mode, target in self.paged("SELECT * FROM names WHERE path > ?"):
            yield FileEntry("f", os.fsdecode(path), size, mtime_ns, mode, False, os.fsdecode(target))

    def digest(self, path: str) -> bytes | None:
        """Return the digest of a file that this hop completed; None for any other."""
        row = self._fetch_one("SELECT digest FROM files WHERE path = ?", (os.fsencode(path),))
        return None if row is None or not isinstance(row[0], bytes) else row[0]

    def add_directory(self, entry: FileEntry, *, made: bool) -> None:
        """Record a directory whose times are set after all files are written."""
        owner = json.dumps(entry.owner) if entry.owner else None
        row = [(os.fsencode(entry.path), entry.mtime_ns, entry.mode, made, owner)]
        self._execute_many(
            "INSERT INTO folders VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (path) DO UPDATE"
            " SET mtime_ns = ?2, mode = ?3, made = max(made, ?4), owner = ?5",
            row,
        )

    def add_unchanged(self, entries: Iterable[FileEntry]) -> None:
        """Record entries that the destination had already, identical."""
        now = time.time()
        rows = [(os.fsencode(one.path), one.size, one.mtime_ns, now, one.kind) for one in entries]
        self._execute_many("INSERT OR REPLACE INTO unchanged VALUES (?, ?, ?, ?, ?)", rows)

    def outcome(self, entries: Iterable[FileEntry], outcome: Outcome, reason: str | None = None) -> None:
        """Record entries that were not transferred, and why."""
        now = time.time()
        rows = [
            (_key(one.path), _OTHER if one.kind == "!" else one.kind, one.size, outcome, reason, now)
            for one in entries
        ]
        self._execute_many("INSERT OR REPLACE INTO fates VALUES (?, ?, ?, ?, ?, ?)", rows)

    def start_pass(self) -> None:
        """Forget what the last pass found out: the listing, unchanged files, hard links and failures."""
        with self._lock:
            for table in ("listed", "unchanged", "names"):
                self._db.execute(f"DELETE FROM {table}")
            self._db.execute("DELETE FROM fates WHERE outcome <> 'removed'")
            self.had_files = self._has_files

    def add_listed(self, paths: Iterable[str]) -> None:
        """Record paths that the source has."""
        self._execute_many("INSERT OR IGNORE INTO listed VALUES (?)", [(_key(path),) for path in paths])

    def is_listed(self, path: str) -> bool:
        return self._fetch_one("SELECT 1 FROM listed WHERE path = ?", (_key(path),)) is not None

    def partial_files(self) -> Iterator[FileEntry]:
        """Yield files that were begun and are not complete."""
        sql = "SELECT path, size, mtime_ns FROM files WHERE digest IS NULL AND path > ?"
        for path, size, mtime_ns in self.paged(sql):
            yield FileEntry("f", os.fsdecode(path), size, mtime_ns)

    def completed(self) -> Iterator[CompletedFile]:
        sql = "SELECT path, size, digest FROM files WHERE digest IS NOT NULL AND path > ?"
        for path, size, digest in self.paged(sql):
            yield CompletedFile(os.fsdecode(path), size, digest)

    def present(self) -> Iterator[FileEntry]:
        """Yield every file that the destination has as the source has it, written by this hop or before."""
        for table in ("files WHERE digest IS NOT NULL AND", "unchanged WHERE"):
            sql = f"SELECT path, size, mtime_ns FROM {table} path > ?"
            for path, size, mtime_ns in self.paged(sql):
                yield FileEntry("f", os.fsdecode(path), size, mtime_ns)

    def links(self) -> Iterator[tuple[str, bytes]]:
        for path, target in self.paged("SELECT path, target FROM links WHERE path > ?"):
            yield os.fsdecode(path), target

    def directories(self) -> Iterator[tuple[FileEntry, bool]]:
        """Yield each directory, and whether this hop created it."""
        for path, mtime_ns, mode, made, owner_json in self.paged("SELECT * FROM folders WHERE path > ?"):
            owner = Owner(*json.loads(owner_json)) if owner_json else None
            yield FileEntry("d", os.fsdecode(path), mtime_ns=mtime_ns, mode=mode, owner=owner), bool(made)

    def paged(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Yield all rows by path, in pages, so that the lock is held only briefly and memory stays small."""
        after, page = b"", self._page(f"{sql.replace('path > ?', 'path >= ?')} ORDER BY path LIMIT 1000", b"")
        while page:
            yield from page
            after = page[-1][0]
            page = self._page(f"{sql} ORDER BY path LIMIT 1000", after)

    def _page(self, sql: str, after: bytes) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, (after,)).fetchall()

    def _fetch_one(self, sql: str, values: tuple[object, ...] = ()) -> tuple[object, ...] | None:
        with self._lock:
            try:
                found: tuple[object, ...] | None = self._db.execute(sql, values).fetchone()
            except OverflowError:
                found = self._db.execute(sql, _clamp_to_int64(values)).fetchone()
            return found

    def _execute_many(self, sql: str, rows: Sequence[tuple[Any, ...]], then: str | None = None) -> None:
        try:
            self._write(sql, rows, then)
        except OverflowError:  # a size or a time beyond what SQLite holds: rare, so no row pays for it
            self._write(sql, [_clamp_to_int64(row) for row in rows], then)

    def _write(self, sql: str, rows: Sequence[tuple[Any, ...]], then: str | None) -> None:
        with self._lock:
            self._db.execute("BEGIN")
            try:
                self._db.executemany(sql, rows)
                if then:
                    width = then.count("?")
                    self._db.executemany(then, [row[:width] for row in rows])
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise


def _key(path: str) -> bytes:
    """Return the path as the ledger stores it; surrogates that are no bytes are spelled out."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return display_text(path).encode()


def _clamp_to_int64(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(
        max(-_MAX_INT64 - 1, min(one, _MAX_INT64)) if isinstance(one, int) else one for one in values
    )
