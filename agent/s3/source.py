"""Pull from S3: objects as a source.

An object's time is when it was written, which a listing tells without a request for each object. The time
that a push kept as metadata comes only with a GET, too late for a comparison, and is not used. Times are in
whole seconds, so an object that was written a moment ago gets a provisional time at the destination, and is
compared by its content the next time. What is read is pinned by its ETag.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from itertools import islice

from agent import problems
from agent.errors import HopError, display_path
from agent.files.digests import CHUNK_BYTES
from agent.files.listing import (
    MAX_NUMBER,
    FileEntry,
    Selection,
    is_inside,
    reserved_entry,
    unreadable_entry,
)
from agent.files.paths import is_own_path, is_reserved
from agent.pull import worker_pool
from agent.pull.bandwidth import RateLimiter, limiter_for
from agent.pull.mover import Credentials, HostResources
from agent.pull.provisional_times import listed_mtime_ns, with_provisional_time
from agent.pull.source import (
    FileError,
    Hole,
    PackedFile,
    Sink,
    SourceConnectionError,
    changed,
    computed_digests,
)
from agent.pull.worker_context import MAX_ATTEMPTS
from agent.s3.checksums import CHECKSUM_WANTED, Algorithm, algorithm_in
from agent.s3.client import Download, S3Client
from agent.s3.errors import ConnectionLostError, S3Error
from agent.s3.listing import ListedObject
from agent.s3.range_checksums import ObjectChecksums
from events.base import Problem
from events.commands import Move, S3Route
from events.locations import S3Location, stands_for_contents
from events.progress import Connection

STREAMS = 8
"""Workers to begin with: S3 answers slowly, and to many at once."""
PACK_FILES = 16
"""Small objects that a worker requests at once, each over a connection of its own."""
MODE_FILE = 0o644
"""The mode of every file, since objects have none."""
MAX_PARALLEL_LOOKUPS = 64
"""Selected objects that are looked up at once."""
_MAX_SECOND = MAX_NUMBER // 10**9
_FORBIDDEN, _NOT_FOUND, _PAST_THE_END = 403, 404, 416


def s3_source(move: Move, host: HostResources, credentials: Credentials) -> "S3Source":
    """Return the source of a hop from S3 to this host."""
    if not (isinstance(move.source, S3Location) and isinstance(move.route, S3Route)):
        raise TypeError(f"{move.hop_id} does not come from S3")
    client = S3Client(move.source.bucket, move.route, credentials, move.hop_id)
    # Never stopped: a long wait here is one for many chunks, and a stop ends the requests.
    limiter = limiter_for(move.options, host.bandwidth, threading.Event())
    return S3Source(move.source, client, limiter)


class S3Source:
    """A hop's source in S3."""

    streams = STREAMS
    max_streams = worker_pool.MAX_WORKERS
    pack_files = PACK_FILES
    is_far = False

    def __init__(self, location: S3Location, client: S3Client, limiter: RateLimiter) -> None:
        """Read objects by `client`, which this closes; `limiter` is for what is read only to be compared."""
        self._location = location
        self._client = client
        self._limiter = limiter
        self._is_bucket_known = False
        self.checksums = ObjectChecksums(self._headers_of)
        prefix = location.prefix
        self._prefix = f"{prefix}/" if prefix and not prefix.endswith("/") else prefix

    def connect(self) -> Connection:
        """Check that credentials are issued. Raises HopError, SourceConnectionError."""
        self._client.connect()
        return Connection(kind="s3")

    def entries(self, selection: Selection) -> Iterator[FileEntry]:
        """Yield an entry for each object of the selection."""
        mark = selection.destination.mark if selection.destination else ""
        return map(with_provisional_time, self._find_entries(selection, mark))

    def reader(self) -> "S3Reader":
        return S3Reader(self, self._client, self._limiter)

    def interrupt(self) -> None:
        self._client.interrupt()

    def close(self) -> None:
        self._client.close()

    def key(self, path: str) -> str:
        """Return the key of an entry; '' is the source itself, a single object."""
        return f"{self._prefix}{path}" if path else self._location.prefix

    def _headers_of(self, entry: FileEntry) -> Mapping[str, str]:
        """Return the headers of an object with its checksum; without any if it is another version now."""
        found = self._client.head(self.key(entry.path), CHECKSUM_WANTED)
        return found if _is_version(found, entry) else {}

    def name(self, path: str) -> str:
        """Return the name of an entry for people."""
        return display_path(f"s3://{self._location.bucket}/{self.key(path)}")

    # --- finding objects ---

    def _find_entries(self, selection: Selection, mark: str) -> Iterator[FileEntry]:
        if entry := self._single_object():
            yield entry
        elif selection.paths is None:
            yield from self._list_all(mark)
        else:
            yield from self._look_up_selected(selection.paths)

    def _single_object(self) -> FileEntry | None:
        """Return the source if it is a single object, None otherwise.

        An object and a prefix may have the same name. If S3 does not say whether there is an object, because
        the credentials may not list what is beside it, the prefix is listed.
        """
        if stands_for_contents(self._location):
            return None
        try:
            return _found_entry("", self._client.head(self._location.prefix))
        except S3Error as error:
            if error.status == _NOT_FOUND or _is_denied(error):
                return None
            raise self._whole_source(error) from error
        except ConnectionLostError as error:
            raise self._line_lost(error) from error

    def _list_all(self, mark: str) -> Iterator[FileEntry]:
        empty = True
        for one in self._listed():
            if entry := self._entry(one, mark):
                empty = False
                yield entry
        if empty:
            raise HopError(problems.OBJECTS_MISSING.problem(path=str(self._location)))

    def _listed(self) -> Iterator[ListedObject]:
        try:
            for page in self._client.list_pages(self._prefix):
                yield from page.objects
        except S3Error as error:
            raise self._whole_source(error) from error
        except ConnectionLostError as error:
            raise self._line_lost(error) from error

    def _entry(self, listed: ListedObject, mark: str) -> FileEntry | None:
        """Return the entry of an object; None for a temporary file of a hop, and an empty directory marker.

        Raises:
            HopError: this is the destination's mark, so source and destination overlap.
        """
        path = listed.key.removeprefix(self._prefix)
        if is_own_path(path):
            if mark and path.rpartition("/")[2] == mark:
                raise HopError(problems.SAME_PLACE.problem(path=str(self._location)))
            return None
        if not path or (path.endswith("/") and not listed.size):
            return None
        if is_reserved(path):
            return reserved_entry(path, self.name(path))
        if not is_inside(path):
            return unreadable_entry(path, problems.NOT_A_PATH.problem(path=self.name(path)))
        return _sized_entry(path, listed.size, _second_ns(_iso_time(listed.modified)), listed.etag)

    def _look_up_selected(self, selection: Sequence[str]) -> Iterator[FileEntry]:
        """Look up each selected object by itself: a bucket may hold millions of others."""
        wanted = []
        for path in selection:
            if not _is_key(path) or not is_inside(path):
                yield unreadable_entry(path, problems.NOT_A_PATH.problem(path=self.name(path)))
            elif is_reserved(path):
                yield reserved_entry(path, self.name(path))
            else:
                wanted.append(path)
        paths = iter(wanted)
        while batch := list(islice(paths, MAX_PARALLEL_LOOKUPS)):
            yield from self._look_up(batch)

    def _look_up(self, paths: Sequence[str]) -> Iterator[FileEntry]:
        try:
            found = self._client.head_all([self.key(path) for path in paths])
            for path, one in zip(paths, found, strict=True):
                yield self._selected(path, one)
        except ConnectionLostError as error:
            raise self._line_lost(error) from error

    def _selected(self, path: str, found: dict[str, str] | S3Error) -> FileEntry:
        if not isinstance(found, S3Error):
            return _found_entry(path, found)
        if found.status == _NOT_FOUND:
            self._require_bucket(path)
            return unreadable_entry(path, problems.SELECTED_OBJECT_MISSING.problem(path=self.name(path)))
        meaning = self.meaning_of(found, path)
        if isinstance(meaning, FileError):
            return unreadable_entry(path, meaning.problem)
        raise meaning

    def _require_bucket(self, missing: str) -> None:
        """Raise HopError if an object is missing because the bucket is, which no HEAD tells."""
        if self._is_bucket_known:
            return
        try:
            self._client.require_readable(self.key(missing))
        except S3Error as error:
            if error.concerns_whole_hop:
                raise self._whole_source(error) from error
        self._is_bucket_known = True

    # --- what errors mean ---

    def meaning_of(self, error: S3Error, path: str) -> FileError | HopError:
        """Return what it means that S3 refuses one object: only that object's failure, as a rule."""
        if error.concerns_whole_hop:
            return HopError(error.problem(self._location))
        if _is_denied(error):
            return FileError(problems.S3_OBJECT_DENIED.problem(path=self.name(path)))
        return FileError(error.problem(self.name(path)))

    def _whole_source(self, error: S3Error) -> HopError | SourceConnectionError:
        problem = error.problem(self._location)
        if error.is_transient:
            return SourceConnectionError(problem.message, problem)
        return HopError(problem)

    def _line_lost(self, error: ConnectionLostError) -> SourceConnectionError:
        return SourceConnectionError(str(error), error.problem(self._location))

    def line_lost_at(self, error: ConnectionLostError, path: str) -> SourceConnectionError:
        """Return what it means that the connection broke within an object."""
        return SourceConnectionError(str(error), error.problem(self.name(path)))


