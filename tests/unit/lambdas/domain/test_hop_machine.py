"""Random sequences of reports, offers, sweeps and operations never lead to an illegal state.

Whatever happened, a transfer ends once agents answer and people resume it.
"""

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from events.base import Problem
from events.locations import AgentLocation
from events.options import Options
from events.progress import Progress
from events.reports import (
    PREVIOUS_HOP_NOT_RUNNING,
    AboutHop,
    Cancelled,
    Checkpoint,
    Failed,
    Paused,
    Started,
    Succeeded,
    Verifying,
)
from events.states import HopState, TransferState
from lambdas.domain.hop import ENDED, FLOW, Hop
from lambdas.domain.hop_changes import (
    cancelled,
    failed_by_upstream,
    lease_expired,
    offered,
    paused,
    released,
    rescheduled,
    resumed,
    retried,
)
from lambdas.domain.hop_reports import apply_report, declined, lost
from lambdas.domain.plan import TransferSpec, plan
from tests.support.fakes import ADA, MORNING

NUMBERS = st.integers(0, 2)
KINDS = st.sampled_from([Started, Checkpoint, Verifying, Paused, Succeeded, Failed, Cancelled])
CODES = st.sampled_from(["trouble", PREVIOUS_HOP_NOT_RUNNING])
PROBLEMS = st.builds(Problem, code=CODES, message=st.just("x"), retryable=st.booleans())
TRANSFER = "k3v9q0d7m2x8c5n1b6za"
NEVER_BEGUN = {HopState.WAITING, HopState.PAUSED, HopState.FAILED, HopState.CANCELLED}


class AnyOrder(RuleBasedStateMachine):
    reports = Bundle("reports")

    @initialize(shape=st.sampled_from(["chain", "fan_out"]), chain=st.sampled_from(["stream", "whole"]))
    def begin(self, shape, chain):
        self.now = MORNING
        self.told_to_pause = set()
        source = AgentLocation(agent_id="a", path="/data/")
        destinations = tuple(AgentLocation(agent_id=name, path="/archive/") for name in "bcd")
        spec = TransferSpec(
            source=source, destinations=destinations, shape=shape, options=Options(chain=chain)
        )
        self.transfer = plan(TRANSFER, spec, ADA, self.now)

    # ── everything that can happen, at any time ──

    @rule(seconds=st.integers(0, 1200))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(target=reports, number=NUMBERS, kind=KINDS, back=st.integers(-1, 2), seq=st.integers(0, 30),
          size=st.integers(0, 5), problem=PROBLEMS)  # fmt: skip
    def an_agent_writes(self, number, kind, back, seq, size, problem):
        """Create a report of an attempt near the current one; it may arrive late, repeatedly, or never."""
        attempt = max(1, self.transfer.hops[number].attempt - back)
        return a_report(kind, number, attempt, seq, self.now, size, problem)

    @rule(report=reports, by=st.sampled_from(["a", "b", "c", "d"]))
    def a_report_arrives_from_someone(self, report, by):
        self.deliver(report, by)

    @rule(target=reports, number=NUMBERS, kind=KINDS, seq=st.integers(0, 30), problem=PROBLEMS)
    def a_report_of_now_arrives(self, number, kind, seq, problem):
        hop = self.transfer.hops[number]
        report = a_report(kind, number, hop.attempt, seq, self.now, 1, problem)
        self.deliver(report, hop.carrier)
        return report

    @rule(report=reports)
    def a_report_arrives(self, report):
        self.deliver(report, self.transfer.hops[int(report.hop_id[-1])].carrier)

    def deliver(self, report, by):
        self.step(int(report.hop_id[-1]), lambda hop: apply_report(hop, report, by, self.now))

    @rule(number=NUMBERS)
    def dispatched(self, number):
        self.step(number, lambda hop: offered(hop, self.now))

    @rule(number=NUMBERS)
    def taken_up(self, number):
        """Offer and start a hop: the usual case, often enough to reach later states."""
        self.step(number, lambda hop: offered(hop, self.now))
        hop = self.transfer.hops[number]
        self.deliver(a_report(Started, number, hop.attempt, 0, self.now), hop.carrier)

    @rule(number=NUMBERS)
    def swept(self, number):
        self.step(number, lambda hop: rescheduled(lease_expired(hop, self.now), self.now))

    @rule(number=NUMBERS, seconds=st.integers(-100, 100))
    def hello_without_it(self, number, seconds):
        self.step(number, lambda hop: lost(hop, self.now + timedelta(seconds=seconds), self.now))

    @rule(number=NUMBERS, problem=PROBLEMS, by=st.sampled_from(["a", "b", "c", "d"]))
    def command_refused(self, number, problem, by):
        self.step(number, lambda hop: declined(hop, problem, by))

    @rule(number=NUMBERS)
    def reacted(self, number):
        self.react(number)

    @rule()
    def paused(self):
        self.ask(lambda hop: paused(hop, self.now))
        self.told_to_pause = {hop.number for hop in self.transfer.hops if not hop.ended}

    @rule()
    def resumed(self):
        self.told_to_pause = set()
        self.ask(lambda hop: resumed(hop, self.transfer.ready(hop), self.now))

    @rule()
    def cancelled(self):
        self.ask(lambda hop: cancelled(hop, self.now))

    @rule()
    def retried(self):
        self.told_to_pause -= {hop.number for hop in self.transfer.hops if hop.ended}
        self.ask(lambda hop: retried(hop, self.transfer.ready(hop), self.now), retry=True)

    # ── what always holds ──

    def ask(self, what, retry=False):
        changed = [what(hop) for hop in self.transfer.hops]
        for old, new in zip(self.transfer.hops, changed, strict=True):
            check_step(old, new, retry)
        self.transfer = self.transfer.with_hops(changed, self.now)

    def step(self, number, what):
        old = self.transfer.hops[number]
        new = what(old)
        check_step(old, new, retry=False)
        self.transfer = self.transfer.with_hops([new], self.now)

    def react(self, number):
        hop = self.transfer.hops[number]
        if hop.after is None:
            return
        before = self.transfer.hops[hop.after]
        if self.transfer.can_begin(hop):
            self.step(number, lambda hop: released(hop, self.now))
        elif before.ended:
            self.step(number, lambda hop: failed_by_upstream(hop, before, self.now))

    @invariant()
    def every_hop_is_whole(self):
        for hop in self.transfer.hops:
            assert (hop.ended_at is not None) == hop.ended
            assert (hop.due_at is None) == (hop.ended or hop.state == HopState.PAUSED)
            assert not hop.paused_by_user or hop.state == HopState.PAUSED
            assert hop.retry_at is None or hop.state == HopState.QUEUED

    @invariant()
    def only_a_person_ends_a_persons_pause(self):
        for number in self.told_to_pause:
            hop = self.transfer.hops[number]
            assert hop.ended or (hop.state == HopState.PAUSED and hop.paused_by_user)

    @invariant()
    def nothing_begins_before_what_it_waits_for_has_succeeded_or_begun(self):
        for hop in self.transfer.hops:
            follows = self.transfer.streams(hop) and self.transfer.hops[hop.after].started_at
            in_part = self.transfer.goes_on_in_part(hop)
            assert self.transfer.ready(hop) or follows or in_part or hop.state in NEVER_BEGUN

    @invariant()
    def the_transfer_says_what_its_hops_say(self):
        states = {hop.state for hop in self.transfer.hops}
        state = self.transfer.state
        assert (self.transfer.ended_at is not None) == self.transfer.ended == (states <= ENDED)
        assert (state == TransferState.SUCCEEDED) == (states == {HopState.SUCCEEDED})
        assert self.transfer.ended == (
            state not in {TransferState.QUEUED, TransferState.RUNNING, TransferState.PAUSED}
        )
        if states & {HopState.RUNNING, HopState.VERIFYING}:
            assert state == TransferState.RUNNING

    def teardown(self):
        """Check that the transfer ends from any state within three rounds per hop, if agents work."""
        if not hasattr(self, "transfer"):
            return
        for _ in range(9):
            self.now += timedelta(hours=1)
            self.resumed()
            for number in range(3):
                self.react(number)
                self.swept(number)
                self.now += timedelta(minutes=11)
                self.dispatched(number)
                hop = self.transfer.hops[number]
                done = a_report(Succeeded, number, hop.attempt, hop.seq + 1, self.now)
                self.deliver(done, hop.carrier)
        assert self.transfer.ended


