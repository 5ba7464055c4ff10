"""How a transfer is to be carried out: the same options on API, command and template."""

from datetime import time
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from events.base import Request
from events.filters import Filters, Globs


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone: write one as in Europe/Berlin") from error
    return name


def _of_day(clock: time) -> time:
    if clock.tzinfo is not None:
        raise ValueError("write the hour alone, as in 08:00, and its time zone as `zone`")
    return clock


HourOfDay = Annotated[time, AfterValidator(_of_day)]
MAX_RATE = 2**53 - 1
"""The largest number that every reader of JSON has exactly."""

ZoneName = Annotated[str, AfterValidator(_known_zone)]
Rate = Annotated[int, Field(ge=1024, le=MAX_RATE, description="bytes per second")]
Priority = Literal["low", "normal", "high"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class BandwidthWindow(Request):
    """Hours of a day; a window that ends before it begins goes on past midnight, from its days into the
    next ones."""

    days: Annotated[tuple[Day, ...], Field(max_length=7)] = ()
    """Empty means every day."""
    start: HourOfDay
    end: HourOfDay
    zone: ZoneName = "UTC"
    """As in `Europe/Berlin`."""
    limit: Rate | None = None
    """None means no limit."""


class Options(Request):
    """Every field has a default that loses nothing."""

    include: Globs = ()
    """Only files that match one of these, see `events.filters`; empty means all."""
    exclude: Globs = ()
    """No file that matches one of these. What is left out is not touched at the destination either."""
    overwrite: Literal["always", "newer", "never", "fail"] = "always"
    """What to do with a destination file that differs: replace it, replace it only by a newer one, leave
    it, or end the hop with an error. What is the same is never sent again."""
    compare: Literal["time", "checksum"] = "time"
    """What is the same: files of one size and mtime, or of one size and digest, whatever their times are."""
    delete_extra: bool = False
    """Make the destination a mirror: remove there what the source does not have, once everything has arrived.
    What the filters leave out stays. Nothing is removed for an empty source, or one that could not be read
    to its end."""
    move: bool = False
    """Remove each file at the source once it stands at the destination, on its disk."""
    dry_run: bool = False
    """Write nothing: tell what would be sent, replaced and removed, and what would not arrive."""
    verify: Literal["transfer", "reread"] = "transfer"
    """`transfer`: every range and pack is checked against its digest as it arrives. `reread`: what was
    written is read back from the disk as well."""
    symlinks: Literal["keep", "skip", "follow"] = "keep"
    owner: Literal["agent", "names", "ids"] = "agent"
    """Whom things belong to at the destination: its agent's user, as whatever it writes; or user and group as
    at the source, by name where both hosts know it and else by number, or by number only. For that the
    destination's agent has to run as root, or with CAP_CHOWN."""
    streams: Annotated[int, Field(ge=1, le=16)] | None = None
    """Parallel connections; left out, there are more of them as long as more bring more."""
    bandwidth_limit: Rate | None = None
    bandwidth_windows: Annotated[tuple[BandwidthWindow, ...], Field(max_length=20)] = ()
    """At these hours another limit holds; the first window that fits counts."""
    priority: Priority = "normal"
    """Whose turn comes first on a busy agent, and how its line is shared: 1 to 2 to 4."""
    relay: Literal["never", "allowed"] = "never"
    """When neither of two agents can reach the other: give up, or go through the stage's relay bucket. The
    bytes are sealed from agent to agent there, too."""
    chain: Literal["stream", "whole"] = "stream"
    """In a chain: move each file on as soon as the hop before has it in place, or only when that hop has all.
    Whole it is, too, with `move`, `delete_extra`, `dry_run`, `verify: reread` and any `overwrite` but
    `always`."""
    if_offline: Literal["queue", "refuse"] = "queue"
    """When an agent is away: wait for it, or refuse the transfer."""

    @model_validator(mode="after")
    def _filters_within_limits(self) -> Self:
        Filters(self.include, self.exclude)
        return self

    @property
    def streams_chain(self) -> bool:
        """In a chain, may a file be moved on before the whole hop has ended? Not one that may yet be found
        wrong, nor where a second version would not replace the first."""
        waits = self.move or self.delete_extra or self.dry_run
        settled = self.verify == "transfer" and self.overwrite == "always"
        return self.chain == "stream" and settled and not waits

    @property
    def clears_source(self) -> bool:
        """Is anything removed there?"""
        return self.move and not self.dry_run


def unknown_options(found: object) -> tuple[str, ...]:
    """Names of a newer writer's, in what is to become `Options`."""
    if not isinstance(found, dict):
        return ()
    windows = found.get("bandwidth_windows")
    parts = [one for one in windows if isinstance(one, dict)] if isinstance(windows, list | tuple) else []
    unknown = [name for name in found if name not in Options.model_fields]
    deeper = {name for part in parts for name in part if name not in BandwidthWindow.model_fields}
    return (*map(str, unknown), *(f"bandwidth_windows.{name}" for name in sorted(map(str, deeper))))


_TEXTS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])
_CLOCK: TypeAdapter[time] = TypeAdapter(time)


def _readable(found: Any, read: ValidatorFunctionWrapHandler) -> Options:
    options: Options
    if isinstance(found, Options):
        return found
    if not isinstance(found, dict):
        options = read(found)
        return options
    kept = {name: value for name, value in found.items() if name in Options.model_fields}
    if isinstance(windows := kept.get("bandwidth_windows"), list | tuple):
        kept["bandwidth_windows"] = [_readable_window(one) for one in windows]
    if "bandwidth_limit" in kept:
        kept["bandwidth_limit"] = _readable_rate(kept["bandwidth_limit"])
    filters = {
        name: _TEXTS.validate_python(kept.pop(name)) for name in ("include", "exclude") if name in kept
    }
    options = read(kept)
    return options.model_copy(update=filters)


def _readable_window(found: object) -> object:
    if not isinstance(found, dict):
        return found
    kept = {name: value for name, value in found.items() if name in BandwidthWindow.model_fields}
    for name in ("start", "end"):
        try:
            kept[name] = _CLOCK.validate_python(kept.get(name)).replace(tzinfo=None)
        except ValidationError:
            continue
    return kept | {"limit": _readable_rate(kept.get("limit"))}


def _readable_rate(found: object) -> object:
    return min(found, MAX_RATE) if isinstance(found, int) else found


OrderedOptions = Annotated[Options, WrapValidator(_readable)]
"""As commands, journals and tables carry them, written by any version. What is not known is left out. What an
older version took is still read: filters that cannot be used end the hop, once it begins, with the reason; an
hour with a zone in it is one of the window's zone. What people write is refused instead."""
