"""Push to S3: list the source, ask S3 what exists, upload what differs.

    PushedFiles ── ledger ──> DestinationListing ──> two queues ── workers ──> Uploader ──> S3

Small files are one request each, beside one listing for a thousand keys. An existing object of the same size
is looked at by itself, since a listing does not have the time of the file that it was made from. Big files go
in parts, which the ledger records: a later attempt continues them. A hop that is given up aborts its uploads.
"""

import logging
import sqlite3
import threading
from contextlib import closing

from agent import state_disk
from agent.errors import HopError
from agent.problems import LEDGER_DAMAGED, S3_FAILED
from agent.pull.bandwidth import limiter_for
from agent.pull.ledger import Ledger, ledger_path, open_ledger
from agent.pull.mover import AttemptObserver, Credentials, HopResult, HostResources, in_thread
from agent.pull.progress import ProgressCounter
from agent.pull.source import SourceConnectionError
from agent.quarantine import Quarantine, is_damage
from agent.s3.checksums import algorithm_for
from agent.s3.client import S3Client
from agent.s3.errors import ConnectionLostError, S3Error
from agent.s3.push_pass import PushPass
from agent.s3.unfinished_uploads import session_of, unfinished_uploads
from agent.s3.upload import UploadContext, Uploader
from events.commands import Move, S3Route
from events.locations import AgentLocation, S3Location
from events.options import Options, tagging_header
from events.progress import Connection

log = logging.getLogger(__name__)


class S3Push:
    """Moves a hop from this host to S3."""

    def __init__(self, host: HostResources, credentials: Credentials) -> None:
        self._host = host
        self._credentials = credentials

    async def move(self, command: Move, progress: ProgressCounter, observer: AttemptObserver) -> HopResult:
        """Upload the hop's files and return the result.

        Raises:
            HopError: the attempt failed.
        """
        attempt = _Attempt(self._host, self._credentials, command, progress)
        return await in_thread(lambda: attempt.push(observer), attempt.request_stop)

    async def discard(self, command: Move) -> None:
        """Abort the uploads of a hop that was canceled or has failed, and hand over its ledger.

        Raises:
            HopError: S3 cannot be asked to.
        """
        attempt = _Attempt(self._host, self._credentials, command, ProgressCounter())
        try:
            await in_thread(attempt.discard, attempt.request_stop)
        finally:
            self._credentials.forget(command.hop_id)  # those of an ended hop open too little for a retry


def _headers_of(options: Options) -> dict[str, str]:
    """Return the headers with which objects are created."""
    headers = {}
    if options.overwrite in {"never", "fail"}:
        headers["if-none-match"] = "*"
    if options.storage_class:
        headers["x-amz-storage-class"] = options.storage_class
    if options.object_tags:
        headers["x-amz-tagging"] = tagging_header(options.object_tags)
    return headers


