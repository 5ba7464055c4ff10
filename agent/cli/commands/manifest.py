"""`manifest`: print the outcome of each file of a transfer."""

import csv
import io
import json
import os
import secrets
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from agent.cli import output
from agent.cli.commands.transfers import TransferId, find
from agent.cli.errors import CliError, Exit
from agent.cli.streams import unwritable
from agent.cli.text import Format, counted, csv_cell, escaped_json

if TYPE_CHECKING:
    import httpx

    from events.manifest import ManifestLine
    from events.views import ManifestView

_GZIP = zlib.MAX_WBITS | 16
_PIECE_BYTES = 64 * 1024
"""Bytes that are unpacked at a time."""
_MAX_LINE_BYTES = 1024 * 1024
_FREE_BYTES = 64 * 1024**2
"""Bytes that a manifest may unpack to, whatever it was packed into."""
_MAX_RATIO = 300
"""Bytes that each downloaded byte may unpack to beyond that; a manifest of equal lines has about 50."""


def manifest(
    transfer_id: TransferId,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to FILE instead of the terminal; - is standard output.",
        ),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only files that did not arrive, with the reason.")
    ] = False,
    form: Annotated[
        Format, typer.Option("--format", help="JSON Lines, or CSV for a spreadsheet.")
    ] = Format.JSONL,
) -> None:
    """Print a transfer's manifest: one line of JSON or CSV per file.

    Each line has path, size, digest and outcome.

    \b
      crosshaul manifest ID --failed
      crosshaul manifest ID | jq -r 'select(.outcome == "sent") | .path'

    A hop's manifest is available shortly after the hop ends.
    """
    from agent.cli.api import connected
    from events.views import ManifestView

    with connected() as api:
        full_id = find(api, transfer_id)
        view = ManifestView.model_validate(api.get("transfers", full_id, "manifest"))
    if not view.hops:
        raise CliError(
            f"transfer {full_id} has no manifest", "It is available after each hop ends.", Exit.NOT_FOUND
        )
    with _opened(to) as file:
        lines = (line for line in _lines(view) if not failed or _has_failed(line))
        file.writelines(_csv_lines(lines) if form is Format.CSV else lines)
    if view.missing:
        output.note(
            f"Without the manifest of {counted(len(view.missing), 'hop')}: not available, or not yet."
        )


@contextmanager
def _opened(to: Path | None) -> Iterator[IO[bytes]]:
    """Open the output: stdout for `-`, a pipe or character device as it is, or a file to be replaced."""
    if to is None or str(to) == "-":
        yield sys.stdout.buffer
        return
    try:
        mode = _mode(to)
        if mode is None or stat.S_ISREG(mode):
            named = Path(os.path.realpath(to))  # a link stays: what it names is replaced
            with _replacing(named, mode) as file:
                yield file
        elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            with to.open("wb", buffering=0) as file:
                yield file
        else:
            kind = _KINDS.get(stat.S_IFMT(mode), "not a file")
            raise CliError(f"cannot write {to}: it is {kind}", "Name a file, or - for standard output.")
    except OSError as error:
        raise unwritable(str(to), error) from error


_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFBLK: "a disk", stat.S_IFSOCK: "a socket"}


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


@contextmanager
def _replacing(target: Path, mode: int | None) -> Iterator[IO[bytes]]:
    """Yield a new file beside `target` that replaces it, and takes over its mode, once it is complete."""
    part = target.with_name(f".crosshaul-{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _lines(view: "ManifestView") -> Iterator[bytes]:
    """Yield the lines with their line ends, as they are downloaded."""
    from agent.cloud import http

    for hop in view.hops:
        with http.client(hop.url) as client, client.stream("GET", hop.url) as answer:
            if not answer.is_success:
                raise CliError(
                    f"cannot download the manifest of {hop.hop_id}: HTTP status {answer.status_code}",
                    "Try again; if it keeps failing, the manifest may have expired (see manifestDays).",
                    Exit.UNREACHABLE,
                )
            yield from map(_harmless, _split(_unzipped(answer)))


def _unzipped(answer: "httpx.Response") -> Iterator[bytes]:
    """Yield the unpacked manifest in small pieces.

    Agents write manifests, and one that means ill could pack gigabytes of nothing into a megabyte.

    Raises:
        CliError: The manifest is cut off, is not gzip, or unpacks to far more than any manifest does.
    """
    unzip = zlib.decompressobj(_GZIP)
    downloaded = unpacked = 0
    for received in answer.iter_raw():
        downloaded += len(received)
        rest = received
        while rest and not unzip.eof:
            try:
                piece = unzip.decompress(rest, _PIECE_BYTES)
            except zlib.error as error:
                raise _damaged("it cannot be unpacked") from error
            rest = unzip.unconsumed_tail
            unpacked += len(piece)
            if unpacked > _FREE_BYTES + _MAX_RATIO * downloaded:
                raise _damaged("it unpacks to far more than a manifest does")
            yield piece
    if not unzip.eof:
        raise CliError("a manifest is incomplete: the download was cut off", "Try again.", Exit.UNREACHABLE)


def _split(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines, without their line ends."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _MAX_LINE_BYTES:
            raise _damaged("it has a line without an end")
        yield from lines
    if rest:
        yield rest


def _harmless(line: bytes) -> bytes:
    """Return a line as the same JSON, with characters that could steer a terminal written as escapes."""
    try:
        text = line.decode()
        if not isinstance(json.loads(text), dict):
            raise _damaged("a line is not an object")
    except (ValueError, RecursionError) as error:
        raise _damaged("a line is not JSON") from error
    return f"{escaped_json(text.strip())}\n".encode()


_CSV_COLUMNS = ("hop_id", "path", "kind", "size", "outcome", "reason", "digest", "lost", "at")


def _csv_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a header line, and each line of JSON as one of CSV; what of a file is not kept is one cell."""
    row = io.StringIO()
    table = csv.writer(row)
    table.writerow(_CSV_COLUMNS)
    for line in lines:
        yield row.getvalue().encode()
        row.seek(0)
        row.truncate()
        entry = _manifest_line(line)
        reason = entry.problem and entry.problem.message
        cells = entry.model_dump(mode="json") | {"reason": reason, "lost": " ".join(entry.lost)}
        table.writerow([csv_cell(cells[name]) for name in _CSV_COLUMNS])
    yield row.getvalue().encode()


def _damaged(what: str) -> CliError:
    return CliError(
        f"a manifest is not usable: {what}", "Find out which agent wrote it, and why.", Exit.FAILED
    )


def _has_failed(line: bytes) -> bool:
    from events.manifest import NOT_ARRIVED

    return _manifest_line(line).outcome in NOT_ARRIVED


def _manifest_line(line: bytes) -> "ManifestLine":
    from events.manifest import ManifestLine

    try:
        return ManifestLine.model_validate_json(line)
    except ValueError as error:
        raise _damaged("a line is not about a file") from error
