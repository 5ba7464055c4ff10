"""`manifest`: what a transfer did, file by file."""

import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from agent.cli import output
from agent.cli.commands.transfers import TransferId, find
from agent.cli.errors import CliError, Exit

if TYPE_CHECKING:
    import httpx

    from events.views import ManifestView

_GZIP = zlib.MAX_WBITS | 16


def manifest(
    transfer_id: TransferId,
    to: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it there, not to the terminal."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what did not arrive, and why.")] = False,
) -> None:
    """Print what a transfer did, file by file: one JSON line each, with size, digest and outcome.

    \b
      crosshaul manifest ID --failed
      crosshaul manifest ID | jq -r 'select(.outcome == "sent") | .path'

    A hop's manifest is there shortly after the hop's end.
    """
    from agent.cli.api import connected
    from events.views import ManifestView

    with connected() as api:
        whole = find(api, transfer_id)
        view = ManifestView.model_validate(api.get("transfers", whole, "manifest"))
    if not view.hops:
        raise CliError(
            f"transfer {whole} has no manifest", "It comes with the end of each hop.", Exit.NOT_FOUND
        )
    with _opened(to) as file:
        for line in _lines(view):
            if not failed or _has_failed(line):
                file.write(line)
    if view.missing:
        output.note(f"Without {len(view.missing)} of the hops, whose manifests are not there (yet).")


@contextmanager
def _opened(to: Path | None) -> Iterator[IO[bytes]]:
    """Where the lines go: a file stands under its name once it is whole."""
    if to is None:
        yield sys.stdout.buffer
        return
    part = to.with_name(f".{to.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(to)
    except OSError as error:
        raise CliError(f"cannot write {to}: {error.strerror}", "Choose another place.") from error
    finally:
        part.unlink(missing_ok=True)


def _lines(view: "ManifestView") -> Iterator[bytes]:
    """Each with its end, as they come."""
    from agent.cloud import http

    for hop in view.hops:
        with http.client(hop.url) as client, client.stream("GET", hop.url) as answer:
            if not answer.is_success:
                raise CliError(
                    f"the manifest of {hop.hop_id} cannot be had: HTTP status {answer.status_code}",
                    "Try again; if it stays so, its time may be over (see manifestDays).",
                    Exit.UNREACHABLE,
                )
            yield from _split(_unzipped(answer))


def _unzipped(answer: "httpx.Response") -> Iterator[bytes]:
    unzip = zlib.decompressobj(_GZIP)
    for piece in answer.iter_raw():
        yield unzip.decompress(piece)
    yield unzip.flush()
    if not unzip.eof:
        raise CliError("a manifest broke off", "Try again.", Exit.UNREACHABLE)


def _split(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)


def _has_failed(line: bytes) -> bool:
    from events.manifest import NOT_ARRIVED, ManifestLine

    return ManifestLine.model_validate_json(line).outcome in NOT_ARRIVED
