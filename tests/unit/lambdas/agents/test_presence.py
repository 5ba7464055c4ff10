"""Presence of an agent: life-cycle events in any order, and its own heartbeats."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.base import Problem
from events.progress import PeerReachability
from events.reports import Capabilities, Heartbeat, Hello, RemoteState
from events.states import AgentStatus
from lambdas import wiring
from lambdas.domain.agent import (
    SILENT_AFTER,
    TAKEOVER,
    connected,
    disconnected,
    is_available,
    silenced,
    status,
    with_heartbeat,
    with_hello,
)
from tests.support import control_plane
from tests.support.fakes import MORNING, an_agent


def at(seconds: float):
    return MORNING + timedelta(seconds=seconds)


@pytest.fixture
def away():
    return replace(an_agent("server-b"), presence="offline", presence_at=None, session=-1)


def test_it_comes_and_goes(away):
    here = connected(away, at(0), 1, at(0))
    assert status(here, at(1)) == AgentStatus.ONLINE
    assert status(disconnected(here, at(5), 1), at(5)) == AgentStatus.OFFLINE


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_takeover_reported_in_any_order_leaves_the_agent_online(away, order):
    """The end of the old connection may be reported last, and even have a later time than the new one."""
    first = connected(away, at(0), 1, at(0))
    story = [
        lambda agent: disconnected(agent, at(60.2), 1),
        lambda agent: connected(agent, at(60.0), 2, at(60)),
        lambda agent: connected(agent, at(0), 1, at(60)),
    ]
    agent = first
    for number in order:
        agent = story[number](agent)
    assert agent.presence == "online"
    assert agent.session == 2


def test_the_broker_may_restart_its_session_count(away):
    agent = connected(away, at(0), 7, at(0))
    agent = connected(agent, at(0) + TAKEOVER + timedelta(seconds=1), 0, at(11))
    assert (agent.session, agent.presence) == (0, "online")
    assert disconnected(agent, at(100), 0).presence == "offline"


def test_a_connection_after_a_restart_may_end(away):
    """The connection was ignored as outdated; the disconnection must not be."""
    agent = connected(away, at(0), 7, at(0))
    agent = connected(agent, at(5), 0, at(5))
    assert disconnected(agent, at(60), 0).presence == "offline"


def test_an_agent_without_heartbeats_is_late_and_then_silent(away):
    agent = connected(away, at(0), 1, at(0))
    assert status(agent, at(0) + SILENT_AFTER) == AgentStatus.LATE
    assert silenced(agent, at(10)) is agent
    assert silenced(agent, at(0) + SILENT_AFTER).presence == "silent"


MET = (PeerReachability(agent_id="server-c", dialed=True, address="10.0.0.3:4460"),)


def greeting(said_at):
    return Hello.model_validate(
        {
            "at": said_at,
            "version": "0.1.0",
            "hostname": "b",
            "capabilities": {},
            "endpoints": (),
            "lane_certificate": "PEM",
            "roots": (),
            "reached": MET,
        }
    )


def test_how_far_its_clock_is_off_is_known_from_what_it_says(away):
    agent = with_hello(away, greeting(at(-300)), at(0.2), at(0.2))
    assert agent.skew == -300.2
    assert with_heartbeat(agent, Heartbeat(at=at(30), roots=()), at(30), at(30)).skew == 0


def test_addresses_that_no_peer_may_dial_are_not_kept(away):
    said = greeting(at(0)).model_copy(
        update={
            "endpoints": ("169.254.169.254:80", "0.0.0.0:1", "nonsense", "10.0.0.2:99999", "10.0.0.2:4460")
        }
    )
    assert with_hello(away, said, at(0), at(0)).endpoints == ("10.0.0.2:4460",)


def test_whom_it_reaches_stays_until_it_says_otherwise(away):
    agent = with_hello(away, greeting(at(0)), at(0), at(0))
    assert with_heartbeat(agent, Heartbeat(at=at(30), roots=()), at(30), at(30)).reached == MET
    assert with_heartbeat(agent, Heartbeat(at=at(30), roots=(), reached=()), at(30), at(30)).reached == ()


def test_what_is_wrong_with_it_is_known_as_long_as_it_says_so(away):
    problem = Problem(code="helper-failing", message="The agent's updates have failed 3 times in a row: x")
    agent = with_heartbeat(away, Heartbeat(at=at(0), roots=(), problems=(problem,)), at(0), at(0))
    assert agent.problems == (problem,)
    assert with_hello(agent, greeting(at(1)), at(1), at(1)).problems == ()


def test_a_heartbeat_tells_of_remotes_and_an_older_agent_s_changes_nothing(away):
    agent = replace(away, capabilities=Capabilities(rclone="1.75.2"))
    remotes = (RemoteState(name="archive", access="ro"),)
    agent = with_heartbeat(agent, Heartbeat(at=at(0), roots=(), remotes=remotes), at(0), at(0))
    assert (agent.capabilities.rclone, agent.capabilities.remotes) == ("1.75.2", remotes)
    assert with_heartbeat(agent, Heartbeat(at=at(1), roots=()), at(1), at(1)).capabilities.remotes == remotes
    none_left = with_heartbeat(agent, Heartbeat(at=at(2), roots=(), remotes=()), at(2), at(2))
    assert none_left.capabilities.remotes == ()


class Seen:
    """An agent's life as the broker saw it: what it received or noticed, and when."""

    def __init__(self, sessions):
        self.events, self.heard, self.left, now = [], [], set(), 0.0
        for number, (pause, beats, is_told) in enumerate(sessions):
            now += pause
            self.note(now, lambda agent, at, now, number=number: connected(agent, at, number, now))
            for beat in range(beats):
                now += 0.5 if beat == 0 else 30
                self.note(now, hello if beat == 0 else heartbeat)
            now += 5
            if is_told:
                self.note(now, lambda agent, at, _, number=number: disconnected(agent, at, number))
                self.left.add(self.heard.pop())
        self.end, self.has_left = now, sessions[-1][2]

    def note(self, seconds, step):
        self.events.append((seconds, step))
        self.heard.append(seconds)