class S3Reader:
    """Reads objects, for one thread at a time. The connections are those of the source."""

    has_checkpoints = True

    def __init__(self, source: S3Source, client: S3Client, limiter: RateLimiter) -> None:
        self._source = source
        self._client = client
        self._limiter = limiter

    def range(self, entry: FileEntry, start: int, length: int, sink: Sink, _hole: Hole | None = None) -> None:
        """Pass a range of the object to `sink`; `start` and `length` are in bytes.

        There is no digest of ours. TLS protects the bytes, and S3's own checksum a whole object: its ranges
        are verified together when the last of them has arrived, or by `verify_resumed` if an earlier attempt
        has written some. A request that breaks off adds nothing: its range is asked for again from its start.
        """
        try:
            if length == entry.size:
                self._read_whole(entry, sink)
            elif length:
                self._read_range(entry, start, length, sink)
        except S3Error as error:
            raise self._error_of(error, entry) from error
        except ConnectionLostError as error:
            raise self._source.line_lost_at(error, entry.path) from error

    def verify_resumed(self, entry: FileEntry, descriptor: int, check_stopped: Callable[[], None]) -> None:
        """Compare the object with S3's checksum; read from the disk what an earlier attempt wrote of it."""
        try:
            if not self._source.checksums.of(entry).add_missing(descriptor, check_stopped):
                raise self._damaged(entry)
        except S3Error as error:
            raise self._error_of(error, entry) from error
        except ConnectionLostError as error:
            raise self._source.line_lost_at(error, entry.path) from error
        finally:
            self._source.checksums.forget(entry)

    def _read_whole(self, entry: FileEntry, sink: Sink) -> None:
        with closing(self._client.get(self._source.key(entry.path), CHECKSUM_WANTED)) as download:
            self._read(entry, download, sink)

    def _read_range(self, entry: FileEntry, start: int, length: int, sink: Sink) -> None:
        checksums = self._source.checksums.of(entry)
        headers = {"range": f"bytes={start}-{start + length - 1}"}
        try:
            with closing(self._client.get(self._source.key(entry.path), headers)) as download:
                self._require_version(entry, download)
                _require_range(download, start, length)
                checksum = _pass_on(download, length, sink, checksums.algorithm)
            is_intact = checksums.add(start, length, checksum)
            if is_intact is False:
                raise self._damaged(entry)
            if is_intact:
                self._source.checksums.forget(entry)
        except (FileError, S3Error):
            self._source.checksums.forget(entry)
            raise

    def pack(self, entries: Sequence[FileEntry]) -> Iterator[PackedFile]:
        """Request all these small objects at once and yield them as they were requested."""
        wanted = [entry for entry in entries if entry.size]
        answers = self._client.get_all([self._source.key(entry.path) for entry in wanted], CHECKSUM_WANTED)
        with closing(answers):
            for entry in entries:
                try:
                    answer = next(answers) if entry.size else None
                    yield self._packed(entry, answer)
                except ConnectionLostError as error:
                    raise self._source.line_lost_at(error, entry.path) from error

    def digests(self, entries: Sequence[FileEntry]) -> Iterator[PackedFile]:
        """Yield each file with its digest, which is computed here: objects have none that can be trusted.

        A tool that writes an object again may keep the metadata, and so the digest, of the one before.
        """
        return computed_digests(self, entries, self._limiter)

    def delete_entries(
        self, entries: Sequence[FileEntry], _mark: str, _name: str
    ) -> Iterator[Problem | None]:
        """Yield a problem for each file, since nothing is deleted from S3."""
        return (problems.OBJECT_KEPT.problem(path=self._source.name(entry.path)) for entry in entries)

    def has_mark(self, mark: str, _folders: Sequence[str]) -> bool:
        """Return whether the mark is below the source's own prefix, which contains those of all mounts."""
        try:
            self._client.head(self._source.key(mark))
        except S3Error as error:
            return error.status != _NOT_FOUND
        except ConnectionLostError as error:
            raise self._source.line_lost_at(error, mark) from error
        return True

    def interrupt(self) -> None:
        """Do nothing: the source's `interrupt` ends all requests."""

    def close(self) -> None:
        """Do nothing: the connections are the source's."""

    def _packed(self, entry: FileEntry, answer: Download | S3Error | None) -> PackedFile:
        if answer is None:
            return PackedFile(entry)
        if isinstance(answer, S3Error):
            refusal = self._error_of(answer, entry)
            if isinstance(refusal, FileError):
                return PackedFile(entry, problem=refusal.problem)
            raise refusal
        data = bytearray()
        try:
            self._read(entry, answer, data.extend)
        except FileError as error:
            return PackedFile(entry, problem=error.problem)
        return PackedFile(entry, memoryview(data))

    def _read(self, entry: FileEntry, download: Download, sink: Sink) -> None:
        """Pass the answer to `sink`: a whole object, which is verified.

        Raises:
            ConnectionLostError: the connection broke.
            FileError: it is another version's, or does not have S3's checksum.
        """
        self._require_version(entry, download)
        algorithm = algorithm_in(download.headers)
        checksum = _pass_on(download, entry.size, sink, algorithm)
        if algorithm and algorithm.text(checksum) != download.headers[algorithm.header]:
            raise self._damaged(entry)

    def _damaged(self, entry: FileEntry) -> FileError:
        name = self._source.name(entry.path)
        return FileError(problems.ARRIVED_DAMAGED.problem(path=name, attempts=MAX_ATTEMPTS))

    def _require_version(self, entry: FileEntry, download: Download) -> None:
        """Raise FileError if the answer is not of the version that was listed."""
        if not _is_version(download.headers, entry):
            raise changed(self._source.name(entry.path))

    def _error_of(self, error: S3Error, entry: FileEntry) -> FileError | HopError:
        if error.status in {_NOT_FOUND, _PAST_THE_END} and not error.concerns_whole_hop:
            return changed(self._source.name(entry.path))
        return self._source.meaning_of(error, entry.path)


