"""Set aside what the agent has on its disk and cannot use, so that it is stepped over now and at every start.

Nothing is deleted at once: an administrator may want to know what it was. The folder is bounded; the oldest
go first.
"""

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent.files.disk import atomic_write
from events.base import Problem

log = logging.getLogger(__name__)

FOLDER = "damaged"
MAX_FILES = 100
MAX_BYTES = 256 * 1024**2
MAX_NAMES = 5
"""Names that are said of what lies there."""
_DATABASE = ("", "-wal", "-shm")
"""What belongs to a SQLite database, by what is added to its name."""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_OTHER_SCHEMA = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_MISMATCH}
_SECRET = 0o600


def is_damage(error: sqlite3.Error, *, at_open: bool = False) -> bool:
    """Return whether the database itself is at fault, and not its disk or its rights. `at_open`: tables with
    other columns count, too: another version of the agent may have made them."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # the module's own: text that is not UTF-8
        return isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in (_DAMAGE | _OTHER_SCHEMA if at_open else _DAMAGE)


class Quarantine:
    """The folder `damaged` in the state directory. Safe from any thread."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def move(self, path: Path, reason: str) -> bool:
        """Set aside a file, with what belongs to it if it is a database. Return whether it is gone."""
        return self._keep(path.name, reason, lambda target: _rename(path, target))

    def write(self, name: str, content: bytes, reason: str) -> bool:
        """Set aside what was part of a file. Return whether it is kept."""
        return self._keep(name, reason, lambda target: atomic_write(target, content, _SECRET))

    def problems(self) -> tuple[Problem, ...]:
        """Return what to tell the control plane about it: nothing, or one problem for all that lies there."""
        names = [path.name.partition("-")[2] for path in self._held()]
        if not names:
            return ()
        count = "1 file" if len(names) == 1 else f"{len(names)} files"
        named = ", ".join(names[-MAX_NAMES:]) + (", …" if len(names) > MAX_NAMES else "")
        return (
            Problem(
                code="state-damaged",
                message=f"The agent could not use {count} of its state, now set aside in {self._folder}:"
                f" {named}",
                advice="The agent works without them. See its log for the reasons, have the disk checked,"
                " then delete them.",
                path=str(self._folder),
            ),
        )

    def _keep(self, name: str, reason: str, act: Callable[[Path], None]) -> bool:
        target = self._folder / f"{time.time_ns():020}-{name[:200]}"
        facts = {"file": name, "reason": reason, "folder": str(self._folder)}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            act(target)
        except OSError as error:
            log.exception("damaged state cannot be set aside", extra=facts | {"why": str(error)})
            return False
        log.error("damaged state set aside", extra=facts)
        self._prune()
        return True

    def _held(self) -> list[Path]:
        """The oldest first."""
        try:
            return sorted(path for path in self._folder.iterdir() if not path.name.endswith(_DATABASE[1:]))
        except OSError:
            return []

    def _prune(self) -> None:
        held = self._held()
        sizes = {path: _size(path) for path in held}
        while held and (len(held) > MAX_FILES or sum(sizes[path] for path in held) > MAX_BYTES):
            _remove(held.pop(0))


def _rename(path: Path, target: Path) -> None:
    """The database itself last: while it is there the next look finds it again."""
    for suffix in reversed(_DATABASE[1:]):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    path.rename(target)


def _size(path: Path) -> int:
    with suppress(OSError):
        return sum(one.lstat().st_size for one in path.parent.glob(f"{path.name}*"))
    return 0


def _remove(path: Path) -> None:
    for suffix in _DATABASE:
        one = path.with_name(path.name + suffix)
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one, ignore_errors=True)
        else:
            with suppress(OSError):
                one.unlink(missing_ok=True)
