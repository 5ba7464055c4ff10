"""Open consoles are told that agents have changed: soon, seldom, and never because an agent merely lives."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from events.progress import ChangeNotice
from events.reports import Heartbeat, RootState
from events.topics import Topics
from lambdas import adapters, on_presence, on_report, wiring
from lambdas.aws.change_notifier import AGENT_NOTICE_INTERVAL, IotChangeNotifier
from lambdas.domain.agent import SILENT_AFTER
from tests.support.agent_table import write_agents
from tests.support.control_plane import Context, ControlPlane, hello
from tests.support.fakes import FakeClock, FakeEventPublisher, an_agent
from tests.support.fakes_aws import FakeBroker
from tests.support.moto_shortcuts import one_call_at_a_time

FLEET = 16
NAMES = [f"server-{number}" for number in range(FLEET)]
GIGABYTE = 10**9


@pytest.fixture
def broker(here: ControlPlane, clock: Any, monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    """Return the broker that the real notifier publishes to."""
    made = FakeBroker()
    notifier = IotChangeNotifier(lambda: made, adapters.topics(), clock)  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(adapters, "change_notifier", lambda: notifier)
    return made


def notices(broker: FakeBroker, clock: Any) -> int:
    """Return the number of notices since the last call, and let the interval between notices pass."""
    published = list(broker.published)
    broker.published.clear()
    clock.now += AGENT_NOTICE_INTERVAL
    for message in published:
        assert (message["topic"], message["qos"]) == ("crosshaul/test/changes/agents", 0)
        assert ChangeNotice.model_validate_json(message["payload"]) == ChangeNotice(transfer_id=None)
    return len(published)


def connected(name: str, clock: Any, session: int, kind: str = "connected") -> None:
    event = {
        "clientId": adapters.topics().thing(name),
        "timestamp": round(1000 * clock.now.timestamp()),
        "eventType": kind,
        "versionNumber": session,
    }
    on_presence.handler(event, Context())  # type: ignore[arg-type]


def beat(name: str, clock: Any, **differently: Any) -> None:
    clock.now += timedelta(seconds=30)
    report = Heartbeat.model_validate({"at": clock.now, "roots": roots(), **differently})
    event = {
        "wire": 1,
        "report": report.model_dump(mode="json"),
        "thing": adapters.topics().thing(name),
        "received": round(1000 * clock.now.timestamp()),
    }
    on_report.handler(event, Context())  # type: ignore[arg-type]


def roots(free: int = 800 * GIGABYTE) -> tuple[RootState, ...]:
    return (RootState(path="/primary", access="rw", free=free, size=1_000 * GIGABYTE),)


def test_a_heartbeat_alone_is_no_news_and_neither_is_a_disk_that_fills(
    here: ControlPlane, clock: Any, broker: FakeBroker
) -> None:
    here.join("server-b")
    beat("server-b", clock)
    notices(broker, clock)
    for percent in (80, 79, 60, 20):
        beat("server-b", clock, roots=roots(percent * 10 * GIGABYTE))
    assert notices(broker, clock) == 0
    beat("server-b", clock, roots=roots(30 * GIGABYTE))
    assert notices(broker, clock) == 1, "nearly full is a warning"
    beat("server-b", clock, roots=roots(30 * GIGABYTE), running=2)
    assert notices(broker, clock) == 1
    beat("server-b", clock, roots=roots(30 * GIGABYTE), running=2)
    assert notices(broker, clock) == 0


def test_each_change_of_an_agent_that_a_list_shows_is_told(
    here: ControlPlane, clock: Any, broker: FakeBroker
) -> None:
    here.join("server-b")
    notices(broker, clock)
    connected("server-b", clock, 1)
    assert notices(broker, clock) == 1
    connected("server-b", clock, 1, "disconnected")
    assert notices(broker, clock) == 1
    connected("server-b", clock, 1, "disconnected")
    assert notices(broker, clock) == 0, "told already"
    wiring.agent_service().hello("server-b", hello(at=clock.now, version="0.2.0"))
    assert notices(broker, clock) == 1
    assert here.call("PUT", "/agents/server-b/drain", {}).status == 200
    assert notices(broker, clock) == 1
    assert here.call("DELETE", "/agents/server-b").status == 204
    assert notices(broker, clock) == 1


def test_a_fleet_that_comes_back_is_one_notice_a_second(
    here: ControlPlane, clock: Any, broker: FakeBroker
) -> None:
    write_agents(replace(an_agent(name), presence="offline", presence_at=None, session=-1) for name in NAMES)
    for name in NAMES[: FLEET // 2]:
        connected(name, clock, 1)
    assert notices(broker, clock) == 1
    for name in NAMES[FLEET // 2 :]:
        connected(name, clock, 1)
    assert notices(broker, clock) == 1


def test_a_site_that_goes_silent_is_told_by_the_run_that_marks_it(
    here: ControlPlane, clock: Any, broker: FakeBroker
) -> None:
    write_agents(an_agent(name, heard_at=clock.now) for name in NAMES)
    clock.now += SILENT_AFTER
    events = FakeEventPublisher()
    with one_call_at_a_time():
        wiring.agent_service().mark_silent_agents(events.publish)
    assert len(events.published) == FLEET
    assert notices(broker, clock) == 1
    with one_call_at_a_time():
        wiring.agent_service().mark_silent_agents(events.publish)
    assert notices(broker, clock) == 0


def test_an_agent_is_recorded_although_no_console_can_be_told(
    here: ControlPlane, clock: Any, broker: FakeBroker
) -> None:
    here.join("server-b", online=False)
    broker.away = True
    connected("server-b", clock, 1)
    assert here.get("/agents/server-b").body["status"] == "online"
    broker.away = False
    clock.now += AGENT_NOTICE_INTERVAL
    connected("server-b", clock, 1, "disconnected")
    assert notices(broker, clock) == 1


def test_a_clock_that_is_set_back_silences_no_notice() -> None:
    broker, clock = FakeBroker(), FakeClock()
    notifier = IotChangeNotifier(lambda: broker, Topics("prod"), clock)  # type: ignore[arg-type, return-value]
    notifier.announce_agents()
    clock.forward(hours=-1)
    notifier.announce_agents()
    assert len(broker.published) == 2
