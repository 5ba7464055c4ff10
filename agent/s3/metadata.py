"""What a push keeps of a file beside its bytes: user-defined metadata of the object.

The names are rclone's (https://rclone.org/docs/#metadata), so that rclone and this agent understand each
other's objects: `mtime` in seconds with nine decimals, `mode` in octal. `crosshaul-digest` is the digest of
the file (see `agent.files.digests`). An object that was sent in parts has none, since it is only known at the
end; S3 itself keeps a checksum of the whole.
"""

import re
from collections.abc import Mapping

from agent.files.listing import FileEntry

MTIME, MODE, DIGEST = "x-amz-meta-mtime", "x-amz-meta-mode", "x-amz-meta-crosshaul-digest"
"""Headers, in lower case."""
_MTIME_PATTERN = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9})\d*)?", re.ASCII)
_NS = 10**9
_REGULAR_FILE = 0o100000


def metadata_headers(entry: FileEntry, digest: bytes | None = None) -> dict[str, str]:
    """Return the headers of a PUT that keep the file's time, mode and digest."""
    sign, mtime_ns = "-" if entry.mtime_ns < 0 else "", abs(entry.mtime_ns)
    headers = {
        MTIME: f"{sign}{mtime_ns // _NS}.{mtime_ns % _NS:09d}",
        MODE: f"{_REGULAR_FILE | entry.mode:o}",
    }
    return headers | {DIGEST: digest.hex()} if digest else headers


def mtime_ns_of(headers: Mapping[str, str]) -> int | None:
    """Return the modification time that an object's headers keep, in ns; None if there is none."""
    found = _MTIME_PATTERN.fullmatch(headers.get(MTIME, ""))
    if not found:
        return None
    sign, seconds, fraction = found.groups()
    mtime_ns = int(seconds) * _NS + int((fraction or "").ljust(9, "0"))
    return -mtime_ns if sign else mtime_ns
