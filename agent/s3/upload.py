"""Upload single files: small ones by one request, big ones in parts, which a later attempt continues."""

import hashlib
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from agent.files.digests import digest_of
from agent.files.listing import FileEntry
from agent.files.roots import Tree
from agent.pull.bandwidth import RateLimiter
from agent.pull.ledger import Ledger
from agent.pull.progress import ProgressCounter
from agent.pull.source import FileError
from agent.pull.upload_records import Part, Upload
from agent.pull.worker_context import PullStoppedError
from agent.s3.answers import root_of, text_in
from agent.s3.checksums import ALGORITHM_HEADER, CHECKSUM_WANTED, FULL_OBJECT, TYPE_HEADER, Algorithm
from agent.s3.client import S3Client
from agent.s3.errors import ConnectionLostError, S3Error
from agent.s3.file_body import FileBody
from agent.s3.metadata import metadata_headers
from agent.s3.part_sizes import MAX_SINGLE_BYTES, in_flight_of, part_bytes_of
from agent.s3.source_file import HASH_CHUNK_BYTES, FileHasher, SourceFile

log = logging.getLogger(__name__)

_OTHER_CONTENT = {"BadDigest", "XAmzContentChecksumMismatch", "IncompleteBody"}
"""S3's codes for a body that is not the one that its headers announce."""
_NO_UPLOAD = "NoSuchUpload"


class _UploadGoneError(Exception):
    """S3 does not know the upload any more."""


@dataclass(frozen=True)
class UploadContext:
    """What all uploads of a hop share."""

    client: S3Client
    ledger: Ledger
    progress: ProgressCounter
    limiter: RateLimiter
    stopped: threading.Event
    algorithm: Algorithm
    headers: dict[str, str] = field(default_factory=dict)
    """Sent when an object is created: its condition, storage class and tags."""

    def check_stopped(self) -> None:
        if self.stopped.is_set():
            raise PullStoppedError