class _Attempt:
    """One attempt of a push."""

    def __init__(
        self, host: HostResources, credentials: Credentials, command: Move, progress: ProgressCounter
    ) -> None:
        if not (
            isinstance(command.source, AgentLocation)
            and isinstance(command.destination, S3Location)
            and isinstance(command.route, S3Route)
        ):
            raise TypeError(f"{command.hop_id} does not go from this host to S3")
        self._host = host
        self._command = command
        self._agent_id = command.source.agent_id
        self._location = command.destination
        self._progress = progress
        self._stopped = threading.Event()
        self._endpoint = command.route.endpoint
        self._client = S3Client(self._location.bucket, command.route, credentials, command.hop_id)

    def request_stop(self) -> None:
        """Stop the attempt, from any thread."""
        self._stopped.set()
        self._client.interrupt()

    def push(self, observer: AttemptObserver) -> HopResult:
        """Upload all files and return the result.

        Raises:
            HopError: the attempt failed.
            PullStoppedError: `request_stop` was called.
        """
        ledger = open_ledger(self._host.state, self._command.hop_id)
        try:
            with closing(self._client):
                result = self._push_or_abort(ledger, observer)
        except HopError as error:
            self._host.keep_manifest(ledger, self._command, goes_on=error.problem.retryable)
            raise
        except sqlite3.Error as error:
            raise self._ledger_error(ledger, error) from error
        else:
            self._host.keep_manifest(ledger, self._command, succeeded=True)
            return result
        finally:
            ledger.close()

    def discard(self) -> None:
        """Abort what the hop has begun, and dispose of its ledger.

        Raises:
            HopError: S3 cannot be asked to.
        """
        ledger = open_ledger(self._host.state, self._command.hop_id)
        try:
            with closing(self._client):
                self._abort_all(ledger)
                self._abort_unknown(ledger)
        except (S3Error, ConnectionLostError) as error:
            raise HopError(error.problem(self._location)) from error
        except SourceConnectionError as error:
            raise HopError(S3_FAILED.problem(path=str(self._location), reason=str(error))) from error
        finally:
            self._host.keep_manifest(ledger, self._command)

    def _push_or_abort(self, ledger: Ledger, observer: AttemptObserver) -> HopResult:
        """Push, and abort what nothing will continue: all of it after a failure that no retry mends."""
        try:
            result = self._push(ledger, observer)
        except HopError as error:
            if not error.problem.retryable:
                self._try_to_abort_all(ledger)
            raise
        self._try_to_abort_all(ledger)  # of files that have been deleted in the meantime
        return result

    def _push(self, ledger: Ledger, observer: AttemptObserver) -> HopResult:
        ledger.begin(str(self._location))
        ledger.start_pass()
        context = self._context(ledger)
        push_pass = PushPass(self._command, self._location, self._host.roots, context)
        try:
            push_pass.list_files()
            self._client.connect()
            if push_pass.has_big_files:
                self._abort_unknown(ledger)
            observer.on_start(Connection(kind="s3"))
            return push_pass.push()
        except SourceConnectionError as error:
            context.check_stopped()
            problem = S3_FAILED.problem(path="the upload", reason=str(error))
            raise push_pass.failures.added_to(HopError(problem)) from error
        except (S3Error, ConnectionLostError) as error:
            context.check_stopped()
            raise push_pass.failures.added_to(HopError(error.problem(self._location))) from error
        except HopError as error:
            raise push_pass.failures.added_to(error) from error.__cause__

    def _context(self, ledger: Ledger) -> UploadContext:
        options = self._command.options
        return UploadContext(
            client=self._client,
            ledger=ledger,
            progress=self._progress,
            limiter=limiter_for(options, self._host.bandwidth, self._stopped),
            stopped=self._stopped,
            algorithm=algorithm_for(self._endpoint),
            headers=_headers_of(options),
        )

    def _try_to_abort_all(self, ledger: Ledger) -> None:
        try:
            self._abort_all(ledger)
            if ledger.uploads.may_be_incomplete:
                self._abort_unknown(ledger)
        except (S3Error, ConnectionLostError, SourceConnectionError, HopError) as error:
            log.warning(
                "uploads may be left in S3", extra={"hop_id": self._command.hop_id, "reason": str(error)}
            )

    def _abort_all(self, ledger: Ledger) -> None:
        """Abort the uploads that the ledger knows."""
        uploader = Uploader(self._context(ledger))
        for upload in list(ledger.uploads.all()):
            uploader.abort(upload)

    def _abort_unknown(self, ledger: Ledger) -> None:
        """Abort the uploads of this hop that its ledger does not know.

        A bucket's owner may deny listing them; the bucket's life cycle rule then ends them.

        Raises:
            S3Error, ConnectionLostError: S3 refuses for another reason, or does not answer.
        """
        session = session_of(self._agent_id, self._command.hop_id)
        known = {upload.upload_id for upload in ledger.uploads.all()}
        try:
            for found in list(unfinished_uploads(self._client, self._location.prefix)):
                if found.is_of(session) and found.upload_id not in known:
                    log.info("an upload of a lost ledger is aborted", extra={"key": found.key})
                    self._client.request("DELETE", found.key, query={"uploadId": found.upload_id})
        except S3Error as error:
            if error.code != "AccessDenied":
                raise
            log.info("uploads cannot be listed", extra={"hop_id": self._command.hop_id})

    def _ledger_error(self, ledger: Ledger, error: sqlite3.Error) -> HopError:
        """Return why the ledger cannot be used; one that is damaged is set aside."""
        state, path = self._host.state, ledger_path(self._host.state, self._command.hop_id)
        if state_disk.is_full(error, state):
            return HopError(state_disk.full_problem(state))
        if not is_damage(error):
            raise error
        ledger.close()
        Quarantine(state).move(path, str(error))
        return HopError(LEDGER_DAMAGED.problem(ledger=path, reason=error))
