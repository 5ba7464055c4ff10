"""Format and parse text for people: safe names, sizes, durations and times."""

import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from agent.cli.errors import CliError

if TYPE_CHECKING:
    from events.base import Actor

_JOINERS = {"\u200c", "\u200d"}
"""Zero-width characters that Persian and emoji need; they cannot steer a terminal."""

_STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of characters that could steer a terminal, or hide what a line says."""

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_NUMBER = r"\d{1,300}(?:\.\d{1,300})?"
_SIZE = re.compile(rf"^\s*(?P<number>{_NUMBER})\s*(?P<unit>[KMGT]?)(?:i?B)?(?:/s)?\s*$", re.IGNORECASE)
_BIT_RATE = re.compile(
    rf"^\s*(?P<number>{_NUMBER})\s*(?P<unit>[KMGT]?)(?:bits?(?:/s)?|bps)\s*$", re.IGNORECASE
)
_DECIMAL_POWERS = ("", "K", "M", "G", "T")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = re.compile(r"^\s*(?P<number>\d{1,300})\s*(?P<unit>[smhdw])\s*$")
_LONGEST_SPAN_S = 36_500 * 86_400
"""A longer duration is taken for this one, a hundred years: dates could not be computed with it."""


class Format(StrEnum):
    """File formats of commands that write many records."""

    JSONL = "jsonl"
    CSV = "csv"


def clean(text: str) -> str:
    """Return the text with every character that could steer a terminal escaped."""
    return "".join(_visible(character) for character in text)


def escaped_json(text: str) -> str:
    """Return JSON text that means the same, with characters that could steer a terminal as `\\u` escapes.

    In valid JSON text they stand only within strings, except line breaks and tabs, which become spaces.
    """
    if text.isprintable():  # most lines are, and manifests have millions
        return text
    return "".join(
        _json_escape(character) if unicodedata.category(character) in _STEERING else character
        for character in re.sub(r"[\t\r\n]", " ", text)
    )


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_cell(value: Any) -> str:
    """Return a CSV cell: text with harmless characters, other values as JSON; a formula is quoted."""
    text = clean(value) if isinstance(value, str) else "" if value is None else json.dumps(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _STEERING or character in _JOINERS:
        return character
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # surrogateescape: a byte of a name that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode()


def size(count: int | None) -> str:
    """Format a number of bytes in binary units, as in `1.5 GiB`; a dash for None."""
    if count is None:
        return "–"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1023.95:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} PiB"


def money(dollars: float) -> str:
    """Format US dollars: `$12.40`; below a cent `less than $0.01`."""
    return "less than $0.01" if 0 < dollars < 0.01 else f"${dollars:,.2f}"


def span(seconds: float) -> str:
    """Format a duration in its two largest units, as in `3 h 20 min`."""
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    nonzero = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(nonzero[:2]) or "0 s"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    if moment is None:
        return "never"
    return f"{span(((now or datetime.now(UTC)) - moment).total_seconds())} ago"


def clock(moment: datetime | None) -> str:
    """Format a time in the local time zone; a dash for None."""
    if moment is None:
        return "–"
    try:
        local = moment.astimezone()
    except (OverflowError, ValueError, OSError):  # here it is before the year 1 or after 9999
        local = moment
    return local.strftime("%Y-%m-%d %H:%M:%S")


def person(by: "Actor") -> str:
    """Return who did something: an e-mail address, or `server-c (agent)`."""
    kind, colon, name = by.id.partition(":")
    return f"{name} ({kind})" if colon and kind in {"agent", "template"} else by.name


def counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def read_size(text: str) -> int:
    """Parse a size such as `500K`, `50M` or `1.5G` into bytes; K is 1024.

    Raises:
        CliError: The text is not a size.
    """
    found = _SIZE.match(text)
    if not found:
        raise CliError(f"{text!r} is not a size", "Write a number with K, M or G, as in 50M.")
    return int(Decimal(found["number"]) * _UNITS[found["unit"].upper()])


def read_rate(text: str) -> int:
    """Parse a rate such as `50M` or `10Mbit` into bytes per second; a K of bytes is 1024, of bits 1000.

    Raises:
        CliError: The text is not a rate.
    """
    if found := _BIT_RATE.match(text):
        return int(Decimal(found["number"]) * 1000 ** _DECIMAL_POWERS.index(found["unit"].upper()) / 8)
    if not _SIZE.match(text):
        raise CliError(f"{text!r} is not a rate", "Write bytes as in 50M, or bits as in 10Mbit.")
    return read_size(text)


def read_duration(text: str) -> timedelta:
    """Parse a duration such as `30m`, `12h` or `7d`.

    Raises:
        CliError: The text is not a duration.
    """
    found = _SPAN.match(text)
    if not found:
        raise CliError(f"{text!r} is not a duration", "Write 30m, 12h or 7d.")
    return timedelta(seconds=min(int(found["number"]) * _SECONDS[found["unit"]], _LONGEST_SPAN_S))


def read_time(text: str, now: datetime | None = None) -> datetime:
    """Parse a time: `2h` (that long ago), or an ISO date or time (local unless it names a zone).

    Raises:
        CliError: The text is not a time.
    """
    if _SPAN.match(text):
        return (now or datetime.now(UTC)) - read_duration(text)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: in UTC it is before the year 1 or after 9999
        advice = "Write 2h, 7d, 2026-11-24 or 2026-11-24T08:30."
        raise CliError(f"{text!r} is not a time", advice) from None


def read_time_ahead(text: str) -> datetime:
    """Parse a time to come: `2h` (from now), or an ISO date or time (local unless it names a zone).

    Raises:
        CliError: The text is not a time.
    """
    if _SPAN.match(text):
        return datetime.now(UTC) + read_duration(text)
    return read_time(text)


def utc(moment: datetime) -> str:
    """Format a time as the API writes it: `2026-11-24T08:30:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
