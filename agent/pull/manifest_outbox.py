"""The outbox of manifests: ledgers of ended hops wait on disk until the control plane has their manifests.

A hop does not wait for its manifest: its ledger is only moved to the outbox, which is one rename, and the
manifest is written from it at the upload. The outbox survives a kill.
"""

import asyncio
import gzip
import logging
import os
import re
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Error as SqliteError
from typing import IO, Protocol

from pydantic import ValidationError

from agent.backoff import Backoff
from agent.errors import display_path
from agent.files.digests import digest_of
from agent.problems import OUTCOME_UNREADABLE
from agent.pull.file_outcomes import FileOutcome
from agent.pull.ledger import Ledger
from agent.quarantine import Quarantine, is_damage
from events.base import Problem
from events.manifest import ManifestLine

log = logging.getLogger(__name__)

MAX_WAITING_BYTES = 1024**3
"""Bytes that may wait; beyond them, the oldest ledgers are dropped."""
MAX_AGE_S = 14 * 86400.0
"""Seconds after which the control plane no longer accepts a manifest."""
RETRY_BACKOFF = Backoff(first_s=5.0, max_s=300.0)
"""Seconds before a failed upload is retried."""
_GZIP_LEVEL = 3
"""gzip's level: higher ones do not make digests shorter."""


class Send(Protocol):
    """Uploads manifests."""

    def __call__(self, hop_id: str, manifest: IO[bytes], *, succeeded: bool) -> None:
        """Upload the manifest of a hop that has `succeeded`, or of one that has not, or not yet.

        Raises:
            ManifestRefusedError: it is not wanted.
            OSError: a retry may help.
        """


class ManifestRefusedError(Exception):
    """The control plane rejects the manifest; a retry does not help."""


