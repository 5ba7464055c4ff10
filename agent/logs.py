"""Log to standard error, for journald or a file: one fact a line, as key=value (logfmt)."""

import logging
import sys
from datetime import UTC, datetime

from events.base import display_text

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Logfmt(logging.Formatter):
    """`time=… level=info msg="hop started" hop_id=…`, followed by the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = {"time": time.replace("+00:00", "Z"), "level": record.levelname.lower()}
        facts |= {"msg": record.getMessage()}
        extra = {name: value for name, value in vars(record).items() if name not in _PLAIN}
        facts |= {name: value for name, value in extra.items() if value is not None}
        line = " ".join(f"{name}={_quoted(value)}" for name, value in facts.items())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(level: str) -> None:
    """Log the agent's records from `level` on; of libraries warnings only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Logfmt())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("agent").setLevel(level.upper())


def _quoted(value: object) -> str:
    text = display_text(str(value))
    if text and text.isprintable() and not set(text) & set(' "='):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    printable = "".join(sign if sign.isprintable() else _escape(sign) for sign in escaped)
    return f'"{printable}"'


def _escape(character: str) -> str:
    """Return a control character's escape sequence, so that a log cannot control a terminal."""
    return character.encode("unicode_escape").decode()