class Uploader:
    """Uploads files. Thread-safe."""

    def __init__(self, context: UploadContext) -> None:
        self._context = context

    def upload(self, tree: Tree, entry: FileEntry, key: str) -> None:
        """Upload a file and record it in the ledger as complete.

        Raises:
            FileError: the file cannot be read, or has changed since it was listed.
            S3Error, ConnectionLostError: S3 has refused it, or does not answer.
            PullStoppedError: the hop was stopped.
        """
        context = self._context
        with SourceFile(tree, entry) as file:
            try:
                if entry.size > MAX_SINGLE_BYTES:
                    digest = self._upload_parts(file, key)
                else:
                    digest = self._put(file, key)
            except S3Error as error:
                if error.code in _OTHER_CONTENT:
                    file.require_unchanged()
                raise
        context.ledger.complete(entry, digest)
        context.progress.finish_file(entry.path)

    def abort(self, upload: Upload) -> None:
        """Abort an upload and forget it, so that S3 stores and charges nothing for it.

        Raises:
            S3Error, ConnectionLostError: S3 has refused it, or does not answer.
        """
        with _unless_gone():
            self._context.client.request("DELETE", upload.key, query={"uploadId": upload.upload_id})
        self._context.ledger.uploads.forget(upload.path)

    # --- one request ---

    def _put(self, file: SourceFile, key: str) -> bytes:
        """Send a file by one request and return its digest."""
        context, size = self._context, file.entry.size
        if size <= HASH_CHUNK_BYTES:
            data = file.read()
            checksum, digest = context.algorithm.update(data, 0), digest_of(data)
            context.limiter.acquire(size)
            context.check_stopped()
            self._put_object(file, key, data, checksum, digest)
            context.progress.add_bytes(size)
            return digest
        hasher = FileHasher(file, context.algorithm, context.check_stopped)
        checksum = hasher.hash_next(size)
        body = FileBody(file, 0, size, context.progress, context.limiter)
        with _counted(body):
            self._put_object(file, key, body, checksum, hasher.digest())
        return hasher.digest()

    def _put_object(
        self, file: SourceFile, key: str, body: bytes | FileBody, checksum: int, digest: bytes
    ) -> None:
        algorithm = self._context.algorithm
        self._context.client.request(
            "PUT",
            key,
            headers=self._context.headers
            | metadata_headers(file.entry, digest)
            | {algorithm.header: algorithm.text(checksum)},
            body=body,
        )

    # --- in parts ---

    def _upload_parts(self, file: SourceFile, key: str) -> bytes:
        """Send a file in parts and return its digest."""
        try:
            return self._continue_or_begin(file, key)
        except _UploadGoneError:  # S3 gives up uploads after a time that the bucket's owner sets
            log.info("S3 has given up an upload", extra={"key": key})
            self._context.ledger.uploads.forget(file.entry.path)
            return self._continue_or_begin(file, key)
        except FileError:  # a later attempt would send another version
            if upload := self._context.ledger.uploads.of(file.entry.path):
                with suppress(S3Error, ConnectionLostError):  # the end of the attempt tries again
                    self.abort(upload)
            raise

    def _continue_or_begin(self, file: SourceFile, key: str) -> bytes:
        context = self._context
        upload = context.ledger.uploads.of(file.entry.path)
        if upload and not upload.is_of(file.entry, key, part_bytes_of(file.entry.size)):
            self.abort(upload)
            upload = None
        multipart = _MultipartUpload(context, file, upload or self._begin(file, key))
        return multipart.send()

    def _begin(self, file: SourceFile, key: str) -> Upload:
        context, entry = self._context, file.entry
        created = {name: value for name, value in context.headers.items() if name != "if-none-match"}
        headers = created | metadata_headers(entry) | _declared(context.algorithm)
        uploads = context.ledger.uploads
        try:
            answer = context.client.request("POST", key, query={"uploads": ""}, headers=headers)
        except BaseException:
            uploads.may_be_incomplete = True
            raise
        if answer.is_repeated:
            uploads.may_be_incomplete = True
        upload_id = text_in(root_of(answer.body, "InitiateMultipartUploadResult"), "UploadId")
        upload = Upload(
            entry.path, key, upload_id, entry.size, entry.mtime_ns, entry.ctime_ns, part_bytes_of(entry.size)
        )
        uploads.begin(upload)
        return upload


