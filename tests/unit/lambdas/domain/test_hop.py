"""The life cycle of a hop, case by case. For random sequences see test_hop_machine."""

from dataclasses import replace
from datetime import timedelta

import pytest

from events.base import Problem
from events.locations import AgentLocation, S3Location
from events.progress import Progress
from events.reports import (
    AgentHop,
    Cancelled,
    Checkpoint,
    Failed,
    Paused,
    Started,
    Succeeded,
    Verifying,
)
from events.states import HopState
from lambdas.domain import problems
from lambdas.domain.hop import ENDED, FLOW, MAX_ATTEMPTS, Hop, backoff, moved
from lambdas.domain.hop_changes import (
    cancelled,
    failed_by_upstream,
    lease_expired,
    offered,
    paused,
    refused,
    released,
    rescheduled,
    resumed,
    retried,
)
from lambdas.domain.hop_reports import apply_report, correction, declined, lost
from tests.support.fakes import MORNING

TRANSFER = "k3v9q0d7m2x8c5n1b6za"
B, C = "server-b", "server-c"
LATER = MORNING + timedelta(hours=3)
DISK_FULL = Problem(code="disk-full", message="full", retryable=True)
NO_FILE = Problem(code="source-missing", message="no such file")


def a_hop(state: HopState = HopState.QUEUED, **differently) -> Hop:
    hop = Hop(
        transfer_id=TRANSFER,
        number=0,
        source=AgentLocation(agent_id=B, path="/data/"),
        destination=AgentLocation(agent_id=C, path="/archive/"),
        created_at=MORNING,
        changed_at=MORNING,
        due_at=MORNING + timedelta(seconds=60),
    )
    if state not in {HopState.WAITING, HopState.QUEUED}:
        hop = replace(offered(hop, MORNING), state=state)
    return replace(hop, state=state, **differently)


def report(kind, attempt=1, seq=1, **more):
    about = {
        "transfer_id": TRANSFER,
        "hop_id": f"{TRANSFER}-0",
        "attempt": attempt,
        "seq": seq,
        "at": MORNING,
    }
    defaults = {
        Started: {"via": "direct"},
        Succeeded: {"progress": Progress(bytes_done=5), "digest": "d", "seconds": 1},
        Failed: {"progress": Progress(), "problem": NO_FILE},
    }.get(kind, {"progress": Progress()})
    return kind(**about, **{**defaults, **more})


def test_every_state_has_its_line_in_the_table():
    assert set(FLOW) == set(HopState)
    assert all(FLOW[state] <= {HopState.WAITING, HopState.QUEUED} for state in ENDED)


def test_what_the_table_does_not_allow_is_a_bug():
    with pytest.raises(ValueError, match="running may not follow succeeded"):
        moved(a_hop(HopState.SUCCEEDED), HopState.RUNNING, MORNING)


@pytest.mark.parametrize(
    ("before", "kind", "after"),
    [
        (HopState.OFFERED, Started, HopState.RUNNING),
        (HopState.OFFERED, Checkpoint, HopState.RUNNING),
        (HopState.OFFERED, Verifying, HopState.VERIFYING),
        (HopState.OFFERED, Succeeded, HopState.SUCCEEDED),
        (HopState.RUNNING, Verifying, HopState.VERIFYING),
        (HopState.RUNNING, Paused, HopState.PAUSED),
        (HopState.RUNNING, Failed, HopState.FAILED),
        (HopState.RUNNING, Cancelled, HopState.CANCELLED),
        (HopState.VERIFYING, Checkpoint, HopState.VERIFYING),
        (HopState.VERIFYING, Started, HopState.RUNNING),
        (HopState.PAUSED, Started, HopState.RUNNING),
        (HopState.PAUSED, Succeeded, HopState.SUCCEEDED),
    ],
)
def test_what_reports_make_of_a_hop(before, kind, after):
    new = apply_report(a_hop(before), report(kind), C, LATER)
    assert new.state == after
    assert new.seq == 1


