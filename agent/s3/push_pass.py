"""One attempt of a push to S3, once its ledger and its client are open."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Queue

from agent.files.digests import HopDigest
from agent.files.listing import FileEntry
from agent.files.roots import Roots, Tree
from agent.problems import DESTINATION_OBJECT_EXISTS, LINK_NOT_FOR_S3, S3_NAME_NOT_UTF8, S3_NAME_TOO_LONG
from agent.pull.comparison import Comparison
from agent.pull.dry_run import DryRunReport
from agent.pull.failures import Failures
from agent.pull.mover import HopResult
from agent.pull.pushed_files import PushedFiles
from agent.pull.source import FileError
from agent.s3.destination_listing import DestinationListing
from agent.s3.errors import S3Error
from agent.s3.existing_objects import ExistingObjects
from agent.s3.part_sizes import MAX_SINGLE_BYTES
from agent.s3.upload import UploadContext, Uploader
from events.base import Problem
from events.commands import Move
from events.locations import MAX_KEY_BYTES, S3Location

SMALL_FILE_WORKERS = 128
"""Files that are sent by one request at the same time: at 30 ms an answer, 4,200 a second, which is more than
S3 promises for a prefix (3,500) and a processor core sends."""
BIG_FILE_WORKERS = 4
"""Files that are sent in parts at the same time, each with several parts in flight."""
QUEUED_FILES = 1000
_EXISTS = 412
"""HTTP's status for a condition that does not hold."""


@dataclass(frozen=True)
class _Job:
    """A file, and the size of the object at its destination."""

    entry: FileEntry
    key: str
    listed_size: int | None
    is_listed: bool = True
    """Whether the size is known, from a listing: None then means that there is no object."""


