"""Serve one hop's files to its destination: the listing, ranges of large files, packs of small ones."""

import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import xxhash

from agent.errors import HopError, ReplacedError, problem_of
from agent.files.digests import (
    DIGEST_BYTES,
    digest_of,
    range_count,
    range_digest,
    ranges_of,
    update_with_zeros,
)
from agent.files.disk import data_ranges
from agent.files.listing import FileEntry, Selection, entries, open_source
from agent.files.roots import Roots, Tree
from agent.files.same_place import require_apart
from agent.files.source_deleter import SourceDeleter, may_have_mark
from agent.lane import requests, sparse_ranges, wire
from agent.lane.grants import Grant, Grants
from agent.lane.incremental_listing import IncrementalListing
from agent.lane.requests import LaneRequestError, LaneRequestHandler
from agent.lane.sparse_ranges import Part
from agent.pull.bandwidth import RateLimiter
from agent.tcp import congestion_control
from events.base import Problem

log = logging.getLogger(__name__)

BLOCK_BYTES = 64 * 1024
SEND_CHUNK_BYTES = 256 * 1024
"""Bytes that are read and sent at once."""


class HopRequestHandler(LaneRequestHandler):
    """Handles the requests of one connection, from the first to the last."""

    def __init__(
        self,
        grants: Grants,
        roots: Roots,
        hop_id: str,
        connection: ssl.SSLSocket,
        address: Any,
        on_request: Callable[[], None],
    ) -> None:
        """Handle all requests, and return when the peer has closed the connection.

        `on_request` is called for each authorized request.

        Raises:
            OSError: the connection broke.
        """
        self._grants = grants
        self._limits = grants.limits
        connection.settimeout(self._limits.idle_timeout_s)
        self._roots = roots
        self._hop_id = hop_id
        self._response_started = False
        self._on_request = on_request
        super().__init__(connection, address)

    def answer(self) -> None:
        self._response_started = False
        try:
            body = self.body(wire.MAX_BODY_BYTES)
            handle_verb = self._verb()
            grant = self._grant()
            self._on_request()
            with (
                self._tree(grant) as tree,
                self._send_timeout(),
            ):
                handle_verb(grant, tree, requests.parse_body(body))
        except HopError as error:
            raise LaneRequestError(403, error.problem) from error

    def _tree(self, grant: Grant) -> Tree:
        options = grant.serve.options
        return self._roots.tree(
            grant.serve.path, writing=options.clears_source, following=options.symlinks == "follow"
        )

    @contextmanager
    def _send_timeout(self) -> Iterator[None]:
        self.connection.settimeout(self._limits.send_timeout_s)
        try:
            yield
        finally:
            self.connection.settimeout(self._limits.idle_timeout_s)

    def _verb(self) -> Any:
        _, *parts = self.path.split("/")
        verbs = {
            "manifest": self._manifest,
            "incremental": self._incremental,
            "range": self._range,
            "pack": self._pack,
            "digests": self._digests,
            "has-mark": self._has_mark,
            "delete": self._delete,
        }
        if len(parts) != 3 or parts[0] != "hops" or parts[2] not in verbs:
            raise requests.malformed("unknown path", 404)
        if parts[1] != self._hop_id:
            raise requests.not_served(parts[1])
        return verbs[parts[2]]

    def _grant(self) -> Grant:
        """Return the hop's grant; an unknown hop and a wrong token are refused with the same problem."""
        grant = self._grants.get(self._hop_id)
        if grant is None or not grant.admits(self.token, self.connection.getpeercert(binary_form=True)):
            raise requests.not_served(self._hop_id)
        return grant

    def _manifest(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        selection, previous_hop = _selection(grant, body), grant.serve.previous_hop
        if previous_hop and not self._grants.active_pulls.has_succeeded(previous_hop):
            raise requests.still_arriving(grant.serve.path)
        found = entries(tree, selection)
        try:
            first = next(found, None)
        except OSError as error:
            raise LaneRequestError(404, problem_of(error, grant.serve.path)) from error
        if first and first.kind != "d" and selection.paths is None and grant.serve.path.endswith("/"):
            raise LaneRequestError(404, problem_of(NotADirectoryError(20, ""), grant.serve.path))
        self.head(200, "application/x-ndjson", None)
        for block in _blocks(first, found):
            self._chunk(block)
        self._chunk(b"")

    def _incremental(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        selection, previous_hop = _selection(grant, body), grant.serve.previous_hop
        if previous_hop is None:
            raise requests.malformed("this hop has no previous hop")
        self._require_apart(tree, selection)
        self.head(200, "application/x-ndjson", None)
        listing = IncrementalListing(
            self._grants.active_pulls, previous_hop, tree, selection, grant.stopped, self._limits
        )
        for block in listing.blocks():
            self._chunk(block)
        self._chunk(b"")

    def _range(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        """Send the bytes and their digest.

        If the file changes during that, close the connection without a digest.
        """
        self._require_contents(grant)
        file, start, length = requests.parse_range(body)
        _require_allowed(grant, [file])
        with_holes = body.get("holes") is True
        if problem := grant.unreadable.pop(file.path, None):
            raise LaneRequestError(409, problem)
        descriptor = _open_unchanged(tree, file)
        try:
            data_parts = data_ranges(descriptor, start, length) if with_holes else [(start, length)]
            header = sparse_ranges.encode(data_parts) if with_holes else b""
            size = len(header) + sum(size for _, size in data_parts) + DIGEST_BYTES
            self.head(200, sparse_ranges.MEDIA_TYPE if with_holes else "application/octet-stream", size)
            self.connection.sendall(header)
            digest = _send(self.connection, grant.limiter, descriptor, start, length, data_parts)
            if digest is None or not file.is_still(os.fstat(descriptor)):
                self.close_connection = True
                return
            self.connection.sendall(digest)
        except _ReadError as error:
            self.close_connection = True
            problem = problem_of(error.cause, tree.name(file.path))
            grant.unreadable[file.path] = problem
            log.warning("range aborted", extra={"hop_id": self._hop_id, "reason": problem.message})
        finally:
            os.close(descriptor)

    def _pack(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        files = requests.parse_pack(body)
        if files:  # none: the peer only tries the connection
            self._require_contents(grant)
        _require_allowed(grant, files)
        buffer = memoryview(bytearray(sum(wire.PACK_HEADER_BYTES + file.size for file in files)))
        used = 0
        for file in files:
            used += _pack_file(tree, file, buffer[used:])
        algorithm = None if files else congestion_control(self.connection)
        headers = {wire.CONGESTION_CONTROL: algorithm} if algorithm else {}
        self.head(200, "application/octet-stream", used, **headers)
        for start in range(0, used, SEND_CHUNK_BYTES):
            piece = buffer[start : min(start + SEND_CHUNK_BYTES, used)]
            grant.limiter.acquire(len(piece))
            self.connection.sendall(piece)

    def _digests(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        files = requests.parse_files(body)
        _require_allowed(grant, files)
        ranges = sum(range_count(file.size) for file in files)
        self.head(200, "application/octet-stream", ranges * DIGEST_BYTES + len(files))
        for file in files:
            self.wfile.write(_digest_file(tree, file))

    def _require_contents(self, grant: Grant) -> None:
        """Refuse file contents to a dry run, for which policies decide less than for a transfer."""
        if grant.serve.options.dry_run:
            raise requests.only_compared(self._hop_id)

    @staticmethod
    def _require_apart(tree: Tree, selection: Selection) -> None:
        """Refuse a listing whose destination is inside the source, or the reverse.

        For files that are still to arrive, the directory may not exist yet.
        """
        with suppress(OSError):
            if selection.destination:
                require_apart(tree, selection.destination)

    def _has_mark(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        mark, directories = requests.parse_mark(body), requests.parse_directories(body)
        _require_allowed(grant, [FileEntry("d", path) for path in directories if path])
        states = bytes(may_have_mark(tree, folder, mark) for folder in directories)
        self.head(200, "application/octet-stream", len(states))
        self.wfile.write(states)

    def _delete(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        if not grant.serve.options.clears_source:
            raise requests.delete_not_allowed(self._hop_id)
        entries_to_delete, mark, name = requests.parse_deletions(body)
        _require_allowed(grant, entries_to_delete)
        deleter = SourceDeleter(tree, mark, name, grant.own_changes)
        states = b"".join(_delete(deleter, entry) for entry in entries_to_delete)
        self.head(200, "application/octet-stream", len(states))
        self.wfile.write(states)

    def head(self, status: int, kind: str, length: int | None, **headers: str) -> None:
        self._response_started = True
        super().head(status, kind, length, **headers)

    def _chunk(self, data: bytes | bytearray) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), bytes(data)))

    def refuse(self, status: int, problem: Problem) -> None:
        if self._response_started:  # within a response, no other can be sent
            self.close_connection = True
        else:
            super().refuse(status, problem)


def _selection(grant: Grant, body: dict[str, Any]) -> Selection:
    """Return what is listed for a request: what the grant allows, or of that only one path."""
    selection = replace(grant.selection, destination=requests.parse_marked_place(body))
    path = requests.parse_lookup(body)
    if path is None:
        return selection
    if not selection.is_selected(path):
        raise requests.malformed("a path is not part of this hop", 403)
    return replace(selection, paths=(path,))


def _require_allowed(grant: Grant, entries: Sequence[FileEntry]) -> None:
    """Refuse a request about anything that the hop's listing cannot have."""
    if not all(grant.selection.allows(entry.kind, entry.path) for entry in entries):
        raise requests.malformed("a path is not part of this hop", 403)


def _blocks(first: FileEntry | None, rest: Iterator[FileEntry]) -> Iterator[bytearray]:
    """Yield a manifest's lines, in blocks, and the line that ends it."""
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


def _open_unchanged(tree: Tree, file: FileEntry) -> int:
    try:
        descriptor = open_source(tree, file.path)
    except OSError as error:
        raise LaneRequestError(404, problem_of(error, tree.name(file.path))) from error
    if not file.is_still(os.fstat(descriptor)):
        os.close(descriptor)
        raise requests.changed(tree.name(file.path))
    return descriptor


class _ReadError(Exception):
    """The source's disk failed, rather than the connection."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _send(
    connection: socket.socket,
    limiter: RateLimiter,
    descriptor: int,
    start: int,
    length: int,
    data_parts: Sequence[Part],
) -> bytes | None:
    """Send the parts of a range and return the digest of the whole range; None if the file ended early.

    Raises:
        _ReadError: the file cannot be read.
        OSError: the connection broke.
    """
    state, buffer, end = (
        xxhash.xxh3_128(),
        memoryview(bytearray(min(SEND_CHUNK_BYTES, length))),
        start + length,
    )
    for begin, size in data_parts:
        update_with_zeros(state, begin - start)
        start = begin
        while start < begin + size:
            count = _read(descriptor, buffer[: begin + size - start], start)
            if not count:
                return None
            state.update(buffer[:count])
            limiter.acquire(count)
            connection.sendall(buffer[:count])
            start += count
    update_with_zeros(state, end - start)
    return state.digest()


def _read(descriptor: int, buffer: memoryview, start: int) -> int:
    try:
        return os.preadv(descriptor, [buffer], start)
    except OSError as error:
        raise _ReadError(error) from error


def _pack_file(tree: Tree, file: FileEntry, buffer: memoryview) -> int:
    """Write a small file's header and bytes to the buffer, and return how many bytes these are.

    Of a file that cannot be read, only the header is written.
    """
    data = buffer[wire.PACK_HEADER_BYTES : wire.PACK_HEADER_BYTES + file.size]
    state = _read_whole(tree, file, data)
    if state != wire.OK:
        buffer[: wire.PACK_HEADER_BYTES] = state + bytes(DIGEST_BYTES)
        return wire.PACK_HEADER_BYTES
    buffer[: wire.PACK_HEADER_BYTES] = state + digest_of(data)
    return wire.PACK_HEADER_BYTES + file.size


def _read_whole(tree: Tree, file: FileEntry, data: memoryview) -> bytes:
    """Read the file into `data`, and return its state."""
    return _read_unchanged(tree, file, lambda descriptor: _fill(descriptor, data))


def _digest_file(tree: Tree, file: FileEntry) -> bytes:
    """Return the digests of the file's ranges, followed by its state."""
    digests = bytearray()

    def read(descriptor: int) -> bool:
        if not file.is_still(os.fstat(descriptor)):
            return False
        for piece in ranges_of(file.size):
            digests.extend(range_digest(descriptor, *piece))
        return True

    state = _read_unchanged(tree, file, read)
    return bytes(digests).ljust(DIGEST_BYTES * range_count(file.size), b"\0") + state


def _read_unchanged(tree: Tree, file: FileEntry, read: Callable[[int], bool]) -> bytes:
    """Open the file, call `read`, and return the file's state.

    `read` returns whether the file was as long as it was listed.
    """
    try:
        descriptor = open_source(tree, file.path)
    except FileNotFoundError:
        return wire.MISSING
    except PermissionError:
        return wire.DENIED
    except ReplacedError:
        return wire.REPLACED
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


def _delete(deleter: SourceDeleter, entry: FileEntry) -> bytes:
    try:
        return _STATES[deleter.delete_if_safe(entry)]
    except OSError:
        return wire.UNREADABLE


def _fill(descriptor: int, data: memoryview) -> bool:
    while data:
        count = os.readv(descriptor, [data])
        if not count:
            return False
        data = data[count:]
    return True