class _MultipartUpload:
    """Sends the parts of one file that S3 does not have yet, several at the same time."""

    def __init__(self, context: UploadContext, file: SourceFile, upload: Upload) -> None:
        self._context = context
        self._file = file
        self._upload = upload
        self._hasher = FileHasher(file, context.algorithm, context.check_stopped)
        self._existing_bytes = 0

    def send(self) -> bytes:
        """Send the parts, have S3 make an object of them, and return the file's digest."""
        entry = self._file.entry
        in_flight = in_flight_of(entry.size, self._upload.part_bytes)
        senders = ThreadPoolExecutor(in_flight, "s3-part")
        try:
            checksum = self._send_parts(senders, in_flight)
        except BaseException:
            senders.shutdown(cancel_futures=True)
            self._context.progress.subtract(self._existing_bytes)
            raise
        senders.shutdown()
        self._file.require_unchanged()
        self._complete(checksum)
        self._context.ledger.uploads.forget(entry.path)
        return self._hasher.digest()

    def _send_parts(self, senders: ThreadPoolExecutor, in_flight: int) -> int:
        """Send all parts that are missing and return the checksum of the whole file."""
        context, whole = self._context, 0
        stored = context.ledger.uploads.parts(self._upload.path)
        sending: set[Future[None]] = set()
        for number, start, length in self._parts():
            checksum = self._hasher.hash_next(length)
            whole = context.algorithm.combine(whole, checksum, length)
            text = context.algorithm.text(checksum)
            if number in stored and stored[number].checksum == text:
                self._existing_bytes += length
                context.progress.add_existing(length)
                continue
            sending.add(senders.submit(self._send_part, number, start, length, text))
            if len(sending) >= in_flight:
                sending = _first_done(sending)
        while sending:
            sending = _first_done(sending)
        return whole

    def _parts(self) -> Iterator[tuple[int, int, int]]:
        """Yield number, start and length of each part."""
        size, part_bytes = self._upload.size, self._upload.part_bytes
        for index, start in enumerate(range(0, size, part_bytes)):
            yield index + 1, start, min(part_bytes, size - start)

    def _send_part(self, number: int, start: int, length: int, checksum: str) -> None:
        context = self._context
        body = FileBody(self._file, start, length, context.progress, context.limiter)
        with _counted(body), _gone_noticed():
            answer = context.client.request(
                "PUT",
                self._upload.key,
                query={"partNumber": str(number), "uploadId": self._upload.upload_id},
                headers={context.algorithm.header: checksum},
                body=body,
            )
        part = Part(number, answer.headers.get("etag", ""), checksum)
        context.ledger.uploads.add_part(self._upload.path, part)

    def _complete(self, checksum: int) -> None:
        context, parts = self._context, self._context.ledger.uploads.parts(self._upload.path)
        text = context.algorithm.text(checksum)
        headers = {"x-amz-mp-object-size": str(self._upload.size)}
        if context.algorithm.is_of_whole:
            headers |= {context.algorithm.header: text, TYPE_HEADER: FULL_OBJECT}
        if condition := context.headers.get("if-none-match"):
            headers["if-none-match"] = condition
        in_order = [parts[number] for number, _, _ in self._parts()]
        try:
            answer = context.client.request(
                "POST",
                self._upload.key,
                query={"uploadId": self._upload.upload_id},
                headers=headers,
                body=_list_of(in_order),
            )
            root_of(answer.body, "CompleteMultipartUploadResult")
        except S3Error as error:
            if error.code != _NO_UPLOAD:
                raise
            if not self._is_complete(in_order, text):
                raise _UploadGoneError from error

    def _is_complete(self, parts: list[Part], checksum: str) -> bool:
        """Return whether the object is there: an earlier attempt was killed before S3's answer came."""
        try:
            found = self._context.client.head(self._upload.key, CHECKSUM_WANTED)
        except S3Error:
            return False
        header = self._context.algorithm.header
        return found.get("etag") == _joint_etag(parts) or found.get(header) == checksum


def _first_done(sending: set[Future[None]]) -> set[Future[None]]:
    """Wait until one is done and return the others. Raise its error."""
    done, left = wait(sending, return_when=FIRST_COMPLETED)
    for one in done:
        one.result()
    return left


def _joint_etag(parts: list[Part]) -> str | None:
    """Return the ETag of an object that S3 makes of parts, unless it is encrypted by a key of KMS."""
    try:
        digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
    except ValueError:
        return None
    return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'


def _declared(algorithm: Algorithm) -> dict[str, str]:
    """Return the headers that ask S3 for the checksum of the whole object."""
    if not algorithm.is_of_whole:
        return {}
    return {ALGORITHM_HEADER: algorithm.name, TYPE_HEADER: FULL_OBJECT}


def _list_of(parts: list[Part]) -> bytes:
    listed = (
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{escape(part.etag)}</ETag></Part>"
        for part in parts
    )
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<CompleteMultipartUpload xmlns="{space}">{"".join(listed)}</CompleteMultipartUpload>'.encode()


@contextmanager
def _counted(body: FileBody) -> Iterator[None]:
    """Count as progress what a request in this context sends, if it succeeds."""
    try:
        yield
    except BaseException:
        body.take_back()
        raise


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Take an upload that S3 does not know any more for aborted."""
    try:
        yield
    except S3Error as error:
        if error.code != _NO_UPLOAD:
            raise


@contextmanager
def _gone_noticed() -> Iterator[None]:
    """Raise _UploadGoneError if S3 does not know the upload any more."""
    try:
        yield
    except S3Error as error:
        if error.code == _NO_UPLOAD:
            raise _UploadGoneError from error
        raise
