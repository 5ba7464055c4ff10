"""What is said to a peer that was let in: a hop's listing, ranges of its files, packs of small ones."""

import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import xxhash

from agent.errors import HopError, problem_of
from agent.files.digests import DIGEST_BYTES, digest_of, range_count, range_digest, ranges_of, update_by_zeros
from agent.files.disk import data_ranges
from agent.files.listing import FileEntry, Selection, entries, open_source
from agent.files.roots import Roots, Tree
from agent.files.same_place import must_be_apart
from agent.files.source_deleter import SourceDeleter, shows_mark
from agent.lane import requests, sparse_ranges, wire
from agent.lane.grants import Grant, Grants
from agent.lane.incremental_listing import IncrementalListing
from agent.lane.requests import LaneRequestError, LaneRequestHandler
from agent.lane.sparse_ranges import Part
from agent.pull.bandwidth import RateLimiter
from events.base import Problem

log = logging.getLogger(__name__)

IDLE_TIMEOUT_S = 120.0
"""Seconds a connection may be silent between requests and in the middle of one."""
SEND_TIMEOUT_S = 3600.0
"""Seconds in which a peer must take something of what is sent. A bandwidth limit can make it wait long; one
that is dead is found out by TCP itself."""
BLOCK_BYTES = 64 * 1024
SEND_CHUNK_BYTES = 256 * 1024
"""Bytes read and sent at once."""