def hello(agent, received_at, now):
    is_news = agent.hello_at is None or received_at >= agent.hello_at
    return with_hello(agent, greeting(received_at), received_at, now) if is_news else agent


def heartbeat(agent, received_at, now):
    return with_heartbeat(agent, Heartbeat(at=received_at, roots=()), received_at, now)


SESSIONS = st.lists(
    st.tuples(st.floats(15, 900), st.integers(1, 6), st.booleans()), min_size=1, max_size=4
).map(Seen)
SIX_HOURS = 6 * 3600
DELAYS = st.lists(st.sampled_from([0, 0, 0.2, 7, 20, 60, 100, 4000, SIX_HOURS]), min_size=1, max_size=2)


@settings(max_examples=300)
@given(SESSIONS, st.data())
def test_late_doubled_and_shuffled_events_bring_no_dead_agent_back(seen, data):
    """Lambda delivers each event at least once, up to six hours late, in any order."""
    deliveries = [
        (at_s + delay, number) for number, (at_s, _) in enumerate(seen.events) for delay in data.draw(DELAYS)
    ]
    agent, known = replace(an_agent("server-b"), presence="offline", presence_at=None, session=-1), 0.0
    for handled, number in sorted(deliveries):
        happened, step = seen.events[number]
        agent = step(agent, at(happened), at(handled))
        known = max(known, happened)
        if known in seen.left:
            assert agent.presence == "offline", "nothing later than its end is known"
        heard = max(one for one in seen.heard if one <= handled)
        if silenced(agent, at(handled)).presence == "online":
            assert handled - heard < SILENT_AFTER.total_seconds(), "nothing was heard for longer than that"
            assert is_available(agent, at(handled))
    last = max(seen.end, *(handled for handled, _ in deliveries))
    if seen.has_left or last - max(seen.heard) >= SILENT_AFTER.total_seconds():
        assert silenced(agent, at(last)).presence != "online"
    assert agent.hello_at == max(at(one) for one, step in seen.events if step is hello)
    again = heartbeat(agent, at(last + 30), at(last + 30.1))
    assert again.presence == "online", "a beat of now always does"


def test_a_beat_that_was_stuck_for_hours_is_too_late(away):
    agent = heartbeat(away, at(0), at(0.1))
    gone = disconnected(agent, at(40), 1)
    late = heartbeat(gone, at(30), at(5 * 3600))
    assert (late.presence, is_available(late, at(5 * 3600))) == ("offline", False)
    assert connected(away, at(30), 2, at(5 * 3600)).presence == "silent"
    unheard = silenced(agent, at(100))
    assert heartbeat(unheard, at(30), at(5 * 3600)).presence == "silent"


def test_a_late_hello_describes_the_agent_and_changes_nothing_newer(away):
    problem = Problem(code="helper-failing", message="The agent's updates have failed 3 times in a row: x")
    agent = with_heartbeat(away, Heartbeat(at=at(30), roots=(), problems=(problem,)), at(30), at(30))
    late = with_hello(agent, greeting(at(0)).model_copy(update={"version": "0.2.0"}), at(0), at(60))
    assert (late.version, late.problems, late.heard_at) == ("0.2.0", (problem,), at(30))


def test_a_hello_older_than_the_last_one_is_not_taken_for_news(here):
    """Whoever gets None corrects no hops and revokes no certificate."""
    here.join("server-b")
    service, now = wiring.agent_service(), datetime.now(UTC)
    assert service.hello("server-b", control_plane.hello(version="0.3.0"), now).version == "0.3.0"
    assert service.hello("server-b", control_plane.hello(version="0.2.0"), now - timedelta(minutes=1)) is None
    assert here.get("/agents/server-b").body["version"] == "0.3.0"
