"""What a hop did, file by file: one JSON line each, gzipped, kept with the transfer."""

import base64
from typing import Literal

from events.base import Bytes, DisplayText, HopId, Instant, Message

Outcome = Literal["sent", "unchanged", "left", "removed", "failed", "unfinished"]
"""Brought by the hop; there already, and the same; there already, another, and left as it was (`overwrite`);
removed, since the source does not have it (`delete_extra`); not arrived, with the reason; begun and not ended
when the hop was."""
Kind = Literal["f", "d", "l", "other"]
"""File, directory, symbolic link. `other`: none of these (a FIFO, a socket, a device), or what it is could
not be found out."""

NOT_ARRIVED: frozenset[Outcome] = frozenset({"failed", "unfinished"})


class ManifestLine(Message):
    """One thing that a hop was about."""

    hop_id: HopId
    path: DisplayText
    """Relative to the hop's destination, empty for a single file. Bytes that are not UTF-8 stand as \\xff."""
    raw: str | None = None
    """The very bytes of such a path, base64."""
    kind: Kind
    size: Bytes
    digest: str | None = None
    """xxh3-128, hex: of a file's bytes, and beyond 32 MiB of the digests of its ranges of 32 MiB; of a link's
    target. None of what did not travel."""
    outcome: Outcome
    reason: DisplayText | None = None
    """Why it failed."""
    at: Instant

    @property
    def name(self) -> bytes:
        """The path as the file system has it."""
        return self.path.encode() if self.raw is None else base64.b64decode(self.raw)
