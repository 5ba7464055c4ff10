"""The console's list of agents: it costs the same among any number of them, and its counts are right."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.reports import Capabilities, Heartbeat, RemoteState, RootState
from events.requests import DrainRequest
from events.updates import UpdateRequest
from events.views import AgentSummary, Drain
from lambdas import adapters, wiring
from lambdas.audit.recorder import unrecorded
from lambdas.domain.agent_summary import AgentGroup, group_of, summary_of
from lambdas.domain.errors import AgentUnknownError, StaleError
from lambdas.store.agent_counts import counts, recount
from lambdas.store.agent_rows import AgentRow, CountsRow
from lambdas.store.base import no_writes
from tests.support.agent_table import write_agents
from tests.support.control_plane import ControlPlane, hello, publish
from tests.support.dynamodb_reads import HALF_UNITS, reads_counted
from tests.support.fakes import ADA, an_agent

GIB = 2**30
MAX_BYTES, MAX_HALF_UNITS = 100_000, 90
"""What one request may cost at most."""
POLL_BYTES, POLL_HALF_UNITS = 200_000, 100
"""What the two requests cost at most by which the overview polls (web/tests/agentsPage.test.tsx)."""


ROOM = RootState(path="/data", access="rw", free=50 * GIB, size=100 * GIB)
NO_ROOM = RootState(path="/data", access="rw", free=GIB, size=100 * GIB)


def join(clock: Any, here: ControlPlane, *names: str) -> None:
    """Let agents join that are online and well."""
    for name in names:
        here.join(name)
        wiring.agent_service().heartbeat(name, Heartbeat(at=clock.now, roots=(ROOM,)), clock.now)


def a_server(number: int, **differently: Any) -> Any:
    """Return an agent as large companies have them: tags, remotes, many roots."""
    roots = tuple(
        RootState(path=f"/srv/projects/{one}", access="rw", free=50 * GIB, size=100 * GIB) for one in range(6)
    )
    remotes = (RemoteState(name="archive", access="rw", type="s3"),)
    described = {
        "hostname": f"render-{number:05}.berlin.example.com",
        "ip_address": "10.200.100.200",
        "roots": roots,
        "capabilities": Capabilities(remotes=remotes),
        "tags": {"site": "berlin" if number % 5 else "oslo", "purpose": "rendering"},
    }
    return an_agent(f"render-{number:05}", **{**described, **differently})


def write(*agents: Any) -> None:
    """Write agents in batches, and let the recount find how many they are."""
    write_agents(agents)
    for _ in range(2):  # a difference is suspected at first
        recount()


def names(here: ControlPlane, **query: str) -> list[str]:
    """Return the names of all pages of a list."""
    found, after = list[str](), dict[str, str]()
    while True:
        answer = here.get("/fleet", **query, **after)
        assert answer.status == 200, answer.text
        found += [agent["agent_id"] for agent in answer.body["agents"]]
        if answer.body["next"] is None:
            return found
        after = {"after": answer.body["next"]}


def shown(here: ControlPlane) -> dict[str, int]:
    """Return the counts that every answer has."""
    return dict(here.get("/fleet", limit="1").body["counts"])


def test_a_page_tells_of_each_agent_in_short_and_counts_all(clock: Any, here: ControlPlane) -> None:
    join(clock, here, "server-b", "server-c")
    here.join("server-d", online=False)
    publish("7.9.0")
    here.call("PATCH", "/agents/server-c", {"tags": {"site": "berlin"}})
    page = here.get("/fleet", limit="2").body
    assert [agent["agent_id"] for agent in page["agents"]] == ["server-b", "server-c"]
    assert page["next"] == "server-c"
    assert page["newest_version"] == "7.9.0"
    assert page["counts"] == {"online": 2, "late": 0, "offline": 1, "attention": 1}
    server_c = page["agents"][1]
    assert (server_c["roots"], server_c["free_percent"], server_c["tags"]) == (1, 50, {"site": "berlin"})
    assert [agent["agent_id"] for agent in here.get("/fleet", names="server-d,server-x").body["agents"]] == [
        "server-d"
    ]
    here.call("DELETE", "/agents/server-b")
    assert shown(here) == {"online": 1, "late": 0, "offline": 1, "attention": 1}
    assert names(here) == ["server-c", "server-d"]


def test_agents_are_found_by_each_criterion_and_all_together(clock: Any, here: ControlPlane) -> None:
    away = Drain(by=ADA, at=clock.now, until=clock.now + timedelta(hours=1), maintenance=True)
    write(
        an_agent("web-1", roots=(ROOM,)),
        an_agent("web-2", roots=(ROOM,), version="0.2.0", tags={"site": "oslo"}),
        an_agent("web-3", presence="offline", tags={"site": "oslo"}),
        an_agent("web-4", presence="silent"),
        an_agent("web-5", presence="offline", drain=away),
        an_agent("db-1", roots=(NO_ROOM,)),
        an_agent("db-2", skew=300.0, roots=(ROOM.model_copy(update={"free": None}),)),
    )
    publish("0.2.0")
    assert names(here) == ["db-1", "db-2", "web-1", "web-2", "web-3", "web-4", "web-5"]
    assert names(here, search="web-", limit="2") == ["web-1", "web-2", "web-3", "web-4", "web-5"]
    assert names(here, status="offline") == ["web-3", "web-5"]
    assert names(here, status="late") == ["web-4"]
    assert names(here, tag="site=oslo") == ["web-2", "web-3"]
    assert names(here, tag="site=oslo", status="online", outdated="false") == ["web-2"]
    assert names(here, outdated="true", status="online") == ["db-1", "db-2", "web-1"]
    assert names(here, version="0.2.0") == ["web-2"]
    assert names(here, attention="true", limit="1") == ["db-1", "db-2", "web-3", "web-4"]
    assert shown(here) == {"online": 4, "late": 1, "offline": 2, "attention": 4}
    warnings = {
        agent["agent_id"]: [(one["kind"], one["path"], one["amount"]) for one in agent["warnings"]]
        for agent in here.get("/fleet", search="db").body["agents"]
    }
    assert warnings["db-1"] == [("root_nearly_full", "/data", 1)]
    assert warnings["db-2"] == [("clock", None, 5), ("root_missing", "/data", None)]
    clock.now += timedelta(hours=2)
    assert "web-5" in names(here, attention="true"), "the maintenance is over"
    assert shown(here)["attention"] == 5, "as many as the list has"


@pytest.mark.parametrize(
    "wrong", [{"after": "no name!"}, {"tag": "oslo"}, {"status": "away"}, {"names": "a,,b"}, {"search": "A"}]
)
def test_a_question_that_makes_no_sense_is_refused(here: ControlPlane, wrong: dict[str, str]) -> None:
    assert here.get("/fleet", **wrong).status == 400


POLLS: dict[str, dict[str, str]] = {
    "page of agents": {"limit": "50"},
    "agents that are away": {"limit": "50", "status": "offline"},
    "overview": {"attention": "true", "limit": "16"},
    "map of the overview": {"names": ",".join(f"render-{number:05}" for number in range(28))},
    "picker": {"search": "render-0003", "limit": "50"},
    "agents of a site": {"tag": "site=oslo", "limit": "50"},
    "agents to update": {"outdated": "true", "limit": "50"},
    "a tag that no agent has": {"tag": "site=rome", "limit": "50"},
}


def test_a_poll_costs_as_much_among_many_agents_as_among_few(clock: Any, here: ControlPlane) -> None:
    """Beyond a page, more agents cost nothing: neither requests nor bytes nor read units."""
    publish("0.2.0")

    def costs() -> dict[str, tuple[int, int]]:
        found = {}
        for what, query in POLLS.items():
            with reads_counted() as counted:
                answer = here.get("/fleet", **query)
            assert answer.status == 200
            found[what] = (len(answer.text), counted[HALF_UNITS])
        return found

    states = ("online", "online", "online", "offline", "silent")
    fleet = [a_server(number, presence=states[number % 5]) for number in range(900)]
    here.get("/fleet")  # the first request reads the policies, too
    write(*fleet[:450])
    few = costs()
    write(*fleet[450:])
    many = costs()
    assert shown(here) == {"online": 540, "late": 180, "offline": 180, "attention": 360}
    for what, (size, half_units) in many.items():
        assert size < MAX_BYTES, what
        assert half_units <= MAX_HALF_UNITS, what
        assert (size, half_units) <= (few[what][0] + 100, few[what][1] + 2), what
    polled = [many["overview"], many["map of the overview"]]
    assert sum(size for size, _ in polled) < POLL_BYTES
    assert sum(half_units for _, half_units in polled) <= POLL_HALF_UNITS


AGENTS = ("server-b", "server-c")
_times = st.integers(min_value=-300, max_value=60)
"""Seconds by which an event is later than the beginning of the story."""
_happenings = st.one_of(
    st.tuples(st.just("connected"), st.sampled_from(AGENTS), _times, st.integers(1, 3)),
    st.tuples(st.just("disconnected"), st.sampled_from(AGENTS), _times, st.integers(1, 3)),
    st.tuples(st.just("heartbeat"), st.sampled_from(AGENTS), _times, st.sampled_from([0, 50])),
    st.tuples(st.just("hello"), st.sampled_from(AGENTS), _times, st.just(0)),
    st.tuples(st.just("drained"), st.sampled_from(AGENTS), st.just(0), st.integers(0, 1)),
    st.tuples(st.just("minute"), st.just(""), _times, st.just(0)),
    st.tuples(st.just("removed"), st.sampled_from(AGENTS), st.just(0), st.just(0)),
)


@given(st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_are_right_whatever_events_come_late_twice_or_in_another_order(
    clock: Any, here: ControlPlane, data: st.DataObject
) -> None:
    store, begin = adapters.agent_store(), clock.now
    for name in AGENTS:
        with suppress(StaleError):  # it is there since the last example
            store.create_agent(an_agent(name, presence="offline"), "hash", no_writes)
    events = data.draw(st.lists(_happenings, min_size=1, max_size=8))
    for event in data.draw(st.permutations(events + events[:3])):
        clock.now = begin
        with suppress(AgentUnknownError):
            happen(clock, *event)
    clock.now = begin
    agents = store.get_many(AGENTS).values()
    assert counts() == Counter(map(group_of, agents))
    listed = [row.summary for group in AgentGroup for row in AgentRow.by_group.query(group)]
    assert {one.agent_id: as_json(one) for one in listed} == {
        agent.agent_id: as_json(summary_of(agent)) for agent in agents
    }


def as_json(summary: AgentSummary) -> dict[str, Any]:
    """Return a summary as it is sent: the wire has times in coarser steps than the table."""
    return summary.model_dump(mode="json")


def happen(clock: Any, what: str, name: str, after_s: int, number: int) -> None:
    """Let an event happen; raise AgentUnknownError if the agent was removed."""
    service, store, at = (
        wiring.agent_service(),
        adapters.agent_store(),
        clock.now + timedelta(seconds=after_s),
    )
    match what:
        case "connected":
            service.connected(name, at, number)
        case "disconnected":
            service.disconnected(name, at, number)
        case "heartbeat":
            root = ROOM if number else NO_ROOM
            service.heartbeat(name, Heartbeat(at=at, roots=(root,), running=number), at)
        case "hello":
            service.hello(name, hello(at=at), at)
        case "drained":
            service.drain(name, DrainRequest(maintenance=bool(number)), ADA, unrecorded)
        case "removed":
            store.delete_agent(store.get(name))
        case "minute":
            clock.now = at + timedelta(minutes=2)
            service.mark_silent_agents(lambda _: None)


def test_a_drain_and_a_heartbeat_at_the_same_moment_are_both_counted(clock: Any, here: ControlPlane) -> None:
    here.join("server-b", online=False)
    store = adapters.agent_store()
    read_before = store.get("server-b")
    here.call("PUT", "/agents/server-b/drain", {"maintenance": True})
    with pytest.raises(StaleError):
        store.replace_agent(read_before, replace(read_before, presence="silent"))
    assert counts() == {AgentGroup.OFFLINE_IN_MAINTENANCE: 1}
    wiring.agent_service().heartbeat("server-b", Heartbeat(at=clock.now, roots=()), clock.now)
    assert counts() == {AgentGroup.WELL: 1}


def test_counts_that_are_wrong_are_mended_and_said_to_be(
    clock: Any, here: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    join(clock, here, "server-b", "server-c")
    row, *_ = CountsRow.batch_get([f"counts#{number:02}" for number in range(16)])
    row.update([CountsRow.well.set(41), CountsRow.offline.set(-3)])
    assert shown(here)["online"] > 40
    clock.now = clock.now.replace(minute=0)
    wiring.fleet().recount()
    assert shown(here)["online"] > 40, "a difference may be that of an index that lags"
    clock.now += timedelta(minutes=1)
    wiring.fleet().recount()
    assert shown(here) == {"online": 2, "late": 0, "offline": 0, "attention": 0}


def test_a_heartbeat_without_news_leaves_the_row_of_the_list_as_it_is(clock: Any, here: ControlPlane) -> None:
    """Otherwise each would cost a write to the index."""
    join(clock, here, "server-b")
    before = adapters.agent_store().get("server-b")
    clock.now += timedelta(seconds=30)
    root = ROOM.model_copy(update={"free": 50 * GIB + 4096})
    wiring.agent_service().heartbeat("server-b", Heartbeat(at=clock.now, roots=(root,), load=0.5), clock.now)
    after = adapters.agent_store().get("server-b")
    assert (after.roots, after.load) == ((root,), 0.5)
    assert (summary_of(after), group_of(after)) == (summary_of(before), group_of(before))


def test_an_update_reads_only_the_agents_that_it_is_for(clock: Any, here: ControlPlane) -> None:
    """Whole agents are large: of the others, an update of 10,000 needs only the tags and the version."""
    publish("0.2.0")
    old = [a_server(number, tags={"site": "oslo"}) for number in range(3)]
    new = [a_server(number, tags={"site": "oslo"}, version="0.2.0") for number in range(3, 40)]
    write(*old, *new, *(a_server(number, tags={"site": "rome"}) for number in range(40, 90)))
    wanted = UpdateRequest(tags={"site": "oslo"})
    with reads_counted() as counted:
        update, agents = wiring.update_service().plan(wanted, "update-1", ADA)
    assert sorted(member.agent_id for member in update.members) == [agent.agent_id for agent in old]
    assert len(agents) == 3
    assert counted["BatchGetItem"] == 1
    assert counted["items"] == 90 + 2 * 3, "of each of the three, the agent and its heartbeat"
