"""Which heartbeats an agent sends."""

import pytest

from agent.heartbeats import HeartbeatPace
from agent.hops.attempt import AttemptIntervals
from events.base import Problem
from events.progress import PeerReachability
from events.reports import Heartbeat, RootState
from tests.support.fakes import MORNING

GIB = 2**30
PROBLEM = Problem(code="helper-failing", message="The agent's updates have failed 3 times in a row: x")


def beat(free: int = 700 * GIB, **differently) -> Heartbeat:
    roots = (RootState(path="/data", access="rw", free=free, size=1000 * GIB),)
    return Heartbeat(at=MORNING, roots=roots, **differently)


class Hours:
    """An agent's occasions to send a heartbeat, every 30 s."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.pace = HeartbeatPace(AttemptIntervals(), clock=lambda: self.seconds)
        self.sent: list[float] = []

    def offer(self, heartbeat: Heartbeat) -> bool:
        self.seconds += 30
        if due := self.pace.is_due(heartbeat):
            self.pace.note_sent(heartbeat)
            self.sent.append(self.seconds)
        return due


@pytest.fixture
def hours():
    return Hours()


def test_an_idle_agent_sends_twelve_an_hour_and_keeps_its_promise(hours):
    for number in range(120):
        hours.offer(beat(free=700 * GIB - number, load=number / 10))
    assert len(hours.sent) == 12
    promise = hours.pace.next_within_s(running=0)
    assert all(later - earlier <= promise for earlier, later in zip(hours.sent, hours.sent[1:], strict=False))


def test_a_busy_agent_sends_every_one(hours):
    assert all(hours.offer(beat(running=1)) for _ in range(20))
    assert hours.pace.next_within_s(running=1) == 30


@pytest.mark.parametrize(
    "news",
    [
        {"running": 1},
        {"problems": (PROBLEM,)},
        {"free": 500 * GIB},
        {"trusts": ("key-1",)},
        {"api_url": "https://api.example.com"},
        {"reached": (PeerReachability(agent_id="server-c", dialed=True),)},
    ],
    ids=lambda news: next(iter(news)),
)
def test_news_does_not_wait(hours, news):
    assert hours.offer(beat())
    assert not hours.offer(beat())
    assert hours.offer(beat(**news))


def test_what_is_told_once_is_not_told_twice(hours):
    assert hours.offer(beat(trusts=("key-1",)))
    assert not hours.offer(beat())


def test_the_end_of_the_last_hop_is_news(hours):
    assert hours.offer(beat(running=1))
    assert hours.offer(beat(running=0))


def test_a_heartbeat_follows_a_hello(hours):
    assert hours.offer(beat())
    hours.pace.restart()
    assert hours.offer(beat())
