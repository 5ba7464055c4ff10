"""A hop from S3: objects as a source, listed and read by rclone.

rclone serves the bucket on a socket in a directory that only this agent's user can enter; ranges of an object
are asked for over it as on the lane, so a pull from S3 goes on in the middle of a file, too. An object's time
is when it was written to S3: that tells every version from the next, and costs no request.
"""

import http.client
import json
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from agent.digests import CHUNK
from agent.errors import HopError, shown
from agent.lane import wire
from agent.listing import Entry, Meant, broken
from agent.movers import crew
from agent.movers.rclone import REMOTE, Credentials, Rclone, remote, s3_route
from agent.movers.s3_words import DIRECTORY_NOT_FOUND, known_problem, passing_problem, said
from agent.movers.serving import Serving
from agent.movers.source import FileError, LostError, Packed, Sink, changed, packed, whole
from events.base import Problem
from events.commands import Move
from events.locations import S3Location, stands_for_contents
from events.progress import Way

STREAMS = 8
"""S3 answers slowly and to many at once."""
PACK_FILES = 16
MODE_FILE = 0o644
"""Objects have no mode."""


class S3Source:
    streams = STREAMS
    most_streams = crew.MOST
    pack_files = PACK_FILES

    def __init__(self, order: Move, credentials: Credentials) -> None:
        """HopError if there is no rclone here."""
        if not isinstance(order.source, S3Location):
            raise TypeError(f"{order.hop_id} does not come from S3")
        self._place = order.source
        self._rclone = Rclone(order.hop_id, s3_route(order), credentials)
        self._serving = Serving(self._rclone)

    def connect(self) -> Way:
        self._rclone.check()
        self._serving.ensure()
        return Way(kind="s3")

    def entries(self, meant: Meant) -> Iterator[Entry]:
        if not stands_for_contents(self._place) and (one := self._object()):
            yield one
        elif meant.selection is None:
            yield from self._all()
        else:
            yield from self._selected(meant.selection)

    def reader(self) -> "S3Reader":
        return S3Reader(self._serving.connection(), self._place)

    def interrupt(self) -> None:
        self._rclone.interrupt()

    def close(self) -> None:
        self._rclone.close()
        self._serving.close()

    def _object(self) -> Entry | None:
        """The source if it is a single object; None if it stands for many."""
        lines = self._run(["lsjson", "--stat", "--no-mimetype", remote(self._place)])
        fields = json.loads(b"".join(lines))
        return None if fields is None or fields["IsDir"] else _entry("", fields)

    def _all(self) -> Iterator[Entry]:
        empty = True
        for entry in self._listed(["--recursive"]):
            empty = False
            yield entry
        if empty:
            raise HopError(_nothing(self._place))

    def _listed(self, options: list[str]) -> Iterator[Entry]:
        where = remote(self._place).rstrip("/") + "/"
        arguments = ["lsjson", "--files-only", "--no-mimetype", *options, where]
        for line in self._run(arguments):
            if line.startswith(b"{"):
                fields = json.loads(line.rstrip(b",\n"))
                yield _entry(str(fields["Path"]), fields)

    def _selected(self, selection: tuple[str, ...]) -> Iterator[Entry]:
        """Each object that was named, looked up by itself: a bucket may hold millions of others."""
        missing = dict.fromkeys(selection)
        with tempfile.NamedTemporaryFile(dir=self._serving.folder) as names:
            names.writelines(path.encode("utf-8", "surrogateescape") + b"\n" for path in selection)
            names.flush()
            for entry in self._listed(["--recursive", f"--files-from-raw={names.name}"]):
                missing.pop(entry.path, None)
                yield entry
        for path in missing:
            yield broken(path, _gone(shown(f"{self._place}{path}")))

    def _run(self, arguments: list[str]) -> Iterator[bytes]:
        """The lines that rclone prints, as it prints them. HopError or LostError if it fails."""
        process = self._rclone.start(*arguments)
        errors: list[bytes] = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr or []))
        reader.start()
        try:
            yield from process.stdout or ()
        except GeneratorExit:  # whoever listens has had enough
            process.terminate()
            raise
        finally:
            code = self._rclone.ended(process)
            reader.join()
            _close(process)
        if code:
            self._explain(code, errors)

    def _explain(self, code: int, errors: list[bytes]) -> None:
        words = " ".join(words for words, _ in said(errors))
        if refusal := self._rclone.refusal:
            raise refusal
        if code == DIRECTORY_NOT_FOUND:
            raise HopError(_nothing(self._place))
        if problem := known_problem(words, self._place):
            raise HopError(problem)
        raise LostError(passing_problem(words, self._place).message)


