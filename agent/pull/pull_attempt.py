"""One attempt at a pull: passes over the source until one of them completes, then the finalizer."""

import errno
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing

from agent import problems, state_disk
from agent.errors import HopError, problem_of
from agent.files import disk, owners
from agent.pull.finalizer import Finalizer
from agent.pull.ledger import Ledger, ledger_path, open_ledger
from agent.pull.marks import Marks
from agent.pull.mover import HopResult
from agent.pull.pull_context import PullContext
from agent.pull.request_size import RequestSize
from agent.pull.source import Source, SourceConnectionError
from agent.pull.streaming_source import IncrementalSource, StreamingSource
from agent.pull.sync_pass import SyncPass
from agent.pull.worker_context import PullStoppedError
from agent.quarantine import Quarantine, is_damage
from events.base import Problem

log = logging.getLogger(__name__)

FREED_ENOUGH_BYTES = 16 * 1024 * 1024
"""Bytes that must have become free on a full disk before the next pass."""
_WAITS_FOR_SPACE = {problems.DESTINATION_FULL.code, problems.STATE_DISK_FULL.code}


class PullAttempt:
    """One attempt at a pull. Call `run` once."""

    def __init__(self, context: PullContext) -> None:
        self._context = context
        self._command = context.command
        self._limits = context.limits
        self._request_size = RequestSize()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._pass: SyncPass | None = None

    def request_stop(self) -> None:
        """Make `run` end soon. Thread-safe."""
        with self._lock:
            self._stopped.set()
            if self._pass:
                self._pass.abort(PullStoppedError())

    def pull(self) -> HopResult:
        """Carry out the hop and return its result.

        Raises:
            HopError: the attempt failed.
            PullStoppedError: `stop` was called.
        """
        context, host = self._context, self._context.host
        self._require_place()
        if self._command.options.owner != "agent":
            owners.require_chown(str(self._command.destination))
        ledger = self._open_ledger()
        try:
            if ledger.destination is None:  # an earlier one may have been set aside
                self._sweep(ledger)
            ledger.begin(context.destination_path)
            active = host.active_pulls.register(self._command.hop_id, ledger)
            self._clear_old_marks(ledger)
            with closing(context.make_source()) as source, active:
                result = self._run_and_finalize(source, ledger)
        except HopError as error:
            if not error.problem.retryable:
                self._discard_partial_files(ledger)
            host.keep_manifest(ledger, self._command, goes_on=True)
            if self._pass:
                raise self._pass.failures.added_to(error) from error.__cause__
            raise
        except sqlite3.Error as error:
            if state_disk.is_full(error, host.state):
                raise HopError(state_disk.full_problem(host.state)) from error
            if not is_damage(error):
                raise
            ledger.close()
            path = ledger_path(host.state, self._command.hop_id)
            Quarantine(host.state).move(path, str(error))
            raise HopError(problems.LEDGER_DAMAGED.problem(ledger=path, reason=error)) from error
        else:
            self._forget_partial_directories(ledger)
            host.keep_manifest(ledger, self._command, succeeded=True)
            return result
        finally:
            ledger.close()

    def _open_ledger(self) -> Ledger:
        """Open the hop's ledger; wait while the disk of the state directory is full. Raises HopError."""
        state = self._context.host.state
        while True:
            try:
                return open_ledger(state, self._command.hop_id)
            except (OSError, sqlite3.Error) as error:
                if not state_disk.is_full(error, state):
                    raise
                self._wait_for_space(state_disk.full_problem(state))

    def _sweep(self, ledger: Ledger) -> None:
        """Remove the temporary files of earlier attempts, where that is possible now."""
        with self._context.open_tree() as tree:
            ledger.partial_directories.sweep(self._context.roots, self._command.hop_id, tree)

    def _forget_partial_directories(self, ledger: Ledger) -> None:
        """Forget where temporary files may be, unless some may be left: a later start removes those."""
        if not ledger.partial_directories.is_searched:
            self._sweep(ledger)
        if ledger.partial_directories.is_searched:
            ledger.partial_directories.forget()

    def _require_place(self) -> None:
        """Raise HopError if the host does not allow the destination, or a link is on the way to it."""
        with self._context.open_tree() as tree:
            try:
                tree.nearest_existing()
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.EXDEV}:
                    raise HopError(problem_of(error, self._context.destination_path)) from error

    def _clear_old_marks(self, ledger: Ledger) -> None:
        """Remove the marker files that a killed attempt has left."""
        with self._context.open_tree() as tree:
            Marks(self._context.roots, tree, ledger).remove_all()

    def _run_and_finalize(self, source: Source, ledger: Ledger) -> HopResult:
        try:
            sync_pass = self._run_passes(source, ledger)
        except HopError as error:
            if not (
                ledger.is_source_deleted and error.problem.code == problems.SOURCE_MISSING.code and self._pass
            ):
                raise
            with closing(self._finalizer(source, ledger, self._pass)) as finalizer:
                return finalizer.verify_after_deletion()
        return self._finalize(source, ledger, sync_pass)

    def _run_passes(self, source: Source, ledger: Ledger) -> SyncPass:
        """Run passes over the whole source, after one that streams if the source is still being written."""
        if self._command.previous_hop and isinstance(source, IncrementalSource):
            self._pass_until_complete(lambda: StreamingSource(source, ledger), ledger)
        return self._pass_until_complete(lambda: source, ledger)

    def _pass_until_complete(self, source: Callable[[], Source], ledger: Ledger) -> SyncPass:
        """Run passes until one completes, and return it.

        After a broken connection the next pass follows, unless no pass made progress for the timeout. A full
        disk, of the destination or of the state directory, is waited for without limit. Raises HopError,
        PullStoppedError.
        """
        failing_since, failed_passes = 0.0, 0
        while True:
            sync_pass = self._start_pass(source(), ledger)
            try:
                sync_pass.sync()
            except SourceConnectionError as error:
                if sync_pass.jobs_done or not failed_passes:
                    failing_since, failed_passes = time.monotonic(), 0
                if time.monotonic() - failing_since > self._limits.no_progress_timeout_s:
                    raise HopError(
                        error.problem
                        or problems.SOURCE_UNREACHABLE.problem(source=self._command.source, reason=error)
                    ) from error
                log.info(
                    "connection to source lost", extra=self._context.log_fields() | {"reason": str(error)}
                )
                self._wait(self._limits.pass_backoff.delay_s(failed_passes))
                failed_passes += 1
            except HopError as error:
                if error.problem.code not in _WAITS_FOR_SPACE:
                    raise
                self._wait_for_space(error.problem)
            except sqlite3.Error as error:
                if not state_disk.is_full(error, self._context.host.state):
                    raise
                self._wait_for_space(state_disk.full_problem(self._context.host.state))
            else:
                return sync_pass

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise PullStoppedError

    def _wait_for_space(self, problem: Problem) -> None:
        log.warning("waiting for disk space", extra=self._context.log_fields() | {"reason": problem.message})
        self._context.observer.on_wait(problem)
        free_bytes = (
            self._free_state_bytes if problem.code == problems.STATE_DISK_FULL.code else self._free_bytes
        )
        free_before, retry_at = free_bytes(), time.monotonic() + self._limits.full_disk_retry_s
        while time.monotonic() < retry_at and free_bytes() < free_before + FREED_ENOUGH_BYTES:
            self._wait(self._limits.space_poll_interval_s)

    def _free_bytes(self) -> int:
        with self._context.open_tree() as tree:
            return disk.free_bytes(tree.nearest_existing())

    def _free_state_bytes(self) -> int:
        return disk.free_bytes(self._context.host.state)

    def _start_pass(self, source: Source, ledger: Ledger) -> SyncPass:
        with self._lock:
            if self._stopped.is_set():
                raise PullStoppedError
            self._pass = SyncPass(self._context, source, ledger, self._request_size)
            return self._pass

    def _finalize(self, source: Source, ledger: Ledger, sync_pass: SyncPass) -> HopResult:
        if self._command.options.delete_extra and not sync_pass.files:
            raise HopError(problems.SOURCE_EMPTY.problem(source=self._command.source))
        with closing(self._finalizer(source, ledger, sync_pass)) as finalizer:
            return finalizer.finalize()

    def _finalizer(self, source: Source, ledger: Ledger, sync_pass: SyncPass) -> Finalizer:
        return Finalizer(self._context, source, ledger, sync_pass.failures, sync_pass.dry_run, self._stopped)

    def _discard_partial_files(self, ledger: Ledger) -> None:
        """Remove the partial files of a hop that is not retried by itself."""
        try:
            with closing(self._context.open_destination(ledger)) as destination:
                destination.drop_all(self._context.roots)
        except (HopError, OSError) as error:
            log.warning(
                "partial files may be left", extra=self._context.log_fields() | {"reason": str(error)}
            )