@pytest.mark.parametrize(
    ("hop", "late_report", "by"),
    [
        (a_hop(HopState.RUNNING, seq=4), report(Checkpoint, seq=4), C),
        (a_hop(HopState.RUNNING, seq=4), report(Paused, seq=3), C),
        (a_hop(HopState.RUNNING, attempt=2), report(Failed, attempt=1, seq=9), C),
        (a_hop(HopState.RUNNING), report(Succeeded, attempt=2), C),
        (a_hop(HopState.RUNNING), report(Succeeded), B),
        (a_hop(HopState.RUNNING), report(Succeeded).model_copy(update={"hop_id": f"{TRANSFER}-1"}), C),
        (a_hop(HopState.CANCELLED), report(Succeeded), C),
        (a_hop(HopState.SUCCEEDED), report(Failed), C),
        (a_hop(HopState.QUEUED), report(Succeeded), C),
        (a_hop(HopState.WAITING), report(Succeeded), C),
    ],
    ids=["repeated", "reordered", "late", "ahead", "not the carrier", "another hop", "cancelled", "ended",
         "never offered", "waiting"],
)  # fmt: skip
def test_what_changes_nothing(hop, late_report, by):
    assert apply_report(hop, late_report, by, LATER) is hop


def test_a_report_renews_the_lease_by_the_clouds_clock():
    new = apply_report(a_hop(HopState.RUNNING), report(Checkpoint), C, LATER)
    assert new.due_at == LATER + timedelta(seconds=60)
    assert new.reported_at == MORNING


@pytest.mark.parametrize("kind", [Started, Checkpoint, Verifying, Paused])
def test_a_persons_pause_outlives_earlier_reports_of_the_agent(kind):
    paused_hop = paused(a_hop(HopState.RUNNING), MORNING)
    new = apply_report(paused_hop, report(kind), C, LATER)
    assert (new.state, new.paused_by_user, new.due_at) == (HopState.PAUSED, True, None)


def test_a_paused_hop_may_fail_for_good_but_is_not_tried_again_by_itself():
    paused_hop = paused(a_hop(HopState.RUNNING), MORNING)
    assert apply_report(paused_hop, report(Failed, problem=NO_FILE), C, LATER).state == HopState.FAILED
    failed = apply_report(paused_hop, report(Failed, problem=DISK_FULL), C, LATER)
    assert (failed.state, failed.attempt, failed.problem) == (HopState.PAUSED, 1, DISK_FULL)


def test_a_success_of_an_earlier_attempt_is_not_lost():
    """The control plane was unreachable for hours; the lease expired before the agent's report arrived."""
    gone_on = lease_expired(a_hop(HopState.RUNNING), LATER)
    assert (gone_on.state, gone_on.attempt) == (HopState.QUEUED, 2)
    for hop in (gone_on, offered(gone_on, LATER + timedelta(minutes=1)), paused(gone_on, LATER)):
        done = apply_report(hop, report(Succeeded, attempt=1, seq=7), C, LATER)
        assert (done.state, done.attempt) == (HopState.SUCCEEDED, 2)


def test_a_retryable_failure_is_tried_again_with_growing_waits():
    hop, waits = a_hop(HopState.RUNNING), []
    for attempt in range(1, MAX_ATTEMPTS):
        hop = apply_report(hop, report(Failed, attempt=attempt, problem=DISK_FULL), C, LATER)
        assert (hop.state, hop.attempt, hop.seq) == (HopState.QUEUED, attempt + 1, -1)
        assert hop.retry_at == hop.due_at
        waits.append((hop.retry_at - LATER).seconds)
        assert offered(hop, LATER) is hop
        hop = offered(hop, hop.retry_at)
    assert waits == [10, 20, 40, 80, 160, 320, 600]
    assert apply_report(hop, report(Failed, attempt=8, problem=DISK_FULL), C, LATER).state == HopState.FAILED


@pytest.mark.parametrize("then", [Started, Succeeded])
def test_a_file_that_failed_in_an_earlier_attempt_is_not_told_of_the_next(then):
    """The manifest is that of the last attempt: a page that still counted the file would contradict it."""
    failed = report(Failed, problem=DISK_FULL, failures=(NO_FILE,), failures_total=1)
    waiting = apply_report(a_hop(HopState.RUNNING), failed, C, MORNING)
    assert (waiting.state, waiting.failures_total) == (HopState.QUEUED, 1)
    again = apply_report(offered(waiting, LATER), report(then, attempt=2, seq=0), C, LATER)
    assert (again.failures, again.failures_total, again.problem) == ((), 0, None)


def test_only_new_progress_resets_the_failed_attempts():
    hop = a_hop(HopState.RUNNING, tries=5, high_water=100)
    assert apply_report(hop, report(Checkpoint, progress=Progress(bytes_done=100)), C, LATER).tries == 5
    assert apply_report(hop, report(Checkpoint, progress=Progress(bytes_done=101)), C, LATER).tries == 0


