"""The archive: a line of JSON for each transfer that has ended, in gzip files by the day of its end."""

from typing import Annotated

from pydantic import Field

from events.views import TransferView


class ArchivedTransfer(TransferView):
    """A transfer as it was when it was archived, with its whole timeline.

    A transfer that goes on after its end (a retry, an acknowledgment) is archived again; the line with the
    highest revision counts.
    """

    revision: Annotated[int, Field(ge=1)]
    selection: tuple[str, ...] | None = None
    """What the transfer was limited to, relative to its source. None: all of it."""
