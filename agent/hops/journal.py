"""The agent's memory across crashes (SQLite): accepted commands, hops, grants, unsent reports.

Durable, then acknowledged, then done: a command's effects are in the journal before the broker receives the
acknowledgment, and results are in the journal before the control plane is told. Every change is one
transaction, synced to the disk. There are a few per hop and one every ten seconds, so they run on the event
loop.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from agent.cloud.command_verifier import MAX_CLOCK_SKEW_S
from agent.hops.record import NOTHING_YET, DesiredState, Ended, HopRecord
from agent.quarantine import Quarantine, is_damage
from agent.state_disk import Reserve
from events.commands import DirectRoute, Move, Serve
from events.progress import Progress
from events.reports import AboutHop, Report, ReportEnvelope, Started

ENDED_RETENTION_S = 24 * 3600
"""Seconds an ended hop is remembered, to answer a repeated Move without moving bytes again."""
MAX_UNBOUND_REPORTS = 200
"""How many unsent reports that concern no hop may wait."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS admitted (jti TEXT PRIMARY KEY, exp INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hops (
    hop_id TEXT PRIMARY KEY, arrived INTEGER NOT NULL, move TEXT NOT NULL, desired_state TEXT NOT NULL,
    seq INTEGER NOT NULL, progress TEXT NOT NULL, paused INTEGER NOT NULL, end TEXT, ended_at REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS serves (
    hop_id TEXT PRIMARY KEY, serve TEXT NOT NULL, token TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, hop_id TEXT, kind TEXT NOT NULL, envelope TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Unsent:
    """A report that waits for the broker."""

    number: int
    envelope: str
    hop_id: str | None = None
    kind: str = ""


class Journal:
    """One agent's journal; use it from one thread of one process only."""

    def __init__(self, path: Path, registration: str) -> None:
        """Open the journal of this registration.

        A file that is not a journal, or is another registration's, is moved to quarantine; so is a row that
        cannot be read, when it is read: the control plane sends again what it misses. Raises OSError or
        sqlite3.Error if the disk is at fault.
        """
        self._quarantine = Quarantine(path.parent)
        self.reserve = Reserve(path.parent)
        self._db = self._open(path)
        self._depth = 0
        recorded = self._meta_value("registration")
        if recorded is not None and recorded != registration:
            self._db.close()
            self._quarantine.move(path, "it belongs to another registration")
            self._db = _connect(path)
        if recorded != registration:
            self._begin(registration)
        self._created_at = self._read_created_at()
        self.created_at(time.time())

    def _open(self, path: Path) -> sqlite3.Connection:
        """Open the database; quarantine a damaged file and start an empty one."""
        self.reserve.give_back_if_needed()
        for companion in (path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-shm")):
            if (companion.exists() or companion.is_symlink()) and not companion.is_file():
                self._quarantine.move(companion, "it is not a file")
        try:
            return _connect(path)
        except sqlite3.Error as error:
            is_file = path.is_file() or not path.exists()
            if is_file and not is_damage(error, at_open=True):
                raise
            self._quarantine.move(path, str(error))
            return _connect(path)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Run the block as one transaction; nested blocks join it."""
        if self._depth:
            yield
            return
        self.reserve.give_back_if_needed()
        self._db.execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # SQLite itself rolls back when the disk is full
                self._db.execute("ROLLBACK")
            raise
        else:
            self._db.execute("COMMIT")
        finally:
            self._depth = 0

    def _write(self, sql: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        """Execute a statement that changes something, in a transaction: a full disk has room for it, too."""
        with self.change():
            return self._db.execute(sql, values)

    def admit(self, jti: str, exp: int) -> bool:
        """Remember a command's id until it expires; return False if it is known already."""
        return self._write("INSERT OR IGNORE INTO admitted VALUES (?, ?)", (jti, exp)).rowcount == 1

    def hop(self, hop_id: str) -> HopRecord | None:
        """Return the record of a hop; None if there is none."""
        found = self._read_hops("WHERE hop_id = ?", (hop_id,))
        return found[0] if found else None

    def open_hops(self) -> list[HopRecord]:
        """Return the hops that have not ended, in order of arrival."""
        return self._read_hops("WHERE end IS NULL ORDER BY arrived, hop_id")

    def unsent_results(self) -> list[HopRecord]:
        """Return the hops that have ended and whose result is not sent yet."""
        return self._read_hops(
            "WHERE end IS NOT NULL AND hop_id IN (SELECT hop_id FROM outbox) ORDER BY arrived"
        )

    def _read_hops(self, where: str, values: tuple[str, ...] = ()) -> list[HopRecord]:
        """Return the hops that can be read; move the others to quarantine."""
        found = []
        for hop_id, *row in self._db.execute(f"{_SELECT_HOP} {where}", values).fetchall():
            try:
                found.append(_hop_record(row))
            except ValueError as error:  # pydantic's is one
                self._set_aside("hops", "hop_id", hop_id, row, error)
        return found

    def _set_aside(
        self, table: str, key: str, value: object, row: Sequence[object], error: Exception
    ) -> None:
        """Quarantine a row that this agent cannot read, perhaps written by another version."""
        content = json.dumps([table, str(value), *map(str, row)], indent=1).encode()
        self._quarantine.write(f"journal-{table}.json", content, f"{value}: {error}")
        self._write(f"DELETE FROM {table} WHERE {key} = ?", (value,))

    def save_hop(self, hop: HopRecord) -> None:
        """Write the record of a hop; its order of arrival and its `seq` stay."""
        end = hop.end.model_dump_json() if hop.end else None
        move, progress = hop.move.model_dump_json(), hop.progress.model_dump_json()
        values = (move, hop.desired_state, progress, hop.paused, end, time.time() if end else None)
        self._write(
            "INSERT INTO hops (hop_id, arrived, seq, move, desired_state, progress, paused, end, ended_at)"
            " VALUES (?1, (SELECT ifnull(max(arrived), 0) + 1 FROM hops), 0, ?2, ?3, ?4, ?5, ?6, ?7)"
            " ON CONFLICT (hop_id) DO UPDATE"
            " SET move = ?2, desired_state = ?3, progress = ?4, paused = ?5, end = ?6, ended_at = ?7",
            (hop.hop_id, *values),
        )

    def enqueue_report(self, report: AboutHop) -> None:
        """Assign the report its `seq` and enqueue it.

        An unsent checkpoint of the hop is deleted: this report is newer. `seq` grows over all attempts.
        """
        with self.change():
            row = self._db.execute(
                "UPDATE hops SET seq = seq + 1 WHERE hop_id = ? RETURNING seq", (report.hop_id,)
            ).fetchone()
            numbered = report.model_copy(update={"seq": row[0]})
            self._db.execute("DELETE FROM outbox WHERE hop_id = ? AND kind = 'checkpoint'", (report.hop_id,))
            self._insert_report(report.hop_id, numbered)
            if not isinstance(report, Started):
                progress = report.progress.model_dump_json()
                self._db.execute("UPDATE hops SET progress = ? WHERE hop_id = ?", (progress, report.hop_id))

    def enqueue(self, report: Report) -> None:
        """Enqueue a report that concerns no hop; the oldest of these are deleted when too many wait."""
        with self.change():
            self._insert_report(None, report)
            self._db.execute(
                "DELETE FROM outbox WHERE hop_id IS NULL AND id NOT IN"
                " (SELECT id FROM outbox WHERE hop_id IS NULL ORDER BY id DESC LIMIT ?)",
                (MAX_UNBOUND_REPORTS,),
            )

    def oldest_unsent(self) -> Unsent | None:
        """Return the next report to send; None if all are sent."""
        row = self._db.execute("SELECT id, envelope, hop_id, kind FROM outbox ORDER BY id LIMIT 1").fetchone()
        return Unsent(int(row[0]), str(row[1]), row[2], str(row[3])) if row else None

    def replace_unsent(self, number: int, report: Report) -> None:
        """Replace an unsent report by another one."""
        envelope = ReportEnvelope(report=report).model_dump_json()
        self._write("UPDATE outbox SET envelope = ? WHERE id = ?", (envelope, number))

    def discard_unsent(self, unsent: "Unsent", reason: str) -> None:
        """Quarantine an unsent report and remove it from the queue."""
        self._quarantine.write("journal-outbox.json", unsent.envelope.encode("utf-8", "replace"), reason)
        self.sent(unsent.number)

    def sent(self, number: int) -> None:
        """Remove a report that the broker has taken."""
        self._write("DELETE FROM outbox WHERE id = ?", (number,))

    def unsent(self) -> int:
        """Return how many reports wait."""
        return int(self._db.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def count_paused(self) -> int:
        """Return how many hops are paused by command."""
        return int(
            self._db.execute(
                "SELECT count(*) FROM hops WHERE end IS NULL AND desired_state = 'pause'"
            ).fetchone()[0]
        )

    def grant(self, serve: Serve, token: str) -> None:
        """Record what a peer may read, with the token of its hop."""
        self._write(
            "INSERT OR REPLACE INTO serves VALUES (?, ?, ?)", (serve.hop_id, serve.model_dump_json(), token)
        )

    def grants(self) -> list[tuple[Serve, str]]:
        """Return what is served now, each grant with its hop token."""
        found = []
        for hop_id, *row in self._db.execute(
            "SELECT hop_id, serve, token FROM serves ORDER BY hop_id"
        ).fetchall():
            serve, token = row
            try:
                found.append((Serve.model_validate_json(str(serve)), str(token)))
            except ValueError as error:
                self._set_aside("serves", "hop_id", hop_id, [serve, "(its token)"], error)
        return found

    def withdraw(self, hop_id: str) -> None:
        """Delete the grant of a hop."""
        self._write("DELETE FROM serves WHERE hop_id = ?", (hop_id,))

    def own_certificates(self) -> set[str]:
        """Return the fingerprints of this agent's lane certificates that its hops and grants use."""
        routes = (hop.move.route for hop in self.open_hops())
        pulled = {route.own_certificate for route in routes if isinstance(route, DirectRoute)}
        served = {serve.own_certificate for serve, _ in self.grants()}
        return {one for one in pulled | served if one}

    def created_at(self, now: float) -> int:
        """Return when this journal was begun, in seconds since 1970, and never later than `now`.

        It cannot tell whether a command that was issued before has been executed: an earlier journal, which
        was damaged or lost, knew that. If the clock was ahead when the journal was begun, and has been put
        right, the time is corrected: otherwise all commands would be refused until the clock reaches it.
        """
        if self._created_at > now:
            self._created_at = int(now)
            self._record_created_at()
        return self._created_at

    @property
    def retired(self) -> bool:
        """Return whether the control plane has ended this registration."""
        return self._meta_value("retired") is not None

    def retire(self) -> None:
        """Record that the registration has ended, and delete all work."""
        with self.change():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('retired', 'yes')")
            for table in ("hops", "serves", "outbox"):
                self._db.execute(f"DELETE FROM {table}")

    def prune(self, now: float) -> None:
        """Delete ids of commands that no clock accepts any more, and hops that ended long ago."""
        with self.change():
            self._db.execute("DELETE FROM admitted WHERE exp < ?", (now - MAX_CLOCK_SKEW_S,))
            self._db.execute(
                "DELETE FROM hops WHERE ended_at < ? AND hop_id NOT IN"
                " (SELECT hop_id FROM outbox WHERE hop_id IS NOT NULL)",
                (now - ENDED_RETENTION_S,),
            )

    def _insert_report(self, hop_id: str | None, report: Report) -> None:
        envelope = ReportEnvelope(report=report).model_dump_json()
        self._db.execute(
            "INSERT INTO outbox (hop_id, kind, envelope) VALUES (?, ?, ?)", (hop_id, report.kind, envelope)
        )

    def _meta_value(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def _read_created_at(self) -> int:
        """Return when the journal was begun; if that is not recorded or damaged, it counts as begun now."""
        recorded = self._meta_value("created_at") or ""
        if recorded.isascii() and recorded.isdecimal():
            return int(recorded)
        self._created_at = int(time.time())
        self._record_created_at()
        return self._created_at

    def _record_created_at(self) -> None:
        created_at = str(self._created_at)
        self._write("INSERT OR REPLACE INTO meta VALUES ('created_at', ?)", (created_at,))

    def _begin(self, registration: str) -> None:
        """Begin an empty journal."""
        with self.change():
            for table in ("meta", "admitted", "hops", "serves", "outbox"):
                self._db.execute(f"DELETE FROM {table}")
            self._db.execute("INSERT INTO meta VALUES ('registration', ?)", (registration,))
            self._db.execute("INSERT INTO meta VALUES ('created_at', ?)", (str(int(time.time())),))


_SELECT_HOP = "SELECT hop_id, move, desired_state, progress, paused, end FROM hops"
_REQUIRED_COLUMNS = (
    "SELECT name, value FROM meta",
    "SELECT jti, exp FROM admitted",
    "SELECT hop_id, arrived, move, desired_state, seq, progress, paused, end, ended_at FROM hops",
    "SELECT hop_id, serve, token FROM serves",
    "SELECT id, hop_id, kind, envelope FROM outbox",
)
"""Queries that fail if a table or column is missing; run once at opening."""


_RENAMED_COLUMNS = (("hops", "wish", "desired_state"), ("outbox", "letter", "envelope"))
"""Table, the column's name in the journal of an older agent, its name now."""


def _connect(path: Path) -> sqlite3.Connection:
    if path.exists() and not path.is_file():
        raise sqlite3.DatabaseError(f"{path} is not a file")
    db = sqlite3.connect(path, isolation_level=None)
    try:
        path.chmod(0o600)
        db.text_factory = _text
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.executescript(_SCHEMA)
        _rename_old_columns(db)
        for sql in _REQUIRED_COLUMNS:
            db.execute(f"{sql} LIMIT 1").fetchall()
        _check(db)
    except BaseException:
        db.close()
        raise
    return db


def _rename_old_columns(db: sqlite3.Connection) -> None:
    """Rename the columns of a journal that an older agent wrote; its rows stay as they are."""
    for table, old, new in _RENAMED_COLUMNS:
        if old in {column[1] for column in db.execute(f"PRAGMA table_info({table})")}:
            db.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")


def _check(db: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if the file is damaged."""
    [found] = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        damaged = sqlite3.DatabaseError(str(found))
        damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damaged


def _text(content: bytes) -> str:
    """Decode text; bytes that are not UTF-8 must not make the other columns unreadable."""
    return content.decode("utf-8", "replace")


def _hop_record(row: Sequence[Any]) -> HopRecord:
    """Return the record in a row, without its progress if only that cannot be read.

    Raises ValueError if the rest cannot be read.
    """
    move, desired_state, progress, paused, end = row
    if desired_state not in get_args(DesiredState):
        raise ValueError(f"unknown desired state {desired_state!r}")
    try:
        known_progress = Progress.model_validate_json(str(progress))
    except ValueError:
        known_progress = NOTHING_YET
    return HopRecord(
        move=Move.model_validate_json(str(move)),
        desired_state=desired_state,
        progress=known_progress,
        paused=bool(paused),
        end=Ended.validate_json(str(end)) if end else None,
    )