def _pass_on(download: Download, length: int, sink: Sink, algorithm: Algorithm | None) -> int:
    """Pass the answer to `sink` and return its checksum, 0 without an algorithm.

    Raises:
        ConnectionLostError: the connection broke.
    """
    checksum, buffer = 0, memoryview(bytearray(min(CHUNK_BYTES, length)))
    while length:
        count = download.readinto(buffer[:length])
        if not count:
            raise ConnectionLostError("the connection was closed within an answer")
        if algorithm:
            checksum = algorithm.update(buffer[:count], checksum)
        sink(buffer[:count])
        length -= count
    return checksum


def _require_range(download: Download, start: int, length: int) -> None:
    """Raise ConnectionLostError if the answer is another part of the object, or all of it."""
    found = download.headers.get("content-range", "").partition("/")[0]
    if found != f"bytes {start}-{start + length - 1}":
        raise ConnectionLostError(f"not the range that was asked for: {found or 'the whole object'}")


def _is_denied(error: S3Error) -> bool:
    return error.status == _FORBIDDEN and error.code in {"", "AccessDenied"}


def _is_key(path: str) -> bool:
    """Return whether S3 can have such a key, which is UTF-8."""
    try:
        return bool(path.encode())
    except UnicodeEncodeError:
        return False


def _is_version(headers: Mapping[str, str], entry: FileEntry) -> bool:
    """Return whether this is the version that was listed."""
    total = headers.get("content-range", "").rpartition("/")[2]
    size = total or headers.get("content-length")
    if size != str(entry.size):
        return False
    if entry.ctime_ns:
        return _version_of(headers.get("etag", "")) == entry.ctime_ns
    return _second_ns(_http_time(headers)) == listed_mtime_ns(entry)


