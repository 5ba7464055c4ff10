"""Log to standard error, for journald or a file: one fact a line, as key=value (logfmt).

The latest lines are remembered, for people who ask the control plane for them. No line has a secret: the
agent writes none, and what looks like one in an error of a library is replaced.
"""

import logging
import re
import sys
from collections import deque
from contextlib import nullcontext
from datetime import UTC, datetime

from events.base import display_text
from events.commands import ReadLog
from events.reports import LogExcerpt
from events.sizes import json_bytes

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_HIDDEN = "[hidden]"
_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----()[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"),
    re.compile(r"()\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}"),  # a JWT, also cut
    re.compile(r"()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"(?i)(x-amz-(?:signature|security-token|credential)=)[^&\s\"']+"),
    re.compile(r"(://)[^/\s:@\"']*:[^/\s@\"']+(?=@)"),  # user and password in a URL
    re.compile(r"(?i)((?:bearer|authorization[\"']?\s?[:=]\s?[\"']?basic)\s)[\w.~+/=-]{8,}"),
    re.compile(
        r"(?i)((?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|agent-key)"
        r"\\?[\"']?\s?[=:]\s?\\?[\"']?)[^\s\"'\\,;&]+"
    ),
)
"""What looks like a secret; the first group is kept."""
MAX_REMEMBERED_LINES = 5000
MAX_REMEMBERED_CHARACTERS = 1_000_000
MAX_LINE_CHARACTERS = 4000
"""Characters of a remembered line; a traceback is several lines."""
MAX_EXCERPT_BYTES = 100 * 1024
"""Bytes of the lines of one excerpt, as JSON: it must fit into a report."""


class Logfmt(logging.Formatter):
    """`time=… level=info msg="hop started" hop_id=…`, followed by the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = {"time": time.replace("+00:00", "Z"), "level": record.levelname.lower()}
        facts |= {"msg": record.getMessage()}
        extra = {name: value for name, value in vars(record).items() if name not in _PLAIN}
        facts |= {name: value for name, value in extra.items() if value is not None}
        line = " ".join(f"{name}={_quoted(value)}" for name, value in facts.items())
        text = f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
        return without_secrets(text)


class LogMemory(logging.Handler):
    """Remembers the latest lines of this process, at most 5,000 and some megabytes. Thread-safe.

    The journal of a host may be closed to the agent, off, or in a container without one: memory is always
    there. It starts empty with each process.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(Logfmt())
        self._lines: deque[tuple[float, str]] = deque()
        self._characters = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # as every handler of the standard library: who logs is not to fail
            self.handleError(record)
            return
        for line in text.splitlines():
            kept = _printable(line)[:MAX_LINE_CHARACTERS]
            self._lines.append((record.created, kept))
            self._characters += len(kept)
        while len(self._lines) > MAX_REMEMBERED_LINES or self._characters > MAX_REMEMBERED_CHARACTERS:
            self._characters -= len(self._lines.popleft()[1])

    def excerpt(self, command: ReadLog) -> LogExcerpt:
        """Return the latest lines that a command asks for, as many as fit into a report."""
        with self.lock or nullcontext():
            remembered = list(self._lines)
        since = command.since.timestamp() if command.since else 0.0
        wanted = [line for at, line in remembered if at >= since][-command.lines :]
        kept: list[str] = []
        room = MAX_EXCERPT_BYTES
        for line in reversed(wanted):
            room -= json_bytes(line) + 1
            if room < 0:
                break
            kept.append(line)
        return LogExcerpt(
            request_id=command.request_id,
            lines=tuple(reversed(kept)),
            omitted=len(wanted) - len(kept),
            remembered_since=datetime.fromtimestamp(remembered[0][0], UTC) if remembered else None,
        )


def set_up(level: str) -> LogMemory:
    """Log the agent's records from `level` on, of libraries warnings only; return what remembers them."""
    handler, memory = logging.StreamHandler(sys.stderr), LogMemory()
    handler.setFormatter(Logfmt())
    logging.basicConfig(level=logging.WARNING, handlers=[handler, memory], force=True)
    logging.getLogger("agent").setLevel(level.upper())
    return memory


def without_secrets(text: str) -> str:
    """Return the text with everything that looks like a secret replaced."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{_HIDDEN}", text)
    return text


def _quoted(value: object) -> str:
    text = display_text(str(value))
    if text and text.isprintable() and not set(text) & set(' "='):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_printable(escaped)}"'


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else _escape(sign) for sign in text)


def _escape(character: str) -> str:
    """Return a control character's escape sequence, so that a log cannot control a terminal."""
    return character.encode("unicode_escape").decode()
