"""Tell what rclone's error messages mean."""

import json
import re
from collections.abc import Collection, Iterable, Iterator

from agent import problems
from events.base import Problem

DIRECTORY_NOT_FOUND = 3
"""rclone's exit code. https://rclone.org/docs/#exit-code"""

_LOOPBACK_URL = re.compile(r"http://127\.0\.0\.1:\d+/[\w-]*/?")
"""The agent's own URLs, which contain a secret."""
_URL_SECRET = re.compile(r"(?<=://)[^/@\s\"']+@|(?<=[\w/=%.-])\?[^\s\"']*")
"""User names and passwords in other URLs, and their queries. The pattern never backtracks, however objects
are named."""

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
_DENIED = (
    "401 Unauthorized",
    "403 Forbidden",
    "permission denied",
    "AccessDenied",
    "api error Forbidden",
    "api error InvalidAccessKeyId",
    "api error SignatureDoesNotMatch",
    "unable to authenticate",
    "invalid_grant",
    "couldn't fetch token",
    "empty token found",
)
_MISSING = ("directory not found", "object not found", "NoSuchBucket")
_READ_ONLY = ("remotes are read only", "read-only file system")
_TABLE = (
    (_NOT_CONFIGURED, problems.REMOTE_NOT_DESCRIBED),
    (_READ_ONLY, problems.READ_ONLY_REMOTE),
    (_DENIED, problems.REMOTE_DENIED),
    (_MISSING, problems.REMOTE_SOURCE_MISSING),
    ((DESTINATION_EXISTS_TEXT,), problems.DESTINATION_OBJECT_EXISTS),
)


def problem_of(text: str, location: object) -> Problem:
    """Return the problem that an error shows; without a match in the table, another attempt may succeed."""
    for marks, kind in _TABLE:
        if any(mark in text for mark in marks):
            return kind.problem(path=str(location), reason=first_line(text))
    return transient_problem(text, location)


def transient_problem(text: str, location: object) -> Problem:
    """Return the problem for an error that another attempt may not meet."""
    return problems.REMOTE_FAILED.problem(path=str(location), reason=first_line(text))
