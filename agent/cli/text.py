"""Text for people: names that cannot drive the terminal, sizes, ages, and the reading of what people type."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta

from agent.cli.errors import CliError

_JOINERS = {"\u200c", "\u200d"}
"""Format characters that Persian words and emoji are written with; they move nothing on the screen."""

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_SIZE = re.compile(r"^\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]?)(?:i?B)?(?:/s)?\s*$", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = re.compile(r"^\s*(?P<number>\d+)\s*(?P<unit>[smhdw])\s*$")


def clean(text: str) -> str:
    """The text with every character that could steer a terminal written as an escape."""
    return "".join(_visible(letter) for letter in text)


def _visible(letter: str) -> str:
    if unicodedata.category(letter) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or letter in _JOINERS:
        return letter
    number = ord(letter)
    if 0xDC80 <= number <= 0xDCFF:  # surrogateescape: a byte of a name that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return letter.encode("unicode_escape", "backslashreplace").decode()


def size(count: int | None) -> str:
    """Bytes in binary units: `1.5 GiB`; a dash for None."""
    if count is None:
        return "–"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1023.95:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} PiB"


def span(seconds: float) -> str:
    """A length of time in its two biggest units: `3 h 20 min`."""
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    told = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(told[:2]) or "0 s"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    if moment is None:
        return "never"
    return f"{span(((now or datetime.now(UTC)) - moment).total_seconds())} ago"


def clock(moment: datetime | None) -> str:
    """A moment in the terminal's own time zone."""
    return "–" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def read_size(text: str) -> int:
    """Bytes from `500K`, `50M`, `1.5G` (each 1024 times the one before); Trouble if it is none."""
    found = _SIZE.match(text)
    if not found:
        raise CliError(f"{text!r} is not a size", "Write a number with K, M or G, as in 50M.")
    return int(float(found["number"]) * _UNITS[found["unit"].upper()])


def read_span(text: str) -> timedelta:
    """A length of time from `30m`, `12h`, `7d`; Trouble if it is none."""
    found = _SPAN.match(text)
    if not found:
        raise CliError(f"{text!r} is not a length of time", "Write 30m, 12h or 7d.")
    return timedelta(seconds=int(found["number"]) * _SECONDS[found["unit"]])


def read_moment(text: str, now: datetime | None = None) -> datetime:
    """A moment from `2h` (that long ago) or an ISO date or time (local if it names no zone); else Trouble."""
    if _SPAN.match(text):
        return (now or datetime.now(UTC)) - read_span(text)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        advice = "Write 2h, 7d, 2026-11-24 or 2026-11-24T08:30."
        raise CliError(f"{text!r} is not a time", advice) from None
