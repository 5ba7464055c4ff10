"""What a command makes of a hop that the journal holds, or does not hold: rules only, no I/O.

Every command names an attempt. One that is older than what is held is late and changes nothing; a newer
one wins. `desired_state` is what the cloud wants last; `hops.py` brings the work in line with it.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from events.commands import Cancel, Move, Pause
from events.progress import Progress
from events.reports import Cancelled, Failed, Succeeded

DesiredState = Literal["run", "pause", "cancel"]
End = Succeeded | Failed | Cancelled
Ended: TypeAdapter[End] = TypeAdapter(Annotated[End, Field(discriminator="kind")])

NOTHING_YET = Progress()


@dataclass(frozen=True)
class HopRecord:
    """A hop as the journal holds it."""

    move: Move
    desired_state: DesiredState = "run"
    progress: Progress = NOTHING_YET
    """As it was last said."""
    paused: bool = False
    """Has the pause been carried out and said?"""
    end: End | None = None
    """The last report of a hop that has ended."""

    @property
    def hop_id(self) -> str:
        return self.move.hop_id

    @property
    def attempt(self) -> int:
        return self.move.attempt


def on_move(held: HopRecord | None, order: Move) -> HopRecord:
    """A Move came: take it, go on under its attempt, or stay as it is when it is late or already over.

    A hop that has succeeded stays so under any later attempt: its bytes are there.
    """
    if held is None:
        return HopRecord(order)
    over = held.end or held.desired_state == "cancel"
    if order.attempt < held.attempt or (over and order.attempt == held.attempt):
        return held
    if isinstance(held.end, Succeeded):
        return replace(held, move=order, end=held.end.model_copy(update={"attempt": order.attempt}))
    return HopRecord(order, progress=held.progress)


def on_stop(held: HopRecord | None, command: Pause | Cancel) -> HopRecord | None:
    """A Pause or Cancel came: None when there is nothing to stop."""
    if held is None or held.end or command.attempt < held.attempt:
        return None
    order = held.move.model_copy(update={"attempt": command.attempt})
    if isinstance(command, Cancel):
        return replace(held, move=order, desired_state="cancel")
    return None if held.desired_state == "cancel" else replace(held, move=order, desired_state="pause")