class ManifestOutbox:
    """The ledgers that wait for upload. Thread-safe."""

    def __init__(self, folder: Path, max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        self._folder = folder
        self._max_waiting_bytes = max_waiting_bytes
        self._quarantine = Quarantine(folder.parent)
        self._stuck: set[Path] = set()
        self.on_enqueue: Callable[[], None] = lambda: None
        """Called when a ledger was added, on any thread."""

    def keep(self, ledger: Ledger, hop_id: str, *, succeeded: bool = False, goes_on: bool = False) -> None:
        """Move a ledger to the outbox; if the hop `goes_on`, a copy. Errors are logged, not raised."""
        suffix = _SUCCEEDED if succeeded else ".db"
        kept_path = self._folder / f"{hop_id}.{time.time_ns()}{suffix}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if goes_on:
                partial = kept_path.with_suffix(".part")
                ledger.copy(partial)
                partial.rename(kept_path)
            else:
                ledger.move(kept_path)
        except (OSError, SqliteError) as error:
            log.warning("no manifest", extra={"hop_id": hop_id, "reason": str(error)})
            if not goes_on:
                ledger.forget()
        self.on_enqueue()

    def waiting(self) -> list[Path]:
        """Return the waiting ledgers, the oldest first; of each hop only the latest."""
        latest: dict[str, Path] = {}
        for path in sorted(self._named(), key=_kept_at):
            if before := latest.pop(hop_of(path), None):
                drop(before)
            latest[hop_of(path)] = path
        waiting_paths = list(latest.values())
        self._drop_old(waiting_paths)
        return waiting_paths

    def _named(self) -> Iterator[Path]:
        """Yield ledgers that `keep` has named; quarantine any other file."""
        for path in self._folder.glob("*.db"):
            if _NAME.fullmatch(path.name) and path.is_file():
                yield path
            elif path not in self._stuck:
                self.set_aside(path, "it is not a file that is named after a hop and a time")

    def set_aside(self, path: Path, reason: str) -> None:
        """Move a file that cannot be used to the quarantine."""
        if not self._quarantine.move(path, reason):
            self._stuck.add(path)

    def is_stuck(self, path: Path) -> bool:
        """Return whether the file cannot be used and could not be quarantined either."""
        return path in self._stuck

    def tidy(self) -> None:
        """Remove partial copies that a kill has left; set aside what is no such file."""
        for path in [*self._folder.glob("*.part"), *self._folder.glob("*.part-*")]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self.set_aside(path, str(error))

    def _drop_old(self, waiting_paths: list[Path]) -> None:
        sizes = {path: _size(path) for path in waiting_paths}
        size = sum(sizes.values())
        while waiting_paths and (
            size > self._max_waiting_bytes or time.time_ns() - _kept_at(waiting_paths[0]) > MAX_AGE_S * 1e9
        ):
            oldest = waiting_paths.pop(0)
            size -= sizes[oldest]
            log.warning("manifest given up: it has waited too long", extra={"hop_id": hop_of(oldest)})
            drop(oldest)


def hop_of(path: Path) -> str:
    return path.name.partition(".")[0]


_SUCCEEDED = ".succeeded.db"
"""How the name of a ledger ends whose hop has succeeded."""
_NAME = re.compile(r"[a-z0-9]{20}-[0-9]{1,3}\.[0-9]{1,20}(\.succeeded)?\.db")


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _kept_at(path: Path) -> int:
    return int(path.suffixes[0][1:])


def drop(path: Path) -> bool:
    """Remove a ledger that was uploaded or has waited too long; return whether it is gone."""
    try:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        log.warning("manifest not removed", extra={"path": str(path), "reason": str(error)})
        return False
    return True


class ManifestUploader:
    """Uploads waiting manifests, one at a time, until it is canceled."""

    def __init__(self, manifests: ManifestOutbox, send: Send, backoff: Backoff = RETRY_BACKOFF) -> None:
        self._manifests = manifests
        self._send = send
        self._backoff = backoff

    async def upload_manifests(self) -> None:
        loop, wakeup = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the event loop has ended, with the agent
                loop.call_soon_threadsafe(wakeup.set)

        self._manifests.on_enqueue = wake
        await asyncio.to_thread(self._manifests.tidy)
        failures = 0
        while True:
            wakeup.clear()
            done = await asyncio.to_thread(self._upload_all)
            failures = 0 if done else failures + 1
            with suppress(TimeoutError):  # wait_for would miss a stop at the moment of a new manifest
                async with asyncio.timeout(self._backoff.delay_s(failures - 1) if failures else None):
                    await wakeup.wait()

    def _upload_all(self) -> bool:
        """Upload all waiting manifests; return whether all succeeded. A failed one does not stop the rest."""
        waiting = [path for path in self._manifests.waiting() if not self._manifests.is_stuck(path)]
        sent = [self._upload(path) for path in waiting]
        return all(sent)

    def _upload(self, path: Path) -> bool:
        """Upload one manifest; return whether the ledger has left the outbox.

        A ledger that cannot be read is quarantined once that is sent; an upload that fails is retried later.
        """
        log_context, damage = {"hop_id": hop_of(path)}, ""
        try:
            with tempfile.TemporaryFile(dir=path.parent) as manifest:
                damage = self._write_manifest(path, manifest)
                manifest.seek(0)
                self._send(hop_of(path), manifest, succeeded=path.name.endswith(_SUCCEEDED))
        except ManifestRefusedError as refusal:
            log.warning("manifest refused", extra=log_context | {"reason": str(refusal)})
        except OSError as error:
            log.warning("manifest waits", extra=log_context | {"reason": str(error)})
            return False
        except Exception:
            log.exception("manifest waits", extra=log_context)
            return False
        else:
            log.info("manifest sent", extra=log_context)
        if damage:
            self._manifests.set_aside(path, damage)
            return True
        return drop(path)

    def _write_manifest(self, path: Path, to: IO[bytes]) -> str:
        """Write a manifest; return what is wrong with the ledger if it cannot be read. Raises OSError.

        Then the manifest has a single line, which says so: people would otherwise wait for it for ever.
        """
        try:
            write(path, to)
        except OSError:
            raise
        except SqliteError as error:
            if not is_damage(error):  # for example a full disk
                raise OSError(str(error)) from error
            damage = str(error)
        except Exception as error:
            log.exception("the ledger of a hop cannot be read", extra={"hop_id": hop_of(path)})
            damage = str(error) or type(error).__name__
        else:
            return ""
        to.seek(0)
        to.truncate()
        line = ManifestLine.model_validate(
            {"hop_id": hop_of(path), "path": "", "at": _time_or_end(None, _kept_at(path) / 1e9)} | _UNREADABLE
        )
        _write_lines([line], to)
        return damage


def write(ledger: Path, to: IO[bytes]) -> None:
    """Write the manifest of a hop as gzipped JSON lines, without holding all of it in memory."""
    with closing(Ledger(ledger)) as opened:
        _write_lines(lines(opened, hop_of(ledger), _kept_at(ledger) / 1e9), to)


def _write_lines(lines: Iterable[ManifestLine], to: IO[bytes]) -> None:
    with gzip.GzipFile("", "wb", _GZIP_LEVEL, to, mtime=0) as zipped:
        for line in lines:
            zipped.write(line.model_dump_json().encode() + b"\n")


def lines(ledger: Ledger, hop_id: str, ended: float) -> Iterator[ManifestLine]:
    """Yield the lines of a manifest; `ended`, in seconds since 1970, is the time of lines without one."""
    for file in ledger.outcomes:
        name = os.fsencode(file.path)
        where = {
            "hop_id": hop_id,
            "path": display_path(file.path),
            "raw": None if _is_text(name) else b64encode(name).decode(),
            "at": _time_or_end(file.at, ended),
        }
        try:
            yield ManifestLine.model_validate(where | _outcome_fields(file))
        except (ValidationError, TypeError, AttributeError):
            yield ManifestLine.model_validate(where | _UNREADABLE)


_KINDS = {"f", "d", "l"}
_UNREADABLE = {
    "kind": "other",
    "size": 0,
    "outcome": "unfinished",
    "problem": OUTCOME_UNREADABLE.problem(),
}


def _outcome_fields(file: FileOutcome) -> dict[str, object]:
    """Return the fields of a manifest line.

    Ledgers of older agents have the kind `!`; an unknown size is negative.
    """
    return {
        "kind": file.kind if file.kind in _KINDS else "other",
        "size": max(file.size, 0),
        "digest": _digest(file),
        "outcome": file.outcome,
        "problem": None if file.problem is None else Problem.model_validate_json(file.problem),
        "lost": tuple(dict.fromkeys((file.lost or "").split())),
    }


def _time_or_end(at: object, ended: float) -> datetime:
    """Return the time; the end of the hop if it is unknown or out of range."""
    for seconds in (at, ended):
        with suppress(ValueError, OverflowError, OSError):
            if isinstance(seconds, int | float) and seconds:
                return datetime.fromtimestamp(seconds, UTC)
    return datetime.fromtimestamp(0, UTC)


def _digest(file: FileOutcome) -> str | None:
    if file.digest is None:
        return None
    return (digest_of(file.digest) if file.kind == "l" else file.digest).hex()


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