def test_the_most_that_had_arrived_is_known_while_a_new_attempt_compares_it_again():
    """Else a page could not tell progress that falls back from data that are lost."""
    before = apply_report(
        a_hop(HopState.RUNNING), report(Checkpoint, progress=Progress(bytes_done=300)), C, MORNING
    )
    after = apply_report(before, report(Checkpoint, seq=2, progress=Progress(bytes_done=10)), C, LATER)
    assert (after.progress.bytes_done, after.most_bytes) == (10, 300)


def test_the_time_that_a_transfer_took_is_the_time_in_which_it_moved():
    """Not the night that it was paused, nor the queue."""
    later = lambda minutes: MORNING + timedelta(minutes=minutes)  # noqa: E731
    hop = apply_report(a_hop(HopState.OFFERED), report(Started, seq=0), C, MORNING)
    assert hop.seconds_at_work_until(later(3)) == 180
    hop = paused(apply_report(hop, report(Checkpoint), C, later(5)), later(10))
    hop = offered(resumed(hop, True, later(700)), later(700))
    hop = apply_report(hop, report(Started, attempt=2, seq=0), C, later(710))
    hop = apply_report(hop, report(Succeeded, attempt=2), C, later(715))
    assert hop.seconds_at_work_until(later(9999)) == 15 * 60


def test_an_unanswered_offer_is_repeated_and_never_fails():
    hop, now = a_hop(), MORNING
    for _ in range(20):
        hop = offered(hop, now)
        now += timedelta(minutes=20)
        hop = lease_expired(hop, now)
        now += backoff(20)
    assert (hop.state, hop.attempt, hop.tries) == (HopState.QUEUED, 21, 0)


@pytest.mark.parametrize("state", [HopState.QUEUED, HopState.PAUSED, HopState.SUCCEEDED])
def test_only_offers_and_work_have_a_lease(state):
    hop = a_hop(state)
    assert lease_expired(hop, LATER) is hop


def test_a_lease_that_still_runs_is_left_alone():
    hop = a_hop(HopState.OFFERED)
    assert lease_expired(hop, hop.due_at - timedelta(seconds=1)) is hop


def test_a_hop_that_crashes_its_agent_every_time_fails_in_the_end():
    hop, now = a_hop(), MORNING
    while hop.state != HopState.FAILED:
        now += timedelta(hours=1)
        hop = apply_report(offered(hop, now), report(Started, attempt=hop.attempt), C, now)
        hop = lease_expired(hop, now + timedelta(minutes=2))
    assert hop.attempt == MAX_ATTEMPTS
    assert hop.problem.code == problems.AGENT_SILENT.code


def test_a_hop_its_agent_has_lost_goes_back_to_the_queue():
    hop = a_hop(HopState.RUNNING, reported_at=MORNING)
    again = lost(hop, MORNING + timedelta(seconds=1), LATER)
    assert (again.state, again.attempt) == (HopState.QUEUED, 2)


def test_a_hello_older_than_the_last_report_proves_nothing():
    hop = a_hop(HopState.RUNNING, reported_at=MORNING)
    assert lost(hop, MORNING - timedelta(seconds=1), LATER) is hop


def test_pause_and_resume():
    hop = paused(a_hop(HopState.RUNNING, tries=3), LATER)
    assert paused(hop, LATER) is hop
    again = resumed(hop, True, LATER)
    assert (again.state, again.attempt, again.paused_by_user, again.tries) == (HopState.QUEUED, 2, False, 0)
    assert resumed(again, True, LATER) is again


def test_a_waiting_hop_pauses_and_waits_again():
    hop = resumed(paused(a_hop(HopState.WAITING), LATER), False, LATER)
    assert hop.state == HopState.WAITING
    assert released(hop, LATER).state == HopState.QUEUED


def test_cancel_is_final_but_for_a_retry():
    hop = cancelled(a_hop(HopState.RUNNING, problem=DISK_FULL), LATER)
    assert (hop.state, hop.ended_at, hop.due_at) == (HopState.CANCELLED, LATER, None)
    assert cancelled(hop, LATER) is hop
    again = retried(hop, True, LATER)
    assert (again.state, again.attempt, again.ended_at, again.problem) == (HopState.QUEUED, 2, None, None)


