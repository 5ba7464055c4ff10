"""The unfinished multipart uploads of a push, in its ledger: which parts of each file S3 has."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agent.files.listing import FileEntry
from agent.pull.ledger_database import LedgerDatabase


@dataclass(frozen=True)
class Upload:
    """A multipart upload that S3 has begun."""

    path: str
    """The file, relative to the hop's source."""
    key: str
    upload_id: str
    size: int
    mtime_ns: int
    ctime_ns: int
    part_bytes: int
    """Bytes of each part but the last."""

    def is_of(self, entry: FileEntry, key: str, part_bytes: int) -> bool:
        """Return whether it can be continued with the file as it is now."""
        version = (self.size, self.mtime_ns, self.ctime_ns, self.key, self.part_bytes)
        return version == (entry.size, entry.mtime_ns, entry.ctime_ns, key, part_bytes)


@dataclass(frozen=True)
class Part:
    """A part that S3 has stored."""

    number: int
    """From 1."""
    etag: str
    checksum: str
    """Its CRC64NVME as S3 writes it: base64 of eight bytes."""


class UploadRecords:
    """The uploads and their parts. Thread-safe; every method but `all` is one transaction."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database
        self.may_be_incomplete = False
        """Whether S3 may have begun one that is not recorded, since its answer was lost."""

    def begin(self, upload: Upload) -> None:
        """Record an upload that has no parts yet."""
        row = (
            os.fsencode(upload.path),
            upload.key,
            upload.upload_id,
            upload.size,
            upload.mtime_ns,
            upload.ctime_ns,
            upload.part_bytes,
        )
        forget = "DELETE FROM parts WHERE path = ?1"
        self._database.execute_many(
            "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?)", [row], forget
        )

    def of(self, path: str) -> Upload | None:
        """Return the unfinished upload of a file."""
        row = self._database.fetch_one("SELECT * FROM uploads WHERE path = ?", (os.fsencode(path),))
        return None if row is None else _upload(row)

    def all(self) -> Iterator[Upload]:
        return map(_upload, self._database.paged("SELECT * FROM uploads WHERE path > ?"))

    def add_part(self, path: str, part: Part) -> None:
        row = (os.fsencode(path), part.number, part.etag, part.checksum)
        self._database.execute_many("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)", [row])

    def parts(self, path: str) -> dict[int, Part]:
        """Return the parts that S3 has, by number."""
        rows = self._database.fetch_all(
            "SELECT number, etag, checksum FROM parts WHERE path = ?", (os.fsencode(path),)
        )
        return {int(number): Part(int(number), str(etag), str(checksum)) for number, etag, checksum in rows}

    def forget(self, path: str) -> None:
        """Forget an upload that has ended: S3 has made an object of it, or thrown it away."""
        row = [(os.fsencode(path),)]
        self._database.execute_many(
            "DELETE FROM uploads WHERE path = ?1", row, "DELETE FROM parts WHERE path = ?1"
        )


def _upload(row: tuple[Any, ...]) -> Upload:
    path, key, upload_id, *numbers = row
    return Upload(os.fsdecode(path), str(key), str(upload_id), *map(int, numbers))
