"""Parse bandwidth limits as typed on the command line: `50M`, and `mon-fri 08:00-18:00 10M Europe/Berlin`."""

import re
from typing import Any

from agent.cli.errors import CliError
from agent.cli.text import read_rate

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(
    r"^\s*(?:(?P<days>[a-z,-]+)\s+)?(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)\s+(?P<limit>\S+)(?:\s+(?P<zone>\S+))?\s*$",
    re.IGNORECASE,
)
_ADVICE = (
    "Write it as in 'mon-fri 08:00-18:00 10M Europe/Berlin'; days and zone may be left out (every day, UTC)."
)


def rate(option: str, text: str | None) -> int | None:
    """Parse a rate in bytes per second, at least 1 KiB/s; None stays None.

    Raises:
        CliError: The rate is below 1 KiB/s, where transfers would hardly finish, or is not a rate.
    """
    if text is None:
        return None
    if (found := read_rate(text)) < 1024:
        raise CliError(f"{option} {text} is less than 1K", "Give 1K or more, as in 50M.")
    return found


def window(text: str) -> dict[str, Any]:
    """Parse the fields of a `BandwidthWindow`.

    Raises:
        CliError: The text is not a time window.
    """
    found = _WINDOW.match(text)
    if not found:
        raise CliError(f"{text!r} is not a time window", _ADVICE)
    limit = None if found["limit"] == "off" else rate("--bwlimit-at", found["limit"])
    return {
        "days": _read_days(text, found["days"]),
        "start": found["start"],
        "end": found["end"],
        "zone": found["zone"] or "UTC",
        "limit": limit,
    }


def _read_days(text: str, typed: str | None) -> list[str]:
    """Parse days such as `mon-fri` or `sat,sun`; an empty list means every day."""
    days: list[str] = []
    for part in (typed or "").lower().split(",") if typed else ():
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise CliError(f"{part!r} in {text!r} is not a day or days", _ADVICE)
        start, count = _DAYS.index(first), (_DAYS.index(last or first) - _DAYS.index(first)) % 7
        days += [_DAYS[(start + offset) % 7] for offset in range(count + 1)]
    return days
