"""What a command changes in the record of a hop: rules only, no I/O.

Every command names an attempt. A command for an older attempt than the recorded one is late and changes
nothing; a newer one wins. `desired_state` is what the control plane last asked for; `HopManager` brings the
work in line with it.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from events.commands import Cancel, Move, Pause
from events.locations import S3Location
from events.progress import Progress
from events.reports import Cancelled, Failed, Succeeded

DesiredState = Literal["run", "pause", "cancel"]
End = Succeeded | Failed | Cancelled
Ended: TypeAdapter[End] = TypeAdapter(Annotated[End, Field(discriminator="kind")])

NOTHING_YET = Progress()


@dataclass(frozen=True)
class HopRecord:
    """A hop as the journal stores it."""

    move: Move
    desired_state: DesiredState = "run"
    progress: Progress = NOTHING_YET
    """As last reported."""
    paused: bool = False
    """Whether the pause has been carried out and reported."""
    end: End | None = None
    """The last report of a hop that has ended."""

    @property
    def hop_id(self) -> str:
        return self.move.hop_id

    @property
    def attempt(self) -> int:
        return self.move.attempt


def on_move(record: HopRecord | None, move: Move) -> HopRecord:
    """Return the record after a Move: taken, continued under the new attempt, or unchanged.

    A late Move, or one for a hop that is over, changes nothing. A hop that has succeeded stays so under a
    later attempt, since its bytes are at the destination; unless its source had only a part of them then.
    """
    if record is None:
        return HopRecord(move)
    over = record.end or record.desired_state == "cancel"
    if move.attempt < record.attempt or (over and move.attempt == record.attempt):
        return record
    if isinstance(record.end, Succeeded) and record.attempt >= move.success_from:
        return replace(record, move=move, end=record.end.model_copy(update={"attempt": move.attempt}))
    return HopRecord(move, progress=record.progress.for_next_attempt())


def on_stop(record: HopRecord | None, command: Pause | Cancel) -> HopRecord | None:
    """Return the record after a Pause or Cancel; None if there is nothing to stop or to discard."""
    if record is None or command.attempt < record.attempt:
        return None
    if record.end and not (isinstance(command, Cancel) and _has_kept_uploads(record)):
        return None
    move = record.move.model_copy(update={"attempt": command.attempt})
    if isinstance(command, Cancel):
        return replace(record, move=move, desired_state="cancel", end=None)
    return None if record.desired_state == "cancel" else replace(record, move=move, desired_state="pause")


def _has_kept_uploads(record: HopRecord) -> bool:
    """Return whether a hop has failed and kept its unfinished uploads in S3, for another attempt."""
    is_push = isinstance(record.move.destination, S3Location)
    return is_push and isinstance(record.end, Failed) and record.end.problem.retryable
