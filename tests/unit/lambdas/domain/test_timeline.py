"""What a timeline shows of a failure that repeats itself."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from events.base import Problem
from events.states import HopState
from events.views import TimelineEntry
from lambdas.domain.timeline import CROSSHAUL, folded
from tests.support.fakes import ADA, MORNING

HOP = "k3v9q0d7m2x8c5n1b6za-0"
DISK_FULL = Problem(code="disk-full", message="full", retryable=True)


def entry(
    number: int, what: str, state: HopState | None = None, problem: Problem | None = None, by=CROSSHAUL
):
    at = MORNING + timedelta(minutes=number)
    return TimelineEntry(
        at=at, what=what, by=by, state=state, problem=problem, hop_id=HOP if state is not None else None
    )


def attempt(number: int) -> list[TimelineEntry]:
    return [
        entry(number, f"hop 1 started (attempt {number})", HopState.RUNNING),
        entry(number, "hop 1 paused", HopState.PAUSED, DISK_FULL),
    ]


def test_a_disk_that_stays_full_is_one_attempt_with_a_count():
    entries = [entry(0, "requested"), *(one for number in range(1, 100) for one in attempt(number))]
    requested, started, paused = folded(entries)
    assert (requested.times, started.times, paused.times) == (1, 99, 99)
    assert paused.at == entries[-1].at
    assert paused.problem == DISK_FULL


def test_what_a_person_repeats_is_listed():
    entries = [entry(number, ("paused", "resumed")[number % 2], by=ADA) for number in range(8)]
    assert folded(entries) == tuple(entries)


def test_a_different_failure_is_not_a_repetition():
    other = entry(3, "hop 1 paused", HopState.PAUSED, Problem(code="read-only", message="read only"))
    entries = [*attempt(1), attempt(2)[0], other]
    assert folded(entries) == tuple(entries)


@given(st.lists(st.sampled_from(range(5)), max_size=60))
def test_no_entry_is_lost_or_moved(kinds):
    choices = (
        ("requested", None, None),
        ("hop 1 started", HopState.RUNNING, None),
        ("hop 1 paused", HopState.PAUSED, DISK_FULL),
        ("hop 1 failed", HopState.FAILED, DISK_FULL),
        ("hop 1 queued", HopState.QUEUED, None),
    )
    entries = [entry(number, *choices[kind]) for number, kind in enumerate(kinds)]
    found = folded(entries)
    assert sum(one.times for one in found) == len(entries)
    assert [one.at for one in found] == sorted(one.at for one in found)
    for what, _, _ in choices:
        counted = sum(one.times for one in found if one.what == what)
        assert counted == sum(one.what == what for one in entries)
