"""What commands make of a hop, in whatever order, repetition or loss they come."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.hops.attempt import head
from agent.hops.record import HopRecord, on_move, on_stop
from events.base import Problem
from events.commands import Cancel, Pause
from events.progress import Progress
from events.reports import Failed, Succeeded
from tests.support.fakes_agent import TRANSFER, move


def command(kind: str, attempt: int):
    if kind == "move":
        return move(attempt=attempt)
    return {"pause": Pause, "cancel": Cancel}[kind](
        transfer_id=TRANSFER, hop_id=f"{TRANSFER}-0", attempt=attempt
    )


def after(held: HopRecord | None, order) -> HopRecord | None:
    return on_move(held, order) if order.kind == "move" else on_stop(held, order) or held


def ended(held: HopRecord, how: str) -> HopRecord:
    about = {**head(held.move), "progress": Progress(bytes_done=3)}
    if how == "succeeded":
        return replace(held, end=Succeeded(**about, digest="d", seconds=1))
    return replace(held, end=Failed(**about, problem=Problem(code="x", message="x")))


STEP = st.tuples(st.sampled_from(["move", "pause", "cancel", "succeeded", "failed"]), st.integers(1, 4))


@given(st.lists(STEP, max_size=30))
def test_no_order_of_commands_takes_a_hop_back(steps):
    held = None
    for kind, attempt in steps:
        before = held
        if kind in ("succeeded", "failed"):
            held = ended(held, kind) if held and not held.end and held.desired_state == "run" else held
        else:
            held = after(held, command(kind, attempt))
        if before is None or held is None:
            continue
        assert held.attempt >= before.attempt, "an attempt never goes down"
        if isinstance(before.end, Succeeded):
            assert isinstance(held.end, Succeeded), "what has arrived stays so"
            assert held.end.attempt == held.attempt
        if before.desired_state == "cancel" and not before.end and held.desired_state != "cancel":
            assert held.attempt > before.attempt, "only a newer attempt takes a cancel back"


@given(st.integers(1, 4), st.sampled_from(["move", "pause", "cancel"]))
def test_a_command_twice_is_the_command_once(attempt, kind):
    held = after(HopRecord(move(attempt=2)), command(kind, attempt))
    assert after(held, command(kind, attempt)) == held


def test_there_is_nothing_to_stop_where_nothing_is_held():
    assert on_stop(None, command("cancel", 1)) is None
    assert on_stop(ended(HopRecord(move()), "failed"), command("pause", 1)) is None
