"""How a transfer is to be carried out: the same options on API, command and template."""

from typing import Annotated, Literal

from pydantic import Field

from events.base import Request
from events.filters import Globs


class Options(Request):
    """Every field has a default that loses nothing."""

    include: Globs = ()
    """Only files that match one of these, see `events.filters`; empty means all."""
    exclude: Globs = ()
    """No file that matches one of these. What is left out is not touched at the destination either."""
    overwrite: Literal["always", "newer", "never", "fail"] = "always"
    """What to do with a destination file that differs: replace it, replace it only by a newer one, leave
    it, or end the hop with an error. A file of the same size and mtime is never sent again."""
    verify: Literal["transfer", "reread"] = "transfer"
    """`transfer`: every range and pack is checked against its digest as it arrives. `reread`: what was
    written is read back from the disk as well."""
    symlinks: Literal["keep", "skip", "follow"] = "keep"
    streams: Annotated[int, Field(ge=1, le=16)] | None = None
    """Parallel connections; the agent chooses when it is left out."""
    bandwidth_limit: Annotated[int, Field(ge=1024, description="bytes per second")] | None = None
    if_offline: Literal["queue", "refuse"] = "queue"
    """When an agent is away: wait for it, or refuse the transfer."""