def a_report(kind, number, attempt, seq, at, size=1, problem=None) -> AboutHop:
    about = {"transfer_id": TRANSFER, "hop_id": f"{TRANSFER}-{number}", "attempt": attempt, "seq": seq}
    own = {
        Started: {"via": "direct"},
        Succeeded: {"digest": "d", "seconds": 1.0},
        Failed: {"problem": problem},
    }.get(kind, {})
    if kind is not Started:
        own = {**own, "progress": Progress(bytes_done=size)}
    return kind(**about, at=at, **own)


def check_step(old: Hop, new: Hop, retry: bool) -> None:
    assert new.state == old.state or new.state in FLOW[old.state]
    assert (new.attempt, new.seq) >= (old.attempt, old.seq)
    assert (new.hop_id, new.source, new.destination) == (old.hop_id, old.source, old.destination)
    if old.ended and not retry:
        assert new is old
    if old.state == HopState.SUCCEEDED:
        assert new is old
    if new != old and new.attempt == old.attempt and new.seq == old.seq:
        assert (new.state, new.paused_by_user) != (
            old.state,
            old.paused_by_user,
        ) or only_unguarded_fields_differ(old, new)


def only_unguarded_fields_differ(old: Hop, new: Hop) -> bool:
    """Return whether only fields differ that the write's condition ignores: such writes may race."""
    return replace(new, due_at=old.due_at, problem=old.problem) == old


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_the_table_leads_from_the_start_to_every_state():
    reached = {HopState.WAITING}
    for _ in HopState:
        reached |= {after for state in reached for after in FLOW[state]}
    assert reached == set(HopState)
