"""Options of a transfer, shared by API, commands and templates."""

import unicodedata
from datetime import time
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlencode
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

from events.base import Request, display_text
from events.filters import Filters, Globs
from events.input_errors import input_error


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise input_error("time-zone", name=repr(display_text(name))) from error
    return name


def _of_day(clock: time) -> time:
    if clock.tzinfo is not None:
        raise input_error("time-with-zone")
    return clock


HourOfDay = Annotated[time, AfterValidator(_of_day)]
MAX_RATE = 2**53 - 1
"""Largest integer that every JSON reader represents exactly."""

ZoneName = Annotated[str, AfterValidator(_known_zone)]
Rate = Annotated[int, Field(ge=1024, le=MAX_RATE, description="bytes per second")]
Priority = Literal["low", "normal", "high"]
Symlinks = Literal["keep", "skip", "follow"]
StorageClass = Literal[
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "OUTPOSTS",
    "GLACIER_IR",
    "SNOW",
    "EXPRESS_ONEZONE",
    "FSX_OPENZFS",
    "FSX_ONTAP",
    "AWS_BACKUP_WARM",
    "AWS_BACKUP_LOW_COST_WARM",
]
"""Every class that S3's API names. A bucket takes some of them, and refuses the others itself."""
MAX_OBJECT_TAGS = 10
MAX_TAG_KEY_CHARS, MAX_TAG_VALUE_CHARS = 128, 256
MAX_TAGGING_BYTES = 4096
"""Bytes of all tags as they are sent. The headers of a PUT have at most 8 KB, a session token among them."""
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class BandwidthWindow(Request):
    """Hours of a day with their own bandwidth limit.

    A window that ends before it begins continues past midnight into the next day.
    """

    days: Annotated[tuple[Day, ...], Field(max_length=7)] = ()
    """Empty means every day."""
    start: HourOfDay
    end: HourOfDay
    zone: ZoneName = "UTC"
    """IANA time zone: `Europe/Berlin`."""
    limit: Rate | None = None
    """Bytes per second. None: no limit."""


def tagging_header(tags: dict[str, str]) -> str:
    """Return tags as the header `x-amz-tagging` has them: like the query of a URL."""
    return urlencode(tags, quote_via=quote)


def _object_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags in the order of their keys, so that equal ones are written alike.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    """
    for key, value in tags.items():
        if not (0 < len(key) <= MAX_TAG_KEY_CHARS and _is_tag_text(key)) or key.lower().startswith("aws:"):
            raise input_error("object-tag-key", key=repr(display_text(key)), limit=MAX_TAG_KEY_CHARS)
        if len(value) > MAX_TAG_VALUE_CHARS or not _is_tag_text(value):
            raise input_error("object-tag-value", key=repr(key), limit=MAX_TAG_VALUE_CHARS)
    if (size := len(tagging_header(tags))) > MAX_TAGGING_BYTES:
        raise input_error("object-tags-long", size=f"{size:,}", limit=f"{MAX_TAGGING_BYTES:,}")
    return dict(sorted(tags.items()))


def _is_tag_text(text: str) -> bool:
    """Return whether S3 takes this in a tag: letters, digits and blanks of any script, and some others."""
    return all(unicodedata.category(one)[0] in "LNZ" or one in "_.:/=+-@" for one in text)


ObjectTags = Annotated[dict[str, str], Field(max_length=MAX_OBJECT_TAGS), AfterValidator(_object_tags)]


class Options(Request):
    """Options of a transfer. By default nothing is deleted."""

    include: Globs = ()
    """Only files that match one of these patterns, see `events.filters`; empty: all files."""
    exclude: Globs = ()
    """No files that match one of these patterns. Excluded files are not changed at the destination either."""
    overwrite: Literal["always", "newer", "never", "fail"] = "always"
    """What to do with a destination file that differs: replace it, replace it only by a newer one, keep it,
    or end the hop with an error. Identical files are never sent again."""
    compare: Literal["time", "checksum"] = "time"
    """Which files are identical: those of equal size and mtime, or of equal size and digest."""
    delete_extra: bool = False
    """Mirror: delete at the destination what the source does not have, after everything has arrived. Filtered
    files stay. Nothing is deleted if the source is empty or could not be read completely."""
    move: bool = False
    """Delete each file at the source once it is on disk at the destination."""
    dry_run: bool = False
    """Write nothing: report what would be sent, replaced and deleted, and what would fail."""
    verify: Literal["transfer", "reread"] = "transfer"
    """`transfer`: every range and pack is checked against its digest as it arrives. `reread`: written data is
    also read back from the disk."""
    symlinks: Symlinks = "keep"
    """Copy symbolic links as links, leave them out, or copy their targets."""
    owner: Literal["agent", "names", "ids"] = "agent"
    """Owner of files at the destination: the agent's user (`agent`), or user and group of the source, by name
    if both hosts have it and else by number (`names`), or by number only (`ids`). The last two need an agent
    that runs as root or with CAP_CHOWN."""
    streams: Annotated[int, Field(ge=1, le=16)] | None = None
    """Parallel connections; by default their number grows as long as throughput does."""
    bandwidth_limit: Rate | None = None
    """Bytes per second. None: no limit."""
    bandwidth_windows: Annotated[tuple[BandwidthWindow, ...], Field(max_length=20)] = ()
    """Times with a different limit; the first matching window counts."""
    priority: Priority = "normal"
    """Order on a busy agent, and share of its bandwidth: 1 to 2 to 4."""
    relay: Literal["never", "allowed"] = "never"
    """What to do if neither of two agents can reach the other: fail, or use the stage's relay bucket. The
    data is encrypted from agent to agent there, too."""
    chain: Literal["stream", "whole"] = "stream"
    """In a chain, forward each file as soon as the previous hop has completed it (`stream`), or only after
    that hop has ended (`whole`). Always `whole` with `move`, `delete_extra`, `dry_run`, `verify: reread`, or
    an `overwrite` other than `always`."""
    if_offline: Literal["queue", "refuse"] = "queue"
    """What to do if an agent is offline: wait for it, or refuse the transfer."""
    storage_class: StorageClass | None = None
    """Storage class of objects that are written to S3. None: the default of S3, STANDARD. An object that is
    unchanged keeps its class."""
    object_tags: ObjectTags = {}
    """Tags of objects that are written to S3: at most 10. An object that is unchanged keeps its tags."""

    @model_validator(mode="after")
    def _filters_within_limits(self) -> Self:
        Filters(self.include, self.exclude)
        return self

    @property
    def streams_chain(self) -> bool:
        """Return whether a chain may forward a file before the whole hop has ended.

        Not a file that may still fail verification, nor if a second version would not replace the first.
        """
        waits = self.move or self.delete_extra or self.dry_run
        settled = self.verify == "transfer" and self.overwrite == "always"
        return self.chain == "stream" and settled and not waits

    @property
    def shapes_objects(self) -> bool:
        """Return whether objects in S3 are to get a storage class or tags."""
        return self.storage_class is not None or bool(self.object_tags)

    @property
    def clears_source(self) -> bool:
        """Return whether files are deleted at the source."""
        return self.move and not self.dry_run


def unknown_options(found: object) -> tuple[str, ...]:
    """Return the names of fields that `Options` does not have, as a newer version may write."""
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
"""Options in commands, journals and tables, written by any version. Unknown fields are ignored. Values that
an older version accepted are still read: invalid filters fail the hop when it starts, with the reason; a time
with a zone counts as one in the window's zone. In requests, both are refused instead."""
