"""Map rclone's error messages to problems."""

import json
import re
from collections.abc import Iterable, Iterator

from events.base import Problem

DIRECTORY_NOT_FOUND = 3
"""rclone's exit code. https://rclone.org/docs/#exit-code"""

_LOOPBACK_URL = re.compile(r"http://127\.0\.0\.1:\d+/[\w-]*/?")
"""The agent's own URLs, which contain a secret."""
_URL_SECRET = re.compile(r"(?<=://)[^/@\s\"']+@|(?<=[\w/=%.-])\?[^\s\"']*")
"""User names and passwords in other URLs, and their queries. The pattern never backtracks, however objects
are named."""

ProblemTable = Iterable[tuple[tuple[str, ...], str, str, str]]
"""Substrings of rclone's message; the problem's code, message and advice."""

_S3_DENIED = ("AccessDenied", "Access Denied", "SignatureDoesNotMatch", "InvalidAccessKeyId")
_S3_MISSING = ("NoSuchBucket", "NoSuchKey", "directory not found", "object not found")
_CLOCK_SKEW = ("RequestTimeTooSkewed",)
DESTINATION_EXISTS_TEXT = "immutable file modified"
"""rclone's error for a file that must not be replaced."""


def error_lines(lines: Iterable[bytes]) -> Iterator[tuple[str, str | None]]:
    """Yield each error in rclone's JSON log: its message, and the object that it is about."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level") in {"error", "critical", "emergency"}:
            yield (
                _URL_SECRET.sub(_without_secret, _LOOPBACK_URL.sub("", str(entry.get("msg", "")))),
                entry.get("object"),
            )


def _without_secret(found: re.Match[str]) -> str:
    """Keep a query without an equals sign, since signatures and tokens follow one."""
    return found[0] if found[0].startswith("?") and "=" not in found[0] else ""


def permanent_s3_problem(text: str, location: object) -> Problem | None:
    """Return the problem that another attempt would meet again; None if the error may be transient."""
    return first_match(_S3_TABLE, text, location)


def first_match(table: ProblemTable, text: str, location: object) -> Problem | None:
    """Return the problem of the first row with a substring of this text; None without a match."""
    for marks, code, message, advice in table:
        if any(mark in text for mark in marks):
            return Problem(
                code=code, message=message.format(location=location), advice=advice, path=str(location)
            )
    return None


def transient_s3_problem(text: str, location: object) -> Problem:
    """Return the problem for an error that another attempt may not meet."""
    return Problem(
        code="s3-failed",
        message=f"S3 failed for {location}: {first_line(text)}.",
        advice="The hop is retried automatically. If this repeats, see the agent's log.",
        path=str(location),
        retryable=True,
    )


_S3_TABLE = (
    (_S3_DENIED, "s3-denied", "S3 denies this agent access to {location}.",
     "Deploy the control plane with this bucket (-c buckets=…), and check the bucket policy."),
    (_S3_MISSING, "source-missing", "{location} does not exist.", "Check the bucket and the prefix."),
    (_CLOCK_SKEW, "clock-skew", "S3 rejects requests from this host because its clock is wrong.",
     "Set the clock: timedatectl status."),
    ((DESTINATION_EXISTS_TEXT,), "destination-exists", "{location} exists and differs from the source.",
     "Move it away, or choose another --overwrite."),
)  # fmt: skip


def first_line(text: str) -> str:
    """Return the first line of the text, of at most 300 characters."""
    return text.strip().splitlines()[0][:300].rstrip(".") if text.strip() else "no reason given"


_NOT_CONFIGURED = (
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


def permanent_remote_problem(text: str, location: object) -> Problem | None:
    """Return the problem that another attempt would meet again; None if the error may be transient."""
    return first_match(_REMOTE_TABLE, text, location)


def transient_remote_problem(text: str, location: object) -> Problem:
    """Return the problem for an error that another attempt may not meet."""
    return Problem(
        code="remote-failed",
        message=f"rclone failed for {location}: {first_line(text)}.",
        advice="The hop is retried automatically. If this repeats, try `rclone lsf` on the agent's host.",
        path=str(location),
        retryable=True,
    )


_REMOTE_TABLE = (
    (_NOT_CONFIGURED, "remote-not-described", "rclone's configuration does not define {location} correctly.",
     "Check `rclone config show` on the agent's host, then run `crosshaul agent doctor`."),
    (_READ_ONLY, "read-only-remote", "{location} is read-only.", "Choose another destination."),
    (_REMOTE_DENIED, "remote-denied", "{location} denies access to this agent's host.",
     "Ask its administrator to renew the access with `rclone config reconnect` or `rclone config`."),
    (_REMOTE_MISSING, "source-missing", "{location} does not exist.", "Check the remote and the path."),
    ((DESTINATION_EXISTS_TEXT,), "destination-exists", "{location} exists and differs from the source.",
     "Move it away, or choose another --overwrite."),
)  # fmt: skip
