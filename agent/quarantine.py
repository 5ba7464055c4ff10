"""Move state that the agent cannot use out of the way, so that it can start and work without it.

Nothing is deleted at once: an administrator may want to examine it. The folder is bounded; the oldest entries
are deleted first.
"""

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent.files.disk import atomic_write
from agent.problems import STATE_DAMAGED
from events.base import Problem

log = logging.getLogger(__name__)

FOLDER = "damaged"
MAX_FILES = 100
MAX_BYTES = 256 * 1024**2
MAX_NAMES = 5
"""How many names the report about the folder lists."""
_DATABASE = ("", "-wal", "-shm")
"""Suffixes of the files that belong to a SQLite database."""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_OTHER_SCHEMA = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_MISMATCH}
_SECRET = 0o600


def is_damage(error: sqlite3.Error, *, at_open: bool = False) -> bool:
    """Return whether the database itself is at fault, not its disk or its permissions.

    With `at_open`, tables with other columns count as damage: another version of the agent may have made
    them.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # the module's own: text that is not UTF-8
        return isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in (_DAMAGE | _OTHER_SCHEMA if at_open else _DAMAGE)


class Quarantine:
    """The folder `damaged` in the state directory. Safe from any thread."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def move(self, path: Path, reason: str) -> bool:
        """Move a file here, with the other files of a database. Return whether it was moved."""
        return self._keep(path.name, reason, lambda target: _rename(path, target))

    def write(self, name: str, content: bytes, reason: str) -> bool:
        """Write what was part of a file here. Return whether it was written."""
        return self._keep(name, reason, lambda target: atomic_write(target, content, _SECRET))

    def problems(self) -> tuple[Problem, ...]:
        """Return what to report to the control plane: nothing, or one problem for all files here."""
        names = [path.name.partition("-")[2] for path in self._files()]
        if not names:
            return ()
        count = "1 file" if len(names) == 1 else f"{len(names)} files"
        named = ", ".join(names[-MAX_NAMES:]) + (", …" if len(names) > MAX_NAMES else "")
        return (STATE_DAMAGED.problem(path=str(self._folder), count=count, names=named),)

    def _keep(self, name: str, reason: str, act: Callable[[Path], None]) -> bool:
        target = self._folder / f"{time.time_ns():020}-{name[:200]}"
        facts = {"file": name, "reason": reason, "folder": str(self._folder)}
        try:
            self._make_folder()
            act(target)
        except OSError as error:
            log.exception("damaged state cannot be set aside", extra=facts | {"why": str(error)})
            return False
        log.error("damaged state set aside", extra=facts)
        self._prune()
        return True

    def _make_folder(self) -> None:
        if (self._folder.exists() or self._folder.is_symlink()) and not self._folder.is_dir():
            self._folder.rename(self._folder.with_name(f"{FOLDER}-{time.time_ns()}"))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _files(self) -> list[Path]:
        """Return the files here, oldest first."""
        try:
            return sorted(path for path in self._folder.iterdir() if not path.name.endswith(_DATABASE[1:]))
        except OSError:
            return []

    def _prune(self) -> None:
        files = self._files()
        sizes = {path: _size(path) for path in files}
        while files and (len(files) > MAX_FILES or sum(sizes[path] for path in files) > MAX_BYTES):
            _remove(files.pop(0))


def _rename(path: Path, target: Path) -> None:
    """Rename a file and its companions, the database itself last: until then the next start finds it."""
    for suffix in reversed(_DATABASE[1:]):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    path.rename(target)


def _size(path: Path) -> int:
    with suppress(OSError):
        return sum(member.lstat().st_size for member in path.parent.glob(f"{path.name}*"))
    return 0


def _remove(path: Path) -> None:
    for suffix in _DATABASE:
        member = path.with_name(path.name + suffix)
        if member.is_dir() and not member.is_symlink():
            shutil.rmtree(member, ignore_errors=True)
        else:
            with suppress(OSError):
                member.unlink(missing_ok=True)
