"""A hop to S3 or a remote: rclone uploads what this agent reads to it.

rclone is given no path of this host. It asks for each file on loopback, so every name is resolved inside its
root by the agent itself, as on the lane, and the digest is taken of the very bytes that are uploaded.
"""

import logging
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from typing import IO

from agent.errors import HopError
from agent.files.digests import HopDigest
from agent.files.listing import FileEntry
from agent.pull.bandwidth import limiter_for
from agent.pull.dry_run import DryRunReport
from agent.pull.failures import Failures
from agent.pull.ledger import open_ledger
from agent.pull.mover import AttemptObserver, HopResult, HostResources, batches, in_thread
from agent.pull.progress import ProgressCounter
from agent.pull.source import SourceConnectionError
from agent.pull.worker_context import PullStoppedError
from agent.rclone.backend import Backend
from agent.rclone.copy_rules import predict
from agent.rclone.destination_stat import DestinationStat, DestinationStatError
from agent.rclone.errors import IN_THE_WAY, error_lines
from agent.rclone.file_server import SourceFileServer
from agent.rclone.process import RcloneError, RcloneProcess
from agent.rclone.upload_list import LEDGER_BATCH_SIZE, UploadList
from events.base import Problem
from events.commands import Move
from events.locations import inner_path
from events.progress import Connection

log = logging.getLogger(__name__)

MAX_LOG_LINES = 1000
"""Lines of what rclone says that are kept."""
_OVERWRITE = {"always": (), "newer": ("--update",), "never": ("--ignore-existing",), "fail": ("--immutable",)}


class RclonePush:
    def __init__(self, host: HostResources, store: Callable[[], Backend]) -> None:
        """`store` is asked for once the hop begins: HopError."""
        self._host = host
        self._store = store

    async def move(self, order: Move, tally: ProgressCounter, watcher: AttemptObserver) -> HopResult:
        upload = _Upload(self._host, self._store(), order, tally, watcher)
        return await in_thread(upload.run, upload.stop)

    async def discard(self, order: Move) -> None:
        """An object stands whole or not at all; rclone aborts the uploads it has begun when it is ended."""


