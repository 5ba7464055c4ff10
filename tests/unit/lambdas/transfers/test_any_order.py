"""Lambda delivers each report at least once, up to hours late, in any order: the end is the same.

The rules alone are tried in `domain/test_hop_machine.py`, presence in `agents/test_presence.py`; here reports
of every kind about a hop meet the table, the minute's sweep and the stream.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.base import Problem
from events.facts import TransferFinished
from events.progress import Progress
from events.reports import (
    AgentHop,
    Cancelled,
    Capabilities,
    Checkpoint,
    Failed,
    Hello,
    Paused,
    Refused,
    Started,
    Succeeded,
    Verifying,
)
from events.states import HopState
from lambdas.domain.hop import Hop
from tests.support.world import ControlPlaneFixture, a_world

DISK_FULL = Problem(code="disk-full", message="full", retryable=True)
GONE = Problem(code="source-missing", message="gone")
OUTCOMES: dict[type, tuple[HopState, dict[str, Any]]] = {
    Succeeded: (HopState.SUCCEEDED, {"digest": "d1", "seconds": 1.5}),
    Failed: (HopState.FAILED, {"problem": GONE}),
    Cancelled: (HopState.CANCELLED, {}),
}
MIDDLE = st.lists(st.sampled_from([Checkpoint, Paused, Started, Verifying, Hello, Refused]), max_size=6)
PAUSES_S = st.sampled_from([0, 0, 0, 1, 20, 61, 700, 6 * 3600])
"""Seconds between two deliveries."""


class Life:
    """What an agent says about one hop, in its own order, from before it gets it until after its end."""

    def __init__(self, world: ControlPlaneFixture, hop: Hop, middle: list[type], outcome: type) -> None:
        self._world, self._hop, self._seq, self._bytes = world, hop, 0, 0
        self.messages: list[Callable[[], None]] = [self._hello()]
        for kind in (Started, *middle, outcome):
            self.messages.append(self._message(kind))
        self.messages.append(self._hello())

    def _message(self, kind: type) -> Callable[[], None]:
        if kind is Hello:
            return self._hello(self._hop)
        if kind is Refused:
            refused = Refused(at=self._now(), hop_id=self._hop.hop_id, problem=DISK_FULL)
            return lambda: self._world.report_handler.record_refusal(self._hop.carrier, refused)
        report = self.report(kind, self._hop.attempt)
        return lambda: self._world.report_handler.apply(self._hop.carrier, report)

    def report(self, kind: type, attempt: int) -> Any:
        """Return the next report of the agent."""
        self._seq, self._bytes = self._seq + 1, self._bytes + 3
        about = {"transfer_id": self._hop.transfer_id, "hop_id": self._hop.hop_id, "attempt": attempt}
        known = {"seq": self._seq, "at": self._now(), "progress": Progress(bytes_done=self._bytes)}
        if kind is Started:
            known = {"via": "direct", "seq": self._seq, "at": self._now()}
        return kind(**about, **known, **OUTCOMES.get(kind, (None, {}))[1])

    def _hello(self, *hops: Hop) -> Callable[[], None]:
        held = tuple(
            AgentHop(transfer_id=hop.transfer_id, hop_id=hop.hop_id, attempt=hop.attempt, state="running")
            for hop in hops
        )
        said = Hello(
            at=self._now(),
            version="0.1.0",
            hostname="b.example.com",
            capabilities=Capabilities(),
            endpoints=(),
            lane_certificate="pem",
            roots=(),
            hops=held,
        )
        return lambda: self._world.report_handler.reconcile(self._hop.carrier, said)

    def _now(self) -> Any:
        self._world.clock.forward(milliseconds=1)
        return self._world.clock()


@pytest.fixture(scope="module")
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        yield


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(MIDDLE, st.sampled_from(sorted(OUTCOMES, key=str)), st.data())
def test_reports_of_every_kind_late_doubled_and_shuffled_end_a_hop_as_its_agent_did(
    credentials: None, middle: list[type], outcome: type, data: st.DataObject
) -> None:
    with a_world() as world:
        deliver_in_any_order(world, middle, outcome, data)


def deliver_in_any_order(
    world: ControlPlaneFixture, middle: list[type], outcome: type, data: st.DataObject
) -> None:
    transfer_id = world.request("a:/data/", "b:/archive/")
    world.stream()
    life = Life(world, world.hop(transfer_id), middle, outcome)
    numbers = list(range(len(life.messages)))
    twice = data.draw(st.lists(st.sampled_from(numbers), max_size=4))
    ended: Hop | None = None
    for number in data.draw(st.permutations(numbers + twice)):
        world.clock.forward(seconds=data.draw(PAUSES_S))
        world.lease_sweeper.sweep()
        life.messages[number]()
        world.stream()
        hop = world.hop(transfer_id)
        assert ended is None or hop == ended, "nothing changes a hop that has ended"
        ended = hop if hop.ended else None
    for _ in range(20):  # the agent answers what it is offered again
        if (hop := world.hop(transfer_id)).ended:
            break
        world.clock.forward(minutes=11)
        world.lease_sweeper.sweep()
        world.stream()
        hop = world.hop(transfer_id)
        if hop.state == HopState.OFFERED:
            world.report_handler.apply(hop.carrier, life.report(outcome, hop.attempt))
            world.stream()
    assert hop.state == OUTCOMES[outcome][0]
    assert hop.problem == (GONE if outcome is Failed else None) or outcome is Cancelled
    assert sum(isinstance(fact, TransferFinished) for fact in world.facts.published) == 1
    for message in reversed(life.messages):
        message()
    assert world.hop(transfer_id) == hop
