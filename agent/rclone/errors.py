"""Map rclone's error messages to problems."""

import json
import re
from collections.abc import Collection, Iterable, Iterator

from agent import problems
from events.base import Problem
from events.problem_type import ProblemType

DIRECTORY_NOT_FOUND = 3
"""rclone's exit code. https://rclone.org/docs/#exit-code"""

_LOOPBACK_URL = re.compile(r"http://127\.0\.0\.1:\d+/[\w-]*/?")
"""The agent's own URLs, which contain a secret."""
_URL_SECRET = re.compile(r"(?<=://)[^/@\s\"']+@|(?<=[\w/=%.-])\?[^\s\"']*")
"""User names and passwords in other URLs, and their queries. The pattern never backtracks, however objects
are named."""

ProblemTable = Iterable[tuple[tuple[str, ...], ProblemType]]
"""Substrings of rclone's message, and the problem they show."""

_S3_DENIED = ("AccessDenied", "Access Denied", "SignatureDoesNotMatch", "StatusCode: 403")
_S3_ARCHIVED = ("InvalidObjectState", "restore first")
_S3_REFUSED = ("StatusCode: 400", "InvalidRequest", "InvalidArgument", "KMS.")
_S3_NO_BUCKET = ("NoSuchBucket",)
_S3_OTHER_REGION = ("PermanentRedirect", "StatusCode: 301")
_S3_MISSING = ("NoSuchKey", "directory not found", "object not found")
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
            yield _cleaned(str(entry.get("msg", ""))), entry.get("object")


def error_text(lines: Collection[bytes]) -> str:
    """Return what rclone's log says about its failure: the errors, or else the last thing that it wrote.

    rclone logs the error that ends it as a notice.
    """
    errors = [text for text, _ in error_lines(lines)]
    return " ".join(errors) if errors else next(filter(None, map(_any_text, reversed(list(lines)))), "")


def _any_text(line: bytes) -> str:
    """Return a line's message, whatever its level is; the line itself if it is not of rclone's JSON log."""
    try:
        entry = json.loads(line)
    except ValueError:
        return _cleaned(line.decode("utf-8", "replace").strip())
    return _cleaned(str(entry.get("msg", ""))) if isinstance(entry, dict) else ""


def _cleaned(text: str) -> str:
    return _URL_SECRET.sub(_without_secret, _LOOPBACK_URL.sub("", text))


def _without_secret(found: re.Match[str]) -> str:
    """Keep a query without an equals sign, since signatures and tokens follow one."""
    return found[0] if found[0].startswith("?") and "=" not in found[0] else ""


def permanent_s3_problem(text: str, location: object) -> Problem | None:
    """Return the problem that another attempt would meet again; None if the error may be transient."""
    return first_match(_S3_TABLE, text, location)


def first_match(table: ProblemTable, text: str, location: object) -> Problem | None:
    """Return the problem of the first row with a substring of this text; None without a match."""
    for marks, kind in table:
        if any(mark in text for mark in marks):
            return kind.problem(path=str(location), reason=first_line(text))
    return None


def transient_s3_problem(text: str, location: object) -> Problem:
    """Return the problem for an error that another attempt may not meet."""
    return problems.S3_FAILED.problem(path=str(location), reason=first_line(text))


_S3_TABLE = (
    (("RequestTimeout",), problems.S3_FAILED),
    (_S3_ARCHIVED, problems.S3_ARCHIVED),
    (_CLOCK_SKEW, problems.S3_CLOCK_SKEW),
    (_S3_DENIED, problems.S3_DENIED),
    (_S3_NO_BUCKET, problems.S3_BUCKET_MISSING),
    (_S3_OTHER_REGION, problems.S3_OTHER_REGION),
    (_S3_MISSING, problems.S3_SOURCE_MISSING),
    (_S3_REFUSED, problems.S3_OBJECT_REFUSED),
    ((DESTINATION_EXISTS_TEXT,), problems.DESTINATION_OBJECT_EXISTS),
)


_CREDENTIALS_REFUSED = re.compile(
    r"api error (ExpiredToken|InvalidAccessKeyId|InvalidToken|TokenRefreshRequired)"
)
_HEAD_ANSWER = re.compile(r"HeadObject.*StatusCode: 40[013]", re.DOTALL)
_ANSWER = re.compile(r"StatusCode: [1-9]")
_LINE_LOST = re.compile(
    r"connection|timeout|timed out|deadline exceeded|EOF|broken pipe|no such host|no route to host"
    r"|network is|dial tcp|TLS handshake|host key|StatusCode: 0",
    re.IGNORECASE,
)


def are_credentials_refused(text: str) -> bool:
    """Return whether S3 answered that the credentials are not valid, or not any more."""
    return bool(_CREDENTIALS_REFUSED.search(text))


def hides_reason(text: str) -> bool:
    """Return whether the error is S3's answer to HEAD, which has no body and so no reason."""
    return bool(_HEAD_ANSWER.search(text))


def is_line_lost(text: str) -> bool:
    """Return whether rclone could not talk to the storage at all; an answer of it is about one thing."""
    return not _ANSWER.search(text) and bool(_LINE_LOST.search(text))


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
    return problems.REMOTE_FAILED.problem(path=str(location), reason=first_line(text))


_REMOTE_TABLE = (
    (_NOT_CONFIGURED, problems.REMOTE_NOT_DESCRIBED),
    (_READ_ONLY, problems.READ_ONLY_REMOTE),
    (_REMOTE_DENIED, problems.REMOTE_DENIED),
    (_REMOTE_MISSING, problems.REMOTE_SOURCE_MISSING),
    ((DESTINATION_EXISTS_TEXT,), problems.DESTINATION_OBJECT_EXISTS),
)
