"""`crosshaul agent status`: read from the lock, the journal, and a file the service maintains."""

import logging
import os
import sqlite3
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from agent import lock
from agent.cloud.messages import Connected, Disconnected
from agent.hops.report_outbox import now
from agent.identity.registration import Files
from events.base import Instant, Message

log = logging.getLogger(__name__)


class ConnectionState(Message):
    """The contents of status.json."""

    pid: int = 0
    """The process that wrote the file: a killed one leaves it behind."""
    connected: bool = False
    since: Instant
    reason: str | None = None
    """Why the agent is not connected."""


class Overview(Message):
    """The answer of `crosshaul agent status`."""

    running: bool
    pid: int | None = None
    connected: bool = False
    since: datetime | None = None
    reason: str | None = None
    moving: int = 0
    paused: int = 0
    serving: int = 0
    unsent: int = 0
    """Reports that wait for the broker."""


class Status:
    """The service's side: keeps status.json up to date with the connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: ConnectionState | None = None

    def note(self, event: Connected | Disconnected) -> bool:
        """Write the state if it has changed; return whether it has.

        Further failed attempts to connect for the same reason are not changes.
        """
        connected = isinstance(event, Connected)
        reason = event.reason if isinstance(event, Disconnected) else None
        if self._written and (self._written.connected, self._written.reason) == (connected, reason):
            return False
        self._written = ConnectionState(pid=os.getpid(), connected=connected, since=now(), reason=reason)
        temporary = self._path.with_suffix(".new")
        try:
            temporary.write_text(self._written.model_dump_json())
            temporary.chmod(0o600)
            temporary.replace(self._path)
        except OSError as error:  # `agent status` then says less; nothing else depends on it
            log.warning("status not written", extra={"path": str(self._path), "reason": str(error)})
        return True

    def delete_file(self) -> None:
        """Delete the file."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("status not removed", extra={"path": str(self._path), "reason": str(error)})


def overview(files: Files) -> Overview:
    """Return the state of the agent with this state directory, whether it runs or not."""
    pid = lock.holder(files.lock)
    connection = _connection(files.status)
    if connection and connection.pid != pid:
        connection = None
    return Overview(
        running=pid is not None,
        pid=pid,
        connected=bool(connection and connection.connected),
        since=connection.since if connection else None,
        reason=connection.reason if connection else None,
        **_journal_counts(files.journal),
    )


def _connection(path: Path) -> ConnectionState | None:
    try:
        return ConnectionState.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


_COUNTS = {
    "moving": "SELECT count(*) FROM hops WHERE end IS NULL AND desired_state = 'run'",
    "paused": "SELECT count(*) FROM hops WHERE end IS NULL AND desired_state = 'pause'",
    "serving": "SELECT count(*) FROM serves",
    "unsent": "SELECT count(*) FROM outbox",
}


def _journal_counts(journal: Path) -> dict[str, int]:
    if not os.access(journal, os.R_OK):
        return {}
    db = sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)
    try:
        return {name: int(db.execute(sql).fetchone()[0]) for name, sql in _COUNTS.items()}
    except sqlite3.Error:
        return {}
    finally:
        db.close()