class HopRequestHandler(LaneRequestHandler):
    """One connection, from its first request to its last."""

    def __init__(
        self,
        grants: Grants,
        roots: Roots,
        hop_id: str,
        connection: ssl.SSLSocket,
        address: Any,
        on_request: Callable[[], None],
    ) -> None:
        """Returns when nothing more is asked; OSError if the peer went away. `asked` is called at each
        question from whoever may ask."""
        connection.settimeout(IDLE_TIMEOUT_S)
        self._grants = grants
        self._roots = roots
        self._hop_id = hop_id
        self._begun = False
        self._tell = on_request
        super().__init__(connection, address)

    def answer(self) -> None:
        self._begun = False
        try:
            body = self.body(wire.MAX_BODY_BYTES)
            verb = self._verb()
            grant = self._grant()
            self._tell()
            with self._roots.tree(grant.serve.path, writing=grant.serve.removing) as tree, self._patiently():
                verb(grant, tree, requests.parsed(body))
        except HopError as error:
            raise LaneRequestError(403, error.problem) from error

    @contextmanager
    def _patiently(self) -> Iterator[None]:
        self.connection.settimeout(SEND_TIMEOUT_S)
        try:
            yield
        finally:
            self.connection.settimeout(IDLE_TIMEOUT_S)

    def _verb(self) -> Any:
        _, *sparse_ranges = self.path.split("/")
        verbs = {
            "manifest": self._manifest,
            "arriving": self._arriving,
            "range": self._range,
            "pack": self._pack,
            "digests": self._digests,
            "shows": self._shows,
            "clear": self._clear,
        }
        if len(sparse_ranges) != 3 or sparse_ranges[0] != "hops" or sparse_ranges[2] not in verbs:
            raise requests.malformed("there is no such path", 404)
        if sparse_ranges[1] != self._hop_id:
            raise requests.not_served(sparse_ranges[1])
        return verbs[sparse_ranges[2]]

    def _grant(self) -> Grant:
        """The same answer for a hop that is not served any more and for a wrong token."""
        grant = self._grants.get(self._hop_id)
        if grant is None or not grant.admits(self.token, self.connection.getpeercert(binary_form=True)):
            raise requests.not_served(self._hop_id)
        return grant

    def _manifest(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        meant, before = requests.listing(body), grant.serve.follows
        if before and not self._grants.arrivals.has_succeeded(before):
            raise requests.still_arriving(grant.serve.path)
        found = entries(tree, meant)
        try:
            first = next(found, None)
        except OSError as error:
            raise LaneRequestError(404, problem_of(error, grant.serve.path)) from error
        if first and first.kind != "d" and meant.selection is None and grant.serve.path.endswith("/"):
            raise LaneRequestError(404, problem_of(NotADirectoryError(20, ""), grant.serve.path))
        self.head(200, "application/x-ndjson", None)
        for block in _blocks(first, found):
            self._chunk(block)
        self._chunk(b"")

    def _arriving(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        meant, before = requests.listing(body), grant.serve.follows
        if before is None:
            raise requests.malformed("nothing is arriving for this hop")
        self._must_be_apart(tree, meant)
        self.head(200, "application/x-ndjson", None)
        for block in IncrementalListing(self._grants.arrivals, before, tree, meant, grant.over).blocks():
            self._chunk(block)
        self._chunk(b"")

    def _range(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        """The bytes and their digest; if the file changes meanwhile, the connection ends without it."""
        file, start, length = requests.piece(body)
        with_holes = body.get("holes") is True
        if problem := grant.unreadable.pop(file.path, None):
            raise LaneRequestError(409, problem)
        descriptor = _opened(tree, file)
        try:
            found = data_ranges(descriptor, start, length) if with_holes else [(start, length)]
            told = sparse_ranges.written(found) if with_holes else b""
            size = len(told) + sum(size for _, size in found) + DIGEST_BYTES
            self.head(200, sparse_ranges.MEDIA_TYPE if with_holes else "application/octet-stream", size)
            self.connection.sendall(told)
            digest = _send(self.connection, grant.limiter, descriptor, start, length, found)
            if digest is None or not file.is_still(os.fstat(descriptor)):
                self.close_connection = True
                return
            self.connection.sendall(digest)
        except _ReadError as error:
            self.close_connection = True
            problem = problem_of(error.cause, tree.name(file.path))
            grant.unreadable[file.path] = problem
            log.warning("range broke off", extra={"hop_id": self._hop_id, "reason": problem.message})
        finally:
            os.close(descriptor)

    def _pack(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        files = requests.pack(body)
        room = memoryview(bytearray(sum(wire.PACK_HEADER_BYTES + file.size for file in files)))
        used = 0
        for file in files:
            used += _packed(tree, file, room[used:])
        self.head(200, "application/octet-stream", used)
        for start in range(0, used, SEND_CHUNK_BYTES):
            piece = room[start : min(start + SEND_CHUNK_BYTES, used)]
            grant.limiter.take(len(piece))
            self.connection.sendall(piece)

    def _digests(self, _grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        files = requests.digests(body)
        ranges = sum(range_count(file.size) for file in files)
        self.head(200, "application/octet-stream", ranges * DIGEST_BYTES + len(files))
        for file in files:
            self.wfile.write(_digested(tree, file))

    @staticmethod
    def _must_be_apart(tree: Tree, meant: Selection) -> None:
        """What is still to arrive here may have no directory yet."""
        with suppress(OSError):
            if meant.arrives:
                must_be_apart(tree, meant.arrives)

    def _shows(self, _grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        mark = requests.mark(body)
        states = bytes(shows_mark(tree, folder, mark) for folder in requests.folders(body))
        self.head(200, "application/octet-stream", len(states))
        self.wfile.write(states)

    def _clear(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        if not grant.serve.removing:
            raise requests.not_to_remove(self._hop_id)
        gone, mark, name = requests.gone(body)
        clearer = SourceDeleter(tree, mark, name)
        states = b"".join(_cleared(clearer, entry) for entry in gone)
        self.head(200, "application/octet-stream", len(states))
        self.wfile.write(states)

    def head(self, status: int, kind: str, length: int | None) -> None:
        self._begun = True
        super().head(status, kind, length)

    def _chunk(self, data: bytes | bytearray) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), bytes(data)))

    def refuse(self, status: int, problem: Problem) -> None:
        if self._begun:  # in the middle of an answer there is no room for another
            self.close_connection = True
        else:
            super().refuse(status, problem)


def _blocks(first: FileEntry | None, rest: Iterator[FileEntry]) -> Iterator[bytearray]:
    """A manifest's lines, many at once, and how many they were."""
    count, pending, entry = 0, bytearray(), first
    while entry:
        pending += wire.entry_line(entry)
        count += 1
        if len(pending) > BLOCK_BYTES:
            yield pending
            pending.clear()
        try:
            entry = next(rest, None)
        except HopError as error:
            yield pending + wire.dump([wire.REFUSED, error.problem.model_dump()]) + b"\n"
            return
    yield pending + wire.dump([wire.END, count]) + b"\n"


def _opened(tree: Tree, file: FileEntry) -> int:
    try:
        descriptor = open_source(tree, file.path)
    except OSError as error:
        raise LaneRequestError(404, problem_of(error, tree.name(file.path))) from error
    if not file.is_still(os.fstat(descriptor)):
        os.close(descriptor)
        raise requests.changed(tree.name(file.path))
    return descriptor


class _ReadError(Exception):
    """The disk's error, not the connection's."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _send(
    connection: socket.socket,
    limiter: RateLimiter,
    descriptor: int,
    start: int,
    length: int,
    found: Sequence[Part],
) -> bytes | None:
    """Send the parts of the range; the digest of all of it, or None if the file ended early. _ReadError."""
    state, buffer, end = (
        xxhash.xxh3_128(),
        memoryview(bytearray(min(SEND_CHUNK_BYTES, length))),
        start + length,
    )
    for begin, size in found:
        update_by_zeros(state, begin - start)
        start = begin
        while start < begin + size:
            count = _read(descriptor, buffer[: begin + size - start], start)
            if not count:
                return None
            state.update(buffer[:count])
            limiter.take(count)
            connection.sendall(buffer[:count])
            start += count
    update_by_zeros(state, end - start)
    return state.digest()


def _read(descriptor: int, buffer: memoryview, start: int) -> int:
    try:
        return os.preadv(descriptor, [buffer], start)
    except OSError as error:
        raise _ReadError(error) from error


def _packed(tree: Tree, file: FileEntry, room: memoryview) -> int:
    """Put one small file there, after its head; how many bytes that takes. Of one that cannot be had, the
    head only."""
    data = room[wire.PACK_HEADER_BYTES : wire.PACK_HEADER_BYTES + file.size]
    state = _read_whole(tree, file, data)
    if state != wire.OK:
        room[: wire.PACK_HEADER_BYTES] = state + bytes(DIGEST_BYTES)
        return wire.PACK_HEADER_BYTES
    room[: wire.PACK_HEADER_BYTES] = state + digest_of(data)
    return wire.PACK_HEADER_BYTES + file.size


def _read_whole(tree: Tree, file: FileEntry, data: memoryview) -> bytes:
    """What became of it."""
    return _read_by(tree, file, lambda descriptor: _filled(descriptor, data))


def _digested(tree: Tree, file: FileEntry) -> bytes:
    """Its ranges' digests, and what became of it."""
    digests = bytearray()

    def read(descriptor: int) -> bool:
        if not file.is_still(os.fstat(descriptor)):
            return False
        for piece in ranges_of(file.size):
            digests.extend(range_digest(descriptor, *piece))
        return True

    state = _read_by(tree, file, read)
    return bytes(digests).ljust(DIGEST_BYTES * range_count(file.size), b"\0") + state


def _read_by(tree: Tree, file: FileEntry, read: Callable[[int], bool]) -> bytes:
    """What became of a file that was read so; `read` says whether all of it was there."""
    try:
        descriptor = open_source(tree, file.path)
    except FileNotFoundError:
        return wire.MISSING
    except OSError:
        return wire.UNREADABLE
    try:
        is_whole = read(descriptor) and file.is_still(os.fstat(descriptor))
    except OSError:
        return wire.UNREADABLE
    finally:
        os.close(descriptor)
    return wire.OK if is_whole else wire.CHANGED


_STATES = {"gone": wire.OK, "changed": wire.CHANGED, "same": wire.SAME}


def _cleared(clearer: SourceDeleter, entry: FileEntry) -> bytes:
    try:
        return _STATES[clearer.clear(entry)]
    except OSError:
        return wire.UNREADABLE


def _filled(descriptor: int, data: memoryview) -> bool:
    while data:
        count = os.readv(descriptor, [data])
        if not count:
            return False
        data = data[count:]
    return True