class S3Reader:
    """One connection to the rclone that serves the bucket."""

    def __init__(self, connection: http.client.HTTPConnection, place: S3Location) -> None:
        self._place = place
        self._http = connection

    def range(self, entry: Entry, start: int, length: int, sink: Sink) -> None:
        """rclone gives no digest: TLS and S3's own checksums have guarded the bytes."""
        if not length:
            return
        answer = self._get(entry, start, length)
        buffer = memoryview(bytearray(min(CHUNK, length)))
        while length:
            count = self._read(answer, buffer[:length])
            sink(buffer[:count])
            length -= count

    def pack(self, wanted: Sequence[Entry]) -> Iterator[Packed]:
        return packed(wanted, lambda entry: Packed(entry, whole(self, entry)))

    def digests(self, wanted: Sequence[Entry]) -> Iterator[Packed]:
        """S3 keeps none of ours: each is taken for another."""
        return (Packed(entry) for entry in wanted)

    def remove(self, gone: Sequence[Entry]) -> Iterator[Problem | None]:
        """The hop's credentials are to read."""
        return (_stays(shown(f"{self._place}{entry.path}")) for entry in gone)

    def interrupt(self) -> None:
        if self._http.sock:
            with suppress(OSError):
                self._http.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._http.close()

    def _get(self, entry: Entry, start: int, length: int) -> http.client.HTTPResponse:
        key = "/".join(part for part in (self._place.prefix.strip("/"), entry.path) if part)
        url = quote(f"/[{REMOTE}:{self._place.bucket}]/{key}", errors="surrogateescape")
        try:
            self._http.request("GET", url, headers={"Range": f"bytes={start}-{start + length - 1}"})
            answer = self._http.getresponse()
            if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
                self._refuse(entry, answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise LostError(f"rclone: {error}") from error
        if _is_other(answer, entry):
            raise changed(shown(f"{self._place}{entry.path}"))
        return answer

    def _read(self, answer: http.client.HTTPResponse, buffer: memoryview) -> int:
        try:
            count = answer.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise LostError(f"rclone: {error}") from error
        if not count:
            raise LostError("rclone ended in the middle of a range")
        return count

    def _refuse(self, entry: Entry, status: int, body: bytes) -> None:
        name = shown(f"{self._place}{entry.path}")
        if status in {http.HTTPStatus.NOT_FOUND, http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
            raise changed(name)
        words = body.decode("utf-8", "replace")
        if problem := known_problem(words, name):
            raise FileError(problem)
        raise LostError(passing_problem(words, name).message)


def _entry(path: str, fields: dict[str, object]) -> Entry:
    size, moment = int(str(fields["Size"])), datetime.fromisoformat(str(fields["ModTime"]))
    if not wire.is_inside(path):
        return broken(path, _no_name(path))
    return Entry("f", path, size, int(moment.timestamp()) * 10**9, MODE_FILE)


def _is_other(answer: http.client.HTTPResponse, entry: Entry) -> bool:
    """Another version than the one that was listed. HTTP tells whole seconds, as S3 does."""
    total = (answer.getheader("Content-Range") or "").rpartition("/")[2]
    moment = parsedate_to_datetime(answer.getheader("Last-Modified") or "").astimezone(UTC)
    return total != str(entry.size) or int(moment.timestamp()) * 10**9 != entry.mtime_ns


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def _nothing(place: S3Location) -> Problem:
    return Problem(
        code="source-missing",
        message=f"There is nothing at {place}.",
        advice="See that bucket and prefix are right.",
        path=str(place),
    )


def _gone(name: str) -> Problem:
    return Problem(
        code="source-missing",
        message=f"{name} is not in S3 any more.",
        advice="Nothing, if it was meant to go.",
        path=name,
    )


def _stays(name: str) -> Problem:
    return Problem(
        code="source-kept",
        message=f"{name} arrived, and stays in S3.",
        advice="Let a life cycle rule of the bucket remove it.",
        path=name,
    )


def _no_name(path: str) -> Problem:
    return Problem(
        code="not-a-path",
        message=f"The object {shown(path)} has a key that no file can have.",
        advice="Give it another key.",
        path=shown(path),
    )
