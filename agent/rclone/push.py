"""Push to a remote: rclone uploads what this agent reads and serves to it.

rclone is given no path of this host. It requests each file on loopback, so the agent itself resolves every
name inside its root, as on the lane, and computes the digest from the very bytes that are uploaded.
"""

import logging
import tempfile
import threading
from collections import deque
from collections.abc import Container, Iterable
from contextlib import closing
from typing import IO

from agent.errors import HopError
from agent.files.digests import HopDigest
from agent.files.listing import FileEntry
from agent.problems import LEFT_OUT
from agent.pull.bandwidth import limiter_for
from agent.pull.comparison import Comparison
from agent.pull.copy_rules import predict
from agent.pull.dry_run import DryRunReport
from agent.pull.failures import Failures
from agent.pull.ledger import open_ledger
from agent.pull.mover import AttemptObserver, HopResult, HostResources, batches, in_thread
from agent.pull.progress import ProgressCounter
from agent.pull.pushed_files import LEDGER_BATCH_SIZE
from agent.pull.source import SourceConnectionError
from agent.pull.worker_context import PullStoppedError
from agent.rclone.backend import Backend, backend_of
from agent.rclone.errors import (
    DESTINATION_EXISTS_TEXT,
    error_lines,
    error_text,
    problem_of,
    transient_problem,
)
from agent.rclone.file_server import SourceFileServer
from agent.rclone.lsjson import parse_time
from agent.rclone.object_stat import Found, ObjectStat, ObjectStatError
from agent.rclone.process import RcloneError, RcloneProcess
from agent.rclone.rc_server import RcServer
from agent.rclone.upload_list import UploadList
from events.commands import Move
from events.progress import Connection

log = logging.getLogger(__name__)

MAX_LOG_LINES = 1000
"""Last lines of rclone's log that are kept."""
MAX_ERROR_CHARS = 500
"""Characters of each file's error that are kept."""
_UNFINISHED_CODES = (2, 7)
"""Exit codes of rclone that say nothing of the other files: it has crashed, or a fatal error has ended it.

Until 1.68 the first was any error; older versions are refused (`agent/doctor.py`)."""
_OVERWRITE = {"always": (), "newer": ("--update",), "never": ("--ignore-existing",), "fail": ("--immutable",)}


class RclonePush:
    """Moves a hop from this host to a remote."""

    def __init__(self, host: HostResources) -> None:
        self._host = host

    async def move(self, command: Move, progress: ProgressCounter, observer: AttemptObserver) -> HopResult:
        """Upload the hop's files and return the result.

        Raises:
            HopError: the attempt failed.
        """
        backend = backend_of(command.destination, self._host.remotes, writing=True)
        upload = _Upload(self._host, backend, command, progress, observer)
        return await in_thread(upload.upload, upload.request_stop)

    async def discard(self, command: Move) -> None:
        """Do nothing: objects appear whole or not at all.

        rclone aborts the uploads that it has begun when it is terminated.
        """


class UploadLog:
    """What rclone logs during an upload, read to its end."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.last_lines: deque[bytes] = deque(maxlen=MAX_LOG_LINES)
        self.code = 0
        """rclone's exit code, once it has ended."""
        self.errors_by_name: dict[str, str] = {}
        """The last error of each file, however many there are."""
        for line in lines:
            self.last_lines.append(line)
            for text, name in error_lines([line]):
                if name:
                    self.errors_by_name[name] = text[:MAX_ERROR_CHARS]


