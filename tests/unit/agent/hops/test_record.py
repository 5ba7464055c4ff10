"""What commands change in the record of a hop, however they are ordered, repeated or lost."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.hops.attempt import head
from agent.hops.record import HopRecord, on_move, on_stop
from events.base import Problem
from events.commands import Cancel, Pause
from events.locations import S3Location
from events.progress import Progress
from events.reports import Failed, Succeeded
from tests.support.fakes_agent import TRANSFER, move


def command(kind: str, attempt: int):
    if kind == "move":
        return move(attempt=attempt)
    return {"pause": Pause, "cancel": Cancel}[kind](
        transfer_id=TRANSFER, hop_id=f"{TRANSFER}-0", attempt=attempt
    )


def after(record: HopRecord | None, received) -> HopRecord | None:
    return on_move(record, received) if received.kind == "move" else on_stop(record, received) or record


def ended(record: HopRecord, how: str) -> HopRecord:
    about = {**head(record.move), "progress": Progress(bytes_done=3)}
    if how == "succeeded":
        return replace(record, end=Succeeded(**about, digest="d", seconds=1))
    return replace(record, end=Failed(**about, problem=Problem(code="x", message="x")))


STEP = st.tuples(st.sampled_from(["move", "pause", "cancel", "succeeded", "failed"]), st.integers(1, 4))


@given(st.lists(STEP, max_size=30))
def test_no_sequence_of_commands_takes_a_hop_back(steps):
    record = None
    for kind, attempt in steps:
        before = record
        if kind in ("succeeded", "failed"):
            record = (
                ended(record, kind) if record and not record.end and record.desired_state == "run" else record
            )
        else:
            record = after(record, command(kind, attempt))
        if before is None or record is None:
            continue
        assert record.attempt >= before.attempt, "an attempt never goes down"
        if isinstance(before.end, Succeeded):
            assert isinstance(record.end, Succeeded), "a success stays a success"
            assert record.end.attempt == record.attempt
        if before.desired_state == "cancel" and not before.end and record.desired_state != "cancel":
            assert record.attempt > before.attempt, "only a newer attempt undoes a cancel"


@given(st.integers(1, 4), st.sampled_from(["move", "pause", "cancel"]))
def test_a_repeated_command_changes_nothing(attempt, kind):
    record = after(HopRecord(move(attempt=2)), command(kind, attempt))
    assert after(record, command(kind, attempt)) == record


def test_there_is_nothing_to_stop_without_an_open_hop():
    assert on_stop(None, command("cancel", 1)) is None
    assert on_stop(ended(HopRecord(move()), "failed"), command("pause", 1)) is None


def test_a_cancel_makes_a_push_that_has_used_up_its_attempts_discard_what_it_kept():
    """Another kind of hop, and a push that no retry would mend, have nothing in S3 to be discarded."""
    to_s3 = {"destination": S3Location(bucket="media", prefix="in/")}
    for changes, retryable, is_discarded in ((to_s3, True, True), (to_s3, False, False), ({}, True, False)):
        record = HopRecord(move(attempt=8, **changes))
        problem = Problem(code="x", message="x", retryable=retryable)
        failed = replace(record, end=Failed(**head(record.move), progress=Progress(), problem=problem))
        stopped = on_stop(failed, command("cancel", 8))
        assert stopped == (replace(record, desired_state="cancel") if is_discarded else None)
        assert on_stop(failed, command("pause", 8)) is None
        assert on_stop(failed, command("cancel", 7)) is None, "a cancel from before a person's retry"


def test_a_success_from_before_the_source_had_everything_is_no_success_of_a_later_attempt():
    """In a chain, a hop forwards what arrived; the rest comes with a retry."""
    forwarded = ended(HopRecord(move(attempt=2)), "succeeded")
    again = move(attempt=3).model_copy(update={"success_from": 3})
    record = on_move(forwarded, again)
    assert record == HopRecord(again, progress=forwarded.progress)
    done = ended(record, "succeeded")
    later = again.model_copy(update={"attempt": 4})
    assert on_move(done, later).end.attempt == 4
