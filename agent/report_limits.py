"""Shorten a report until it fits into one message of the broker; count what is left out.

A report that is too large would block every later one. So free text is clipped and lists are shortened, step
by step, until the report fits; what a person needs first is kept longest.
"""

from typing import Any, TypeVar

from pydantic import BaseModel

from events.base import Problem
from events.progress import Connection, PeerReachability, Progress
from events.reports import (
    Browsed,
    Capabilities,
    DirectoryEntry,
    DryRunResult,
    Failed,
    Heartbeat,
    Hello,
    Refused,
    RemoteState,
    Report,
    ReportEnvelope,
    Started,
    Succeeded,
)
from events.sizes import json_bytes

MAX_REPORT_BYTES = 120 * 1024
"""Bytes of a report as JSON; AWS IoT Core takes 128 KiB in one message."""
BARE_TEXT_BYTES = 64
"""Bytes of each free text in the shortest form of a report, as JSON."""
_UNLIMITED = 1_000_000
_STEPS = ((4096, _UNLIMITED), (1024, _UNLIMITED), (1024, 50), (512, 16), (256, 4), (BARE_TEXT_BYTES, 1))
"""Bytes of a text, as JSON, and entries of a list, for one attempt after the other."""
_LIST_STEPS = tuple((4096, entries) for entries in (_UNLIMITED, 1000, 500, 250, 100, 50, 25, 10)) + _STEPS[3:]
"""Steps for reports that are long lists of small entries: the lists are shortened first."""
_FREE_TEXT: dict[type[BaseModel], tuple[str, ...]] = {
    Problem: ("message", "advice", "path"),
    Progress: ("current",),
    Connection: ("address", "congestion_control"),
    PeerReachability: ("address",),
    Started: ("via",),
    Hello: ("hostname", "ip_address"),
    DirectoryEntry: ("name",),
    RemoteState: ("type",),
    Capabilities: ("rclone", "congestion_control"),
    Refused: ("command_id",),
}
"""Fields that may be clipped."""
_QUOTES_BYTES = 2
_LAST_CHARACTER = "\U0010ffff"

AnyReport = TypeVar("AnyReport", bound=Report)


def fit_report(report: AnyReport, limit: int = MAX_REPORT_BYTES) -> AnyReport:
    """Return the report, with as little left out as makes it fit."""
    if message_size(report) <= limit:
        return report
    shortened = report
    for text, entries in _LIST_STEPS if isinstance(report, Browsed | Hello | Heartbeat) else _STEPS:
        shortened = _shortened(report, text, entries)
        if message_size(shortened) <= limit:
            return shortened
    return _shortened(report, BARE_TEXT_BYTES, 0)


def bare_report(report: AnyReport) -> AnyReport:
    """Return a report's shortest form, for one that the broker has refused: kind, numbers, codes."""
    return _shortened(report, BARE_TEXT_BYTES, 0)


def message_size(report: Report) -> int:
    """Return the bytes of the message that carries the report."""
    return len(ReportEnvelope(report=report).model_dump_json().encode())


def clip_text(text: str, limit: int) -> str:
    """Return the text, cut to at most `limit` bytes, with a note of how much is left out.

    Bytes are those of JSON, without the quotes.
    """
    if json_bytes(text) - _QUOTES_BYTES <= limit:
        return text
    size, kept = 0, 0
    for character in text:
        size += json_bytes(character) - _QUOTES_BYTES
        if size > limit - 40:
            break
        kept += 1
    return f"{text[:kept]}… [{len(text) - kept} characters left out]"


def _shortened(report: AnyReport, text: int, entries: int) -> AnyReport:
    clipped: AnyReport = _clipped(report, text)
    fewer: AnyReport = clipped.model_copy(update=_fewer(report, clipped, entries))  # type: ignore[assignment]
    return fewer


def _fewer(report: Report, clipped: Report, entries: int) -> dict[str, object]:
    """Return the fields to change so that every list has at most so many entries."""
    match clipped:
        case Failed():
            total = max(clipped.failures_total, len(clipped.failures))
            return {"failures": clipped.failures[:entries], "failures_total": total}
        case Browsed() if isinstance(report, Browsed):
            return _page(report, clipped, max(1, entries))
        case Hello() | Heartbeat():
            return _lists(clipped, entries)
        case Succeeded(preview=DryRunResult(examples=found)):
            examples = {kind: names[:entries] for kind, names in found.items()}
            return {"preview": clipped.preview and clipped.preview.model_copy(update={"examples": examples})}
        case _:
            return {}


def _page(report: Browsed, clipped: Browsed, entries: int) -> dict[str, object]:
    """Return the fields of a shorter page of a listing; the rest follows as its next page."""
    if len(clipped.entries) <= entries and clipped.entries == report.entries:
        return {}
    kept = clipped.entries[:entries]
    if not kept:
        return {}
    last, shown = report.entries[len(kept) - 1].name, kept[-1].name
    if last != shown:  # the name is too long for a message: continue after it
        last = last[: shown.rindex("… [")] + _LAST_CHARACTER
    is_last_page = len(kept) == len(report.entries) and report.next is None
    return {"entries": kept, "next": None if is_last_page else last}


def _lists(report: Hello | Heartbeat, entries: int) -> dict[str, object]:
    """Return shortened lists with counts of what is left out; hops are the last to be shortened."""
    omitted = dict(report.omitted)
    changes: dict[str, object] = {}

    def shorten(name: str, found: tuple[Any, ...], limit: int) -> tuple[Any, ...]:
        if len(found) > limit:
            omitted[name] = omitted.get(name, 0) + len(found) - limit
        return found[:limit]

    for name in ("roots", "endpoints", "problems"):
        if hasattr(report, name):
            changes[name] = shorten(name, getattr(report, name), entries)
    if report.reached is not None:
        changes["reached"] = shorten("reached", report.reached, entries)
    if isinstance(report, Heartbeat):
        if report.remotes is not None:
            changes["remotes"] = shorten("remotes", report.remotes, entries)
        return changes | {"omitted": omitted}
    remotes = shorten("remotes", report.capabilities.remotes, entries)
    hops = report.hops[: max(entries, 0)]
    return changes | {
        "capabilities": report.capabilities.model_copy(update={"remotes": remotes}),
        "hops": hops,
        "hops_omitted": report.hops_omitted + len(report.hops) - len(hops),
        "omitted": omitted,
    }


def _clipped(value: Any, limit: int) -> Any:
    """Return a copy of the value, with every free text in it clipped."""
    if isinstance(value, BaseModel):
        free = _FREE_TEXT.get(type(value), ())
        changes = {name: _clip_field(name, item, free, limit) for name, item in value}
        return value.model_copy(update={name: new for name, new in changes.items() if new is not None})
    if isinstance(value, tuple):
        return tuple(_clipped(item, limit) for item in value)
    return value


def _clip_field(name: str, value: Any, free: tuple[str, ...], limit: int) -> Any:
    if isinstance(value, str):
        return clip_text(value, limit) if name in free else value
    if name == "parameters":
        return {key: clip_text(item, limit) for key, item in value.items()}
    if name == "examples":
        return {kind: tuple(clip_text(item, limit) for item in names) for kind, names in value.items()}
    return _clipped(value, limit)
