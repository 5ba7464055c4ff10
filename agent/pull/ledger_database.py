"""The file of a hop's ledger (SQLite): its tables, and how they are opened, read and written.

It survives a kill unchanged. After a power cut its last rows may be missing, or refer to bytes that never
reached the disk.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from agent.quarantine import is_damage
from events.base import display_text

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, digest BLOB, at REAL,
    run INTEGER, ctime_ns INTEGER
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
    target BLOB NOT NULL, ctime_ns INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unchanged (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, at REAL, kind TEXT,
    ctime_ns INTEGER, target BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fates (
    path BLOB PRIMARY KEY, kind TEXT NOT NULL, size INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT,
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lost (path BLOB PRIMARY KEY, kinds TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS listed (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS packs (number INTEGER PRIMARY KEY, files TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS marks (
    path BLOB PRIMARY KEY, name TEXT NOT NULL, before INTEGER, after INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    path BLOB PRIMARY KEY, key TEXT NOT NULL, upload_id TEXT NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, part_bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    path BLOB, number INTEGER, etag TEXT NOT NULL, checksum TEXT NOT NULL, PRIMARY KEY (path, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hop (destination TEXT NOT NULL, cleared INTEGER);
"""
_TABLES = (
    "hop",
    "files",
    "links",
    "ranges",
    "folders",
    "names",
    "unchanged",
    "listed",
    "fates",
    "lost",
    "packs",
    "uploads",
    "parts",
)
_ADDED_COLUMNS = {
    "files": ("at REAL", "run INTEGER", "ctime_ns INTEGER"),
    "names": ("ctime_ns INTEGER",),
    "ranges": ("length INTEGER",),
    "unchanged": ("at REAL", "kind TEXT", "ctime_ns INTEGER", "target BLOB"),
    "folders": ("owner TEXT",),
    "hop": ("cleared INTEGER",),
}
"""Columns by table that ledgers of older agents lack."""

_MAX_INT64 = 2**63 - 1
"""The largest integer that SQLite stores."""


class DamagedLedgerError(Exception):
    """The file is not a ledger, or has a format that this agent does not know."""


def _is_damaged(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return is_damage(error, at_open=True)
    return isinstance(error, ValueError | TypeError | RecursionError)


class LedgerDatabase:
    """The file of one ledger. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it. Raises DamagedLedgerError."""
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
        """Close the file and move it to `path`."""
        self.close()
        self._path.with_name(self._path.name + "-shm").unlink(missing_ok=True)
        for suffix in ("-wal", ""):  # the database last: once it is there, it is complete
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).rename(path.with_name(path.name + suffix))

    def copy(self, path: Path) -> None:
        """Copy the file as it is now to `path`."""
        with self._lock, closing(sqlite3.connect(path)) as other:
            self._db.backup(other)

    def forget(self) -> None:
        """Close the file and remove it."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all rows except the marks, which stay until they are removed from their directories."""
        with self._lock:
            for table in _TABLES:
                self._db.execute(f"DELETE FROM {table}")

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

    def execute(self, sql: str) -> None:
        """Execute one statement."""
        with self._lock:
            self._db.execute(sql)

    def fetch_one(self, sql: str, values: tuple[object, ...] = ()) -> tuple[object, ...] | None:
        """Return the first row, None if there is none."""
        with self._lock:
            try:
                found: tuple[object, ...] | None = self._db.execute(sql, values).fetchone()
            except OverflowError:
                found = self._db.execute(sql, _clamp_to_int64(values)).fetchone()
            return found

    def fetch_all(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows; there must be few."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def execute_many(self, sql: str, rows: Sequence[tuple[Any, ...]], then: str | None = None) -> None:
        """Execute a statement for each row, in one transaction.

        `then` is a second statement, which takes each row's first values.
        """
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
                if self._db.in_transaction:  # SQLite itself rolls back when the disk is full
                    self._db.execute("ROLLBACK")
                raise


def path_key(path: str) -> bytes:
    """Return the path as the ledger stores it; surrogates that are no bytes are spelled out."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return display_text(path).encode()


def _clamp_to_int64(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(
        max(-_MAX_INT64 - 1, min(one, _MAX_INT64)) if isinstance(one, int) else one for one in values
    )