class PushPass:
    """Lists the source and uploads what the destination does not have."""

    def __init__(self, command: Move, location: S3Location, roots: Roots, context: UploadContext) -> None:
        self._command = command
        self._location = location
        self._context = context
        self._ledger = context.ledger
        self._progress = context.progress
        self._dry_run = DryRunReport() if command.options.dry_run else None
        self.failures = Failures(context.ledger, self._dry_run)
        self._files = PushedFiles(
            roots, command, context.ledger, self.failures, context.stopped, self._refuse
        )
        self._existing = ExistingObjects(
            context.client, command.options.overwrite, is_dry_run=command.options.dry_run
        )
        self._uploader = Uploader(context)
        self.has_big_files = False
        """Whether `list_files` has found one that goes in parts."""

    def list_files(self) -> None:
        """Record the source's files in the ledger.

        Raises:
            HopError: the source cannot be listed.
            PullStoppedError: the attempt was stopped.
        """
        self._ledger.forget_begun()
        for batch in self._files.record(self._progress):
            self.has_big_files |= any(entry.size > MAX_SINGLE_BYTES for entry in batch)

    def push(self) -> HopResult:
        """Upload the files that were listed and return the result; in a dry run, only predict it.

        Raises:
            HopError: a file failed.
            S3Error, ConnectionLostError: S3 refuses to go on, or does not answer.
            PullStoppedError: the attempt was stopped.
        """
        small = _Workers(SMALL_FILE_WORKERS, "s3-small", self._files.open_tree, self._do)
        big = _Workers(BIG_FILE_WORKERS, "s3-big", self._files.open_tree, self._do)
        try:
            for job in self._jobs():
                self._context.check_stopped()
                if not (big if job.entry.size > MAX_SINGLE_BYTES else small).put(job):
                    break
        except BaseException:
            small.give_up()
            big.give_up()
            raise
        finally:
            errors = [error for workers in (small, big) if (error := workers.finish())]
        self._context.check_stopped()
        if errors:
            raise errors[0]
        return HopResult(HopDigest().hex(), self._dry_run.preview()) if self._dry_run else self._result()

    def _jobs(self) -> Iterator[_Job]:
        """Yield the files with what is at their destination, in the order of their paths' bytes."""
        if self._files.is_single:
            if self._dry_run:  # looking at one object does not show whether it is missing or the bucket is
                self._context.client.list_page(f"{self._location.prefix}/")
            for entry in self._ledger.partial_files():
                yield _Job(entry, self._location.prefix, None, is_listed=False)
            return
        prefix = directory_prefix(self._location)
        listing = DestinationListing(self._context.client, prefix)
        for entry in self._ledger.partial_files():
            key = prefix + entry.path
            found = listing.find(key)
            yield _Job(entry, key, found.size if found else None)

    def _do(self, job: _Job, tree: Tree) -> None:
        """Do what is to be done with one file.

        Raises:
            S3Error, ConnectionLostError: no other file would fare better.
            PullStoppedError: the attempt was stopped.
        """
        self._context.check_stopped()
        try:
            comparison = self._compare(job)
            if self._dry_run:
                self._predict(self._dry_run, job, comparison)
            elif comparison in {Comparison.MISSING, Comparison.DIFFERENT}:
                self._upload(job, tree)
            else:
                self._leave(job, comparison)
        except FileError as error:
            self._fail(job, error.problem)
        except S3Error as error:
            self._context.check_stopped()
            if error.concerns_whole_hop:
                raise
            self._fail(job, error.problem(self._files.display_name(job.entry.path)))

    def _compare(self, job: _Job) -> Comparison:
        if job.is_listed:
            return self._existing.compare(job.entry, job.key, job.listed_size)
        return self._existing.compare_unlisted(job.entry, job.key)

    def _upload(self, job: _Job, tree: Tree) -> None:
        try:
            self._uploader.upload(tree, job.entry, job.key)
        except S3Error as error:
            if error.status != _EXISTS:
                raise
            # another writer was first, or S3's answer to an earlier request of ours was lost
            self._leave(job, self._existing.compare_unlisted(job.entry, job.key))

    def _leave(self, job: _Job, comparison: Comparison) -> None:
        """Leave an object as it is."""
        if comparison in {Comparison.IDENTICAL, Comparison.SKIP}:
            self._ledger.outcomes.record_unchanged([job.entry])
            self._progress.add_unchanged(job.entry.size)
        else:
            self._fail(job, self._exists(job))

    def _predict(self, report: DryRunReport, job: _Job, comparison: Comparison) -> None:
        if comparison is Comparison.REFUSED:
            report.failed(job.entry, self._exists(job))
        else:
            report.note(job.entry, comparison)

    def _exists(self, job: _Job) -> Problem:
        return DESTINATION_OBJECT_EXISTS.problem(path=self._files.display_name(job.entry.path))

    def _fail(self, job: _Job, problem: Problem) -> None:
        self.failures.add_problem(problem, job.entry)
        self._ledger.forget_file(job.entry.path)

    def _result(self) -> HopResult:
        total, file_count = HopDigest(), 0
        for file in self._ledger.completed():
            total.add("f", file.path, file.size, file.digest)
            file_count += 1
        if self.failures.total:
            raise self.failures.to_error(file_count)
        return HopResult(total.hex())

    def _refuse(self, name: str, entry: FileEntry) -> Problem | None:
        """Return why S3 cannot have this."""
        if entry.kind == "l":
            return LINK_NOT_FOR_S3.problem(path=name, backend="S3")
        try:
            key = (
                directory_prefix(self._location) + entry.path if entry.path else self._location.prefix
            ).encode()
        except UnicodeEncodeError:
            return S3_NAME_NOT_UTF8.problem(path=name)
        return S3_NAME_TOO_LONG.problem(path=name) if len(key) > MAX_KEY_BYTES else None


def directory_prefix(location: S3Location) -> str:
    """Return what the keys of a directory's files begin with."""
    prefix = location.prefix
    return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


class _Workers:
    """Threads that do jobs, each with a tree of its own; after an error they do nothing more."""

    def __init__(
        self, count: int, name: str, open_tree: Callable[[], Tree], work: Callable[[_Job, Tree], None]
    ) -> None:
        self._open_tree = open_tree
        self._work = work
        self._queue: Queue[_Job | None] = Queue(QUEUED_FILES)
        self._error: BaseException | None = None
        self._has_ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._count = count
        self._name = name

    def put(self, job: _Job) -> bool:
        """Enqueue a job; wait while there are many. Return False after an error: nothing is done any more."""
        if len(self._threads) < self._count:
            self._threads.append(threading.Thread(target=self._run, name=self._name))
            self._threads[-1].start()
        self._queue.put(job)
        return not self._has_ended.is_set()

    def give_up(self) -> None:
        """Let no further job be begun."""
        self._has_ended.set()

    def finish(self) -> BaseException | None:
        """Wait until all jobs are done, and return the error that has ended the work."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        return self._error

    def _run(self) -> None:
        try:
            with self._open_tree() as tree:
                while job := self._queue.get():
                    if not self._has_ended.is_set():
                        self._do(job, tree)
        except BaseException as error:
            self._end(error)
            while self._queue.get():
                pass

    def _do(self, job: _Job, tree: Tree) -> None:
        try:
            self._work(job, tree)
        except BaseException as error:
            self._end(error)

    def _end(self, error: BaseException) -> None:
        self._error = self._error or error
        self._has_ended.set()