class _Upload:
    """One attempt of a push."""

    def __init__(
        self,
        host: HostResources,
        backend: Backend,
        command: Move,
        progress: ProgressCounter,
        observer: AttemptObserver,
    ) -> None:
        self._host = host
        self._backend = backend
        self._command = command
        self._progress = progress
        self._observer = observer
        self._stopped = threading.Event()
        self._rclone: RcloneProcess | None = None
        self._dry_run = DryRunReport() if command.options.dry_run else None
        self._ledger = open_ledger(host.state, command.hop_id)
        self._failures = Failures(self._ledger, self._dry_run)
        self._upload_list = UploadList(host, backend, command, self._ledger, self._failures, self._stopped)

    def request_stop(self) -> None:
        """Stop the upload, from any thread."""
        self._stopped.set()
        if self._rclone:
            self._rclone.terminate_all()

    def upload(self) -> HopResult:
        """Upload all files and return the result.

        Raises:
            HopError: the attempt failed.
            PullStoppedError: `stop` was called.
        """
        succeeded = False
        try:
            self._ledger.begin(str(self._backend.location), anew=True)  # rclone compares with the destination
            with tempfile.TemporaryFile(dir=self._host.state) as names:
                self._upload_list.write(names, self._progress)
                names.seek(0)
                with closing(self._backend.create_process()) as self._rclone:
                    self._check_stopped()
                    self._observer.on_start(Connection(kind="remote"))
                    if self._dry_run:
                        return self._predict(self._rclone, self._dry_run)
                    self._copy(self._rclone, names)
            result = self._finish()
        except HopError as error:
            raise self._failures.added_to(error) from error.__cause__
        else:
            succeeded = True
            return result
        finally:
            self._host.keep_manifest(self._ledger, self._command, succeeded=succeeded)

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise PullStoppedError

    # --- uploading ---

    def _copy(self, rclone: RcloneProcess, names: IO[bytes]) -> None:
        with closing(self._file_server()) as file_server:
            process = rclone.spawn(
                "copy",
                "files:",
                self._upload_list.target,
                "--files-from-raw=-",
                "--no-traverse",
                "--no-unicode-normalization",  # two forms of one name are two objects
                "--multi-thread-streams=0",
                "--transfers=4",
                *self._comparison_options(rclone),
                stdin=names,
                RCLONE_CONFIG_FILES_TYPE="http",
                RCLONE_CONFIG_FILES_URL=file_server.url,
                RCLONE_USE_SERVER_MODTIME="false",
            )
            upload_log = UploadLog(process.stderr or [])
            code = rclone.wait(process)
            self._check_stopped()
            file_server.finish()
            if code:
                upload_log.code = code
                self._record_failures(upload_log, file_server.failed)

    def _comparison_options(self, rclone: RcloneProcess) -> tuple[str, ...]:
        """Return rclone's options for existing files.

        On a remote without times, rclone must not treat files of one size as identical.
        """
        overwrite = self._command.options.overwrite
        cannot_compare_times = (
            overwrite in {"always", "fail"} and self._backend.mtime_precision_ns(rclone) is None
        )
        return (*_OVERWRITE[overwrite], "--ignore-times") if cannot_compare_times else _OVERWRITE[overwrite]

    def _file_server(self) -> SourceFileServer:
        limiter = limiter_for(self._command.options, self._host.bandwidth, self._stopped)
        return SourceFileServer(
            self._upload_list.files.open_tree,
            self._ledger,
            limiter,
            self._progress,
            self._failures,
            self._upload_list.single_name,
        )

    def _record_failures(self, upload_log: UploadLog, known: Container[str]) -> None:
        """Record the failure of each file that is not `known`.

        Raises:
            HopError: the error is not about single files, or rclone ended before it had seen to all of them.
        """
        if upload_log.code < 0:
            text = f"rclone was ended by signal {-upload_log.code}"
            raise HopError(transient_problem(text, self._backend.location))
        last_words = error_text(upload_log.last_lines) or f"rclone ended with code {upload_log.code}"
        if upload_log.code in _UNFINISHED_CODES:
            raise HopError(problem_of(last_words, self._backend.location))
        for name, text in upload_log.errors_by_name.items():
            entry = FileEntry("f", self._upload_list.path_of(name))
            if entry.path in known:
                continue
            self._failures.add_problem(
                problem_of(text, self._upload_list.files.display_name(entry.path)), entry
            )
            self._ledger.forget_file(entry.path)
        if not self._failures.total:
            raise HopError(problem_of(last_words, self._backend.location))

    def _finish(self) -> HopResult:
        """Return the result: a file that rclone looked at and did not read existed already.

        One that rclone never asked for was left out, and has failed.
        """
        total, file_count = HopDigest(), 0
        for file in self._ledger.completed():
            total.add("f", file.path, file.size, file.digest)
            file_count += 1
        for batch in batches(self._ledger.partial_files(), LEDGER_BATCH_SIZE):
            unchanged = [entry for entry in batch if self._ledger.is_listed(entry.path)]
            self._ledger.outcomes.record_unchanged(unchanged)
            for entry in unchanged:
                self._progress.add_unchanged(entry.size)
            for entry in set(batch).difference(unchanged):
                name = self._upload_list.files.display_name(entry.path)
                self._failures.add_problem(LEFT_OUT.problem(path=name), entry)
        if self._failures.total:
            raise self._failures.to_error(file_count)
        return HopResult(total.hex())

    # --- a dry run ---

    def _predict(self, rclone: RcloneProcess, report: DryRunReport) -> HopResult:
        """Return what an upload would do.

        Raises:
            HopError: rclone failed to look at the destination.
            PullStoppedError: `stop` was called.
        """
        try:
            precision = self._backend.mtime_precision_ns(rclone)
            with (
                closing(RcServer(rclone, "--use-server-modtime=false")) as server,
                closing(ObjectStat(server, self._backend)) as object_stat,
            ):
                for batch in batches(self._ledger.partial_files(), LEDGER_BATCH_SIZE):
                    self._check_stopped()
                    existing = object_stat.stat_all(
                        [self._upload_list.path_below_root(entry.path) for entry in batch]
                    )
                    for entry, found in zip(batch, existing, strict=True):
                        self._add_prediction(report, entry, self._existing(found), precision)
        except (RcloneError, ObjectStatError, SourceConnectionError) as error:
            self._check_stopped()
            raise self._explain(error) from error
        return HopResult(HopDigest().hex(), report.preview())

    def _existing(self, found: Found) -> FileEntry | None:
        """Return what is at the destination; its time is precise to the microsecond.

        Raises:
            ObjectStatError: rclone could not look it up.
        """
        if isinstance(found, ObjectStatError):
            raise found
        if found is None:
            return None
        moment = parse_time(str(found["ModTime"]))
        mtime_ns = round(moment.timestamp() * 10**6) * 1000 if moment else 0
        return FileEntry("f", str(found["Path"]), int(found["Size"]), mtime_ns)

    def _add_prediction(
        self,
        report: DryRunReport,
        entry: FileEntry,
        existing: FileEntry | None,
        mtime_precision_ns: int | None,
    ) -> None:
        prediction = predict(entry, existing, self._command.options.overwrite, mtime_precision_ns)
        if prediction is Comparison.REFUSED:
            report.failed(
                entry,
                problem_of(DESTINATION_EXISTS_TEXT, self._upload_list.files.display_name(entry.path)),
            )
        else:
            report.note(entry, prediction)

    def _explain(self, error: RcloneError | ObjectStatError | SourceConnectionError) -> HopError:
        """Return the error that ends this attempt.

        A push does not wait for a connection to come back; the hop is tried again instead.
        """
        match error:
            case RcloneError():
                return HopError(problem_of(error_text(error.errors), self._backend.location))
            case ObjectStatError():
                return HopError(problem_of(str(error), self._backend.location))
            case SourceConnectionError():
                return HopError(transient_problem(str(error), "the upload"))