def _version_of(etag: str) -> int:
    """Return a number that stands for an ETag; 0 for none.

    It takes the place of a file's `ctime_ns`: ledger and manifest compare that for the same purpose.
    """
    text = etag.removeprefix("W/").strip('"').encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest()) >> 1 or 1 if text else 0


def _found_entry(path: str, headers: dict[str, str]) -> FileEntry:
    """Return the entry that the answer to a HEAD describes."""
    size = int(headers["content-length"])
    return _sized_entry(path, size, _second_ns(_http_time(headers)), headers.get("etag", ""))


def _sized_entry(path: str, size: int, mtime_ns: int, etag: str) -> FileEntry:
    if size > MAX_NUMBER:
        return unreadable_entry(path, problems.LISTED_SIZE_TOO_LARGE.problem(path=path, size=size))
    return FileEntry("f", path, max(size, 0), mtime_ns, MODE_FILE, ctime_ns=_version_of(etag))


def _iso_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _http_time(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers.get("last-modified", "")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _second_ns(moment: datetime | None) -> int:
    """Return a time's whole second in nanoseconds since 1970; the last that fits if S3 tells none."""
    if moment is None:
        return _MAX_SECOND * 10**9
    return min(max(int(moment.timestamp() // 1), -_MAX_SECOND), _MAX_SECOND) * 10**9