class _Upload:
    def __init__(
        self,
        host: HostResources,
        store: Backend,
        order: Move,
        tally: ProgressCounter,
        watcher: AttemptObserver,
    ) -> None:
        self._host = host
        self._store = store
        self._order = order
        self._tally = tally
        self._watcher = watcher
        self._stopped = threading.Event()
        self._rclone: RcloneProcess | None = None
        self._rehearsal = DryRunReport() if order.options.dry_run else None
        self._ledger = open_ledger(host.state, order.hop_id)
        self._failures = Failures(self._ledger, self._rehearsal)
        self._names = UploadList(host, store, order, self._ledger, self._failures, self._stopped)

    def stop(self) -> None:
        self._stopped.set()
        if self._rclone:
            self._rclone.interrupt()

    def run(self) -> HopResult:
        """HopError, or StoppedError after `stop`."""
        try:
            self._ledger.begin(str(self._store.place), anew=True)  # what is there is rclone's to compare
            with tempfile.TemporaryFile(dir=self._host.state) as names:
                self._names.write(names, self._tally)
                names.seek(0)
                with closing(self._store.begin()) as self._rclone:
                    self._begin(self._rclone)
                    if self._rehearsal:
                        return self._predict(self._rclone, self._rehearsal)
                    self._copy(self._rclone, names)
            return self._finish()
        finally:
            self._host.account(self._ledger, self._order)

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise PullStoppedError

    def _begin(self, rclone: RcloneProcess) -> None:
        self._check_stopped()
        try:
            rclone.check()
        except SourceConnectionError as lost:
            raise self._final(lost) from lost
        self._watcher.on_start(Connection(kind=self._store.kind))

    # --- uploading ---

    def _copy(self, rclone: RcloneProcess, names: IO[bytes]) -> None:
        with closing(self._file_server()) as shelf:
            process = rclone.start(
                "copy",
                "shelf:",
                self._names.target,
                "--files-from-raw=-",
                "--no-traverse",
                "--multi-thread-streams=0",
                "--transfers=4",
                *self._comparison_options(rclone),
                stdin=names,
                RCLONE_CONFIG_SHELF_TYPE="http",
                RCLONE_CONFIG_SHELF_URL=shelf.url,
                RCLONE_USE_SERVER_MODTIME="false",
            )
            errors = list(deque(process.stderr or [], maxlen=MAX_LOG_LINES))
            code = rclone.ended(process)
            self._check_stopped()
            if code:
                self._explain(rclone, errors)

    def _comparison_options(self, rclone: RcloneProcess) -> tuple[str, ...]:
        """What rclone is to do with a file that is there already: none that may differ is the same."""
        overwrite = self._order.options.overwrite
        unsure = overwrite in {"always", "fail"} and self._store.precision(rclone) is None
        return (*_OVERWRITE[overwrite], "--ignore-times") if unsure else _OVERWRITE[overwrite]

    def _file_server(self) -> SourceFileServer:
        limiter = limiter_for(self._order.options, self._host.line, self._stopped)
        return SourceFileServer(
            self._names.tree, self._ledger, limiter, self._tally, self._failures, self._names.single
        )

    def _explain(self, rclone: RcloneProcess, errors: list[bytes]) -> None:
        """Of single files in the list of failures; HopError for what is about none of them."""
        if refusal := rclone.refusal:
            raise self._final(refusal)
        about = {name: words for words, name in error_lines(errors) if name}
        for name, words in about.items():
            entry = FileEntry("f", self._names.path(name))
            self._failures.add(self._problem(words, self._names.shown(entry.path)), entry)
            self._ledger.drop(entry.path)
        if not self._failures.total:
            raise self._of_the_whole(errors)

    def _of_the_whole(self, errors: list[bytes]) -> HopError:
        words = " ".join(words for words, _ in error_lines(errors))
        return HopError(self._problem(words, self._store.place))

    def _problem(self, words: str, place: object) -> Problem:
        return self._store.known_problem(words, place) or self._store.passing_problem(words, place)

    def _final(self, error: Exception) -> HopError:
        """A push has no second way: what would be waited for ends the attempt, to be tried again."""
        if isinstance(error, HopError):
            return error
        return HopError(self._store.passing_problem(str(error), "the upload"))

    def _finish(self) -> HopResult:
        """Files that rclone did not ask for stood there already, unless they failed."""
        total, arrived = HopDigest(), 0
        for one in self._ledger.completed():
            total.add("f", one.path, one.size, one.digest)
            arrived += 1
        for batch in batches(self._ledger.partial_files(), LEDGER_BATCH_SIZE):
            self._ledger.add_unchanged(batch)
            for entry in batch:
                self._tally.add_unchanged(entry.size)
        if self._failures.total:
            raise self._failures.summed(arrived)
        return HopResult(total.hex())

    # --- a dry run ---

    def _predict(self, rclone: RcloneProcess, rehearsal: DryRunReport) -> HopResult:
        """HopError, or StoppedError after `stop`."""
        try:
            self._require_bucket(rclone)
            precision = self._store.precision(rclone)
            with closing(DestinationStat(rclone, self._store)) as look:
                for batch in batches(self._ledger.partial_files(), LEDGER_BATCH_SIZE):
                    self._check_stopped()
                    standing = look.at([self._names.inner(entry.path) for entry in batch])
                    for entry, there in zip(batch, standing, strict=True):
                        self._note(rehearsal, entry, there, precision)
        except (RcloneError, DestinationStatError, SourceConnectionError) as error:
            self._check_stopped()
            raise self._why(rclone, error) from error
        return HopResult(HopDigest().hex(), rehearsal.preview())

    def _note(
        self, rehearsal: DryRunReport, entry: FileEntry, there: FileEntry | None, precision: int | None
    ) -> None:
        verdict = predict(entry, there, self._order.options.overwrite, precision)
        if verdict == "refused":
            rehearsal.failed(entry, self._problem(IN_THE_WAY, self._names.shown(entry.path)))
        else:
            rehearsal.note(entry, verdict)

    def _require_bucket(self, rclone: RcloneProcess) -> None:
        """Who looks for single objects does not see whether these are missing or all of it. EndedError."""
        if self._store.kind == "s3":
            below = f"{inner_path(self._store.place).rstrip('/')}/{self._order.hop_id}"
            deque(rclone.output("lsf", self._store.directory(below.lstrip("/"))), maxlen=0)

    def _why(
        self, rclone: RcloneProcess, error: RcloneError | DestinationStatError | SourceConnectionError
    ) -> HopError:
        if refusal := rclone.refusal:
            return self._final(refusal)
        match error:
            case RcloneError():
                return self._of_the_whole(list(error.errors))
            case DestinationStatError():
                return HopError(self._problem(str(error), self._store.place))
            case SourceConnectionError():
                return self._final(error)
