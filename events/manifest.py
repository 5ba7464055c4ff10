"""Manifest of a hop: what it did, file by file, as gzipped JSON lines that are kept with the transfer."""

import base64
from typing import Literal

from events.base import Bytes, DisplayText, HopId, Instant, Message, Problem
from events.progress import Loss

Outcome = Literal["sent", "unchanged", "left", "removed", "failed", "unfinished"]
"""`sent`: transferred by the hop. `unchanged`: existed already, identical. `left`: existed already,
different, and not overwritten (`overwrite`), or left out, with the reason. `removed`: deleted, since the
source does not have it (`delete_extra`). `failed`: not transferred, or with `move` not removed from the
source (then it has a digest), with the reason. `unfinished`: started, but not complete when the hop ended."""
Kind = Literal["f", "d", "l", "other"]
"""File, directory, symbolic link. `other`: a FIFO, a socket, a device, or a kind that could not be read."""

NOT_ARRIVED: frozenset[Outcome] = frozenset({"failed", "unfinished"})


class ManifestLine(Message):
    """One file, directory or link in a manifest."""

    hop_id: HopId
    path: DisplayText
    """Path relative to the hop's destination, empty for a single file. Bytes that are not UTF-8 are written
    as \\xff."""
    raw: str | None = None
    """Bytes of a path that is not UTF-8, base64."""
    kind: Kind
    size: Bytes
    digest: str | None = None
    """xxh3-128, hex, of a file's bytes or a link's target; for files beyond 32 MiB, of the digests of their
    ranges of 32 MiB. None if nothing was transferred."""
    outcome: Outcome
    problem: Problem | None = None
    """Why the transfer of this file failed, or why the entry was left out."""
    lost: tuple[Loss, ...] = ()
    """What of it was not kept."""
    at: Instant

    @property
    def decoded_path(self) -> bytes:
        """Return the path's bytes in the file system."""
        return self.path.encode() if self.raw is None else base64.b64decode(self.raw)
