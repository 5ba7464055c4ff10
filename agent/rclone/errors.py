"""What rclone says of S3, as problems in our words."""

import json
import re
from collections.abc import Iterable, Iterator

from events.base import Problem

DIRECTORY_NOT_FOUND = 3
"""rclone's exit code. https://rclone.org/docs/#exit-code"""

_OURS = re.compile(r"http://127\.0\.0\.1:\d+/[\w-]*/?")
"""Addresses of the agent's own, with the secret in them."""
_SECRET = re.compile(r"(?<=://)[^/@\s\"']+@|(?<=[\w/=%.-])\?[^\s\"']*")
"""Names and passwords in the addresses of others, and queries. Whatever it begins to match it also takes: it
never goes back, however somebody has named their objects."""

Table = Iterable[tuple[tuple[str, ...], str, str, str]]
"""Marks in rclone's words; a problem's code, message and advice."""

_S3_DENIED = ("AccessDenied", "Access Denied", "SignatureDoesNotMatch", "InvalidAccessKeyId")
_S3_MISSING = ("NoSuchBucket", "NoSuchKey", "directory not found", "object not found")
_SKEW = ("RequestTimeTooSkewed",)
IN_THE_WAY = "immutable file modified"
"""A file that is not to be replaced."""


def error_lines(lines: Iterable[bytes]) -> Iterator[tuple[str, str | None]]:
    """Each error in rclone's JSON log: its words, and the object it is about."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level") in {"error", "critical", "emergency"}:
            yield _SECRET.sub(_without_secret, _OURS.sub("", str(entry.get("msg", "")))), entry.get("object")


def _without_secret(found: re.Match[str]) -> str:
    """What is signed or granted by a query stands behind an equals sign."""
    return found[0] if found[0].startswith("?") and "=" not in found[0] else ""


def permanent_s3_problem(words: str, place: object) -> Problem | None:
    """The problem that another try would meet again; None for what may pass."""
    return found_in(_S3_TABLE, words, place)


def found_in(table: Table, words: str, place: object) -> Problem | None:
    """The problem of the first row of which a mark is in these words."""
    for marks, code, message, advice in table:
        if any(mark in words for mark in marks):
            return Problem(code=code, message=message.format(place=place), advice=advice, path=str(place))
    return None


def transient_s3_problem(words: str, place: object) -> Problem:
    return Problem(
        code="s3-failed",
        message=f"S3 could not be used for {place}: {short(words)}.",
        advice="It is tried again by itself. If this repeats, see the agent's log.",
        path=str(place),
        retryable=True,
    )


_S3_TABLE = (
    (_S3_DENIED, "s3-denied", "S3 does not let this agent use {place}.",
     "Name the bucket when the control plane is deployed (-c buckets=…), and see the bucket's own policy."),
    (_S3_MISSING, "source-missing", "{place} is not there.", "See that bucket and prefix are right."),
    (_SKEW, "clock-skew", "S3 refuses this host because of its clock.", "Set the clock: timedatectl status."),
    ((IN_THE_WAY,), "destination-exists", "{place} is there already and differs from what was to be written.",
     "Move it away, or choose another --overwrite."),
)  # fmt: skip


def short(words: str) -> str:
    return words.strip().splitlines()[0][:300].rstrip(".") if words.strip() else "it gave no reason"


_UNDESCRIBED = (
    "didn't find section in config file",
    "Failed to load config file",
    "didn't find backend called",
)
_REMOTE_DENIED = (
    "401 Unauthorized",
    "403 Forbidden",
    "permission denied",
    "AccessDenied",
    "unable to authenticate",
    "invalid_grant",
    "couldn't fetch token",
    "empty token found",
)
_REMOTE_MISSING = ("directory not found", "object not found", "NoSuchBucket")
_READ_ONLY = ("remotes are read only", "read-only file system")


def permanent_remote_problem(words: str, place: object) -> Problem | None:
    """The problem that another try would meet again; None for what may pass."""
    return found_in(_REMOTE_TABLE, words, place)


def transient_remote_problem(words: str, place: object) -> Problem:
    return Problem(
        code="remote-failed",
        message=f"rclone could not use {place}: {short(words)}.",
        advice="It is tried again by itself. If this repeats, try `rclone lsf` on the agent's host.",
        path=str(place),
        retryable=True,
    )


_REMOTE_TABLE = (
    (_UNDESCRIBED, "remote-not-described", "rclone cannot make out of its configuration what {place} is.",
     "See `rclone config show` on the agent's host; `crosshaul agent doctor` tells when it is right."),
    (_READ_ONLY, "read-only-remote", "Nothing can be written at {place}.", "Choose another destination."),
    (_REMOTE_DENIED, "remote-denied", "{place} does not let this agent's host in.",
     "Its administrator renews the access with `rclone config reconnect` or `rclone config`."),
    (_REMOTE_MISSING, "source-missing", "{place} is not there.", "See that remote and path are right."),
    ((IN_THE_WAY,), "destination-exists", "{place} is there already and differs from what was to be written.",
     "Move it away, or choose another --overwrite."),
)  # fmt: skip