def test_a_hop_ends_with_its_upstream_hop():
    before = a_hop(HopState.FAILED)
    hop = failed_by_upstream(a_hop(HopState.WAITING, number=1, after=0), before, LATER)
    assert (hop.state, hop.problem.code) == (HopState.FAILED, problems.PREVIOUS_HOP_ENDED.code)
    assert failed_by_upstream(hop, before, LATER) is hop


def test_a_hop_that_no_agent_can_carry_fails_with_the_reason():
    hop = refused(a_hop(), NO_FILE, LATER)
    assert (hop.state, hop.problem) == (HopState.FAILED, NO_FILE)


def test_a_rejected_command_leaves_its_reason_only_on_the_offer():
    assert declined(a_hop(HopState.OFFERED), NO_FILE, B).problem == NO_FILE
    running = a_hop(HopState.RUNNING)
    assert declined(running, NO_FILE, B) is running


@pytest.mark.parametrize("source_first", [True, False])
def test_the_dial_errors_of_both_sides_are_joined(source_first):
    from_c = Problem(
        code="source-unreachable",
        message="b:1 refused.",
        advice="Open a port.",
        retryable=True,
        wording="both-sides-unreachable",
        parameters={"source": "server-b", "reason": "refused"},
    )
    from_b = Problem(
        code="destination-unreachable",
        message="c:1 timed out.",
        retryable=True,
        wording="destination-unreachable",
        parameters={"agent_id": "server-c", "reason": "timed out"},
    )
    hop = a_hop(HopState.OFFERED)
    if source_first:
        hop = declined(hop, from_b, B)
        assert hop.problem == from_b
    hop = apply_report(hop, report(Failed, problem=from_c), C, LATER)
    if not source_first:
        hop = declined(hop, from_b, B)
    assert hop.state == HopState.QUEUED
    assert hop.problem.message == "b:1 refused. c:1 timed out."
    assert hop.problem.advice == from_c.advice
    assert hop.problem.parameters == {"source": "server-b", "reason": "refused; timed out"}, (
        "for translations"
    )
    assert declined(hop, from_b, B) == hop, "told twice"
    assert declined(hop, NO_FILE, B) == hop, "another matter"


def test_the_sources_dial_error_is_cleared_once_the_destination_connects():
    met = Problem(code="destination-unreachable", message="c:1 timed out.", retryable=True)
    hop = declined(a_hop(HopState.OFFERED), met, B)
    assert apply_report(hop, report(Started), C, LATER).problem is None
    failed = apply_report(hop, report(Failed, problem=NO_FILE), C, LATER)
    assert failed.problem == NO_FILE


def test_a_queued_hop_is_looked_at_less_and_less_often():
    hop = a_hop()
    first = rescheduled(hop, MORNING + timedelta(seconds=5))
    much_later = rescheduled(hop, LATER)
    assert (first.due_at - MORNING, much_later.due_at - LATER) == (
        timedelta(seconds=65),
        timedelta(minutes=10),
    )


@pytest.mark.parametrize(
    ("hop", "state", "wanted"),
    [
        (None, "running", "cancel"),
        (a_hop(HopState.CANCELLED), "running", "cancel"),
        (a_hop(HopState.SUCCEEDED), "paused", "cancel"),
        (paused(a_hop(HopState.RUNNING), MORNING), "running", "pause"),
        (paused(a_hop(HopState.RUNNING), MORNING), "paused", None),
        (a_hop(HopState.RUNNING), "running", None),
        (a_hop(HopState.QUEUED), "running", None),
    ],
)
def test_corrections_of_the_hops_that_an_agent_reports(hop, state, wanted):
    held = AgentHop(transfer_id=TRANSFER, hop_id=f"{TRANSFER}-0", attempt=1, state=state)
    assert correction(hop, held) == wanted


@pytest.mark.parametrize(
    ("source", "destination", "route", "agents"),
    [
        (AgentLocation(agent_id=B, path="/x"), AgentLocation(agent_id=C, path="/x"), "direct", (B, C)),
        (AgentLocation(agent_id=B, path="/x"), AgentLocation(agent_id=B, path="/y"), "local", (B,)),
        (S3Location(bucket="media"), AgentLocation(agent_id=B, path="/y"), "s3", (B,)),
        (AgentLocation(agent_id=B, path="/y"), S3Location(bucket="media"), "s3", (B,)),
    ],
)
def test_route_and_agents(source, destination, route, agents):
    hop = a_hop(source=source, destination=destination)
    assert (hop.route, hop.agents, hop.carrier) == (route, agents, agents[-1])
