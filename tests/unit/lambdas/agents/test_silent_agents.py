"""Agents whose heartbeats stop are marked within the minute, however many there are."""

from dataclasses import replace
from datetime import timedelta

import pytest

from events.reports import Heartbeat
from events.states import AgentStatus
from lambdas import adapters, wiring
from lambdas.agents.service import MAX_RUN_TIME
from lambdas.domain.agent import SILENCE_CHECKS, SILENT_AFTER
from lambdas.store.agent_rows import HeartbeatRow, beat_key
from tests.support.agent_table import write_agents
from tests.support.fakes import FakeEventPublisher, an_agent
from tests.support.moto_shortcuts import one_call_at_a_time

SITE = 250
"""More agents than one run used to mark."""


@pytest.fixture
def site(clock, here):
    """Return the names of a site's agents, all of which were heard from just now."""
    names = [f"server-{number}" for number in range(SITE)]
    write_agents(an_agent(name, heard_at=clock.now) for name in names)
    return names


def online():
    return set(adapters.agent_store().silent(adapters.clock() + timedelta(days=1), 10_000))


def test_a_whole_site_that_loses_its_line_is_silent_with_the_next_run(clock, site):
    clock.now += SILENT_AFTER
    events = FakeEventPublisher()
    with one_call_at_a_time():
        wiring.agent_service().mark_silent_agents(events.publish)
    assert {event.agent_id for event in events.published} == set(site)
    assert online() == set()


def test_an_idle_agent_is_moved_in_the_index_by_every_third_heartbeat_and_still_noticed(clock, here):
    write_agents([an_agent("server-b", heard_at=clock.now, next_within_s=300)])
    times = []
    for _ in range(12):
        clock.now += timedelta(minutes=5)
        wiring.agent_service().heartbeat("server-b", Heartbeat(at=clock.now, roots=(), next_within_s=300))
        times.append(HeartbeatRow.get(beat_key("server-b")).silent_at)
    assert len(set(times)) in {4, 5}
    events = FakeEventPublisher()
    clock.now = adapters.agent_store().get("server-b").silent_at - timedelta(seconds=1)
    wiring.agent_service().mark_silent_agents(events.publish)
    assert events.published == []
    clock.now += SILENCE_CHECKS
    wiring.agent_service().mark_silent_agents(events.publish)
    assert [event.agent_id for event in events.published] == ["server-b"]


def test_who_reports_at_that_moment_stays_online(clock, site, monkeypatch):
    clock.now += SILENT_AFTER
    store = adapters.agent_store()
    replace_agent = store.replace_agent

    def reporting(old, new, also=None):
        """Let a heartbeat of one agent be written between this run's read and its write."""
        if old.agent_id == site[7]:
            replace_agent(old, replace(old, heard_at=clock.now))
        replace_agent(old, new, also)

    monkeypatch.setattr(store, "replace_agent", reporting)
    events = FakeEventPublisher()
    with one_call_at_a_time():
        wiring.agent_service().mark_silent_agents(events.publish)
    assert online() == {site[7]}
    assert len(events.published) == SITE - 1


def test_one_event_that_cannot_be_published_keeps_no_other_back(clock, site):
    clock.now += SILENT_AFTER
    told = []

    def publish(event):
        if event.agent_id == site[3]:
            raise ConnectionError("EventBridge is away")
        told.append(event.agent_id)

    with one_call_at_a_time(), pytest.raises(ExceptionGroup, match="could not be marked") as failures:
        wiring.agent_service().mark_silent_agents(publish)
    assert len(failures.value.exceptions) == 1
    assert set(told) == set(site) - {site[3]}


def test_a_run_ends_before_the_next_one_begins(clock, site):
    clock.now += SILENT_AFTER
    told = []

    def slowly(event):
        told.append(event)
        clock.now += MAX_RUN_TIME / 10

    with one_call_at_a_time():
        wiring.agent_service().mark_silent_agents(slowly)
        assert 10 <= len(told) < SITE
        wiring.agent_service().mark_silent_agents(told.append)
    assert {event.agent_id for event in told} == set(site), "the next run marks the rest"


def test_an_idle_agent_is_silent_when_its_own_promise_is_broken(clock, here):
    here.join("server-b")
    service = wiring.agent_service()
    service.heartbeat("server-b", Heartbeat(at=clock.now, roots=(), next_within_s=300))
    told = []
    for _ in range(2):
        clock.now += timedelta(minutes=5)
        service.mark_silent_agents(told.append)
        assert service.view("server-b").status == AgentStatus.ONLINE, "one heartbeat may be lost"
    clock.now += timedelta(seconds=31)
    assert service.view("server-b").status == AgentStatus.LATE
    clock.now += SILENCE_CHECKS
    service.mark_silent_agents(told.append)
    assert [event.agent_id for event in told] == ["server-b"]


def test_what_is_not_due_is_not_marked(clock, site):
    clock.now += SILENT_AFTER - timedelta(seconds=1)
    wiring.agent_service().mark_silent_agents(lambda _: pytest.fail("marked too early"))
    assert online() == set(site)
