"""What a heartbeat of an idle agent writes: one small row, however much the agent has told of itself."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest

from events.progress import PeerReachability
from events.reports import Heartbeat, Hello, RootState
from events.states import AgentStatus
from infra import monthly_estimate
from lambdas import adapters, on_report, wiring
from lambdas.domain.agent import Agent
from lambdas.store.agent_rows import BEAT_FIELDS, beat_key
from tests.scale.metering import metered, size_of
from tests.support.control_plane import REGION, Context, ControlPlane, hello

TERABYTE = 10**12
MAX_ROW_BYTES = 200


def roots(number: int, free: int) -> tuple[RootState, ...]:
    return tuple(
        RootState(path=f"/srv/projects/{one:02}", access="rw", free=free, size=10 * TERABYTE)
        for one in range(number)
    )


def peers(number: int) -> tuple[PeerReachability, ...]:
    return tuple(
        PeerReachability(agent_id=f"render-{one:04}", dialed=True, address="10.0.0.2:4460")
        for one in range(number)
    )


def described(here: ControlPlane, clock: Any, name: str, root_count: int, peer_count: int) -> None:
    """Let an agent join that has so many roots, and has reached so many peers."""
    here.join(name)
    clock.now += timedelta(seconds=1)
    report = hello(at=clock.now, roots=roots(root_count, 5 * TERABYTE), reached=peers(peer_count))
    reported(clock, name, report)
    beat(clock, name, root_count)


def reported(clock: Any, name: str, report: Hello | Heartbeat) -> None:
    event = {
        "wire": 1,
        "report": report.model_dump(mode="json"),
        "thing": adapters.topics().thing(name),
        "received": round(1000 * clock.now.timestamp()),
    }
    on_report.handler(event, Context())  # type: ignore[arg-type]


def beat(clock: Any, name: str, root_count: int, free: int = 5 * TERABYTE) -> None:
    clock.now += timedelta(minutes=5)
    report = Heartbeat(at=clock.now, roots=roots(root_count, free), load=0.53, next_within_s=300)
    reported(clock, name, report)


@pytest.mark.parametrize(("root_count", "peer_count"), [(1, 0), (2, 50), (20, 50)])
def test_a_heartbeat_writes_one_unit_whatever_the_agent_has_and_has_reached(
    here: ControlPlane, clock: Any, root_count: int, peer_count: int
) -> None:
    """A disk's free room changes all the time; it is no news until it is another share in percent."""
    described(here, clock, "render-0001", root_count, peer_count)
    written, moved = [], 0
    for number in range(1, 7):
        with metered(REGION) as meter:
            beat(clock, "render-0001", root_count, 5 * TERABYTE + number * 4096)
        uses = [use for call in meter.take() for use in call.uses if use.writes]
        written.append([(use.place, use.units) for use in uses if "/" not in use.place])
        moved += any(use.place.endswith("/silent") for use in uses)
        assert {use.place for use in uses} <= {"agents-table", "agents-table/silent"}
    assert written == [[("agents-table", 1)]] * 6
    assert moved == 2, "every third one moves the time at which the agent is looked at"
    shown = here.get("/agents/render-0001").body
    assert {root["free"] for root in shown["roots"]} == {5 * TERABYTE + 6 * 4096}
    assert len(adapters.agent_store().get("render-0001").reached) == peer_count


def test_the_estimate_before_a_deployment_counts_what_heartbeats_read_and_write(
    here: ControlPlane, clock: Any
) -> None:
    described(here, clock, "render-0001", root_count=1, peer_count=0)
    units: Counter[bool] = Counter()
    for _ in range(6):
        with metered(REGION) as meter:
            beat(clock, "render-0001", root_count=1)
        for call in meter.take():
            for use in call.uses:
                units[use.writes] += use.units
    assert units[True] / 6 == pytest.approx(monthly_estimate.WRITES_A_HEARTBEAT)
    assert units[False] / 6 == pytest.approx(monthly_estimate.READS_A_HEARTBEAT)


def test_a_hello_that_is_repeated_costs_no_more(here: ControlPlane, clock: Any) -> None:
    """Every half hour an agent says again what it is."""
    described(here, clock, "render-0001", 20, 50)
    report = hello(roots=roots(20, 5 * TERABYTE), reached=peers(50))
    for _ in range(2):
        clock.now += timedelta(minutes=30)
        with metered(REGION) as meter:
            reported(clock, "render-0001", report.model_copy(update={"at": clock.now}))
        writes = [use for call in meter.take() for use in call.uses if use.writes and "/" not in use.place]
        beat(clock, "render-0001", 20)
    assert [(use.key, use.units) for use in writes] == [(beat_key("render-0001"), 1)]


def test_the_row_of_a_heartbeat_has_at_most_200_bytes(here: ControlPlane, clock: Any) -> None:
    described(here, clock, "render-0001", root_count=2, peer_count=50)
    key = {"agent_id": {"S": beat_key("render-0001")}}
    row = boto3.client("dynamodb", REGION).get_item(TableName="agents-table", Key=key)["Item"]
    assert size_of(row) <= MAX_ROW_BYTES


def test_who_is_found_gone_at_the_moment_of_a_heartbeat_is_online_by_it(
    here: ControlPlane, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep marks the agent as silent between the heartbeat's read and its write of the small row."""
    described(here, clock, "render-0001", root_count=1, peer_count=0)
    clock.now += timedelta(hours=1)
    service, store = wiring.agent_service(), adapters.agent_store()
    update, silenced = store.replace_agent, []

    def after_the_sweep(old: Any, new: Any, also: Any = None) -> None:
        monkeypatch.setattr(store, "replace_agent", update)
        service.mark_silent_agents(silenced.append)
        update(old, new, also)

    monkeypatch.setattr(store, "replace_agent", after_the_sweep)
    reported(clock, "render-0001", Heartbeat(at=clock.now, roots=roots(1, 5 * TERABYTE), next_within_s=300))
    assert [fact.agent_id for fact in silenced] == ["render-0001"]
    assert service.view("render-0001").status == AgentStatus.ONLINE
    assert adapters.agent_store().silent(clock.now + timedelta(hours=1), 10) == ["render-0001"]


def test_tags_that_are_set_at_the_moment_of_a_warning_leave_it_in_the_list(
    here: ControlPlane, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two rows are not read at one moment: here the small one before the heartbeat, the other after it.

    The list has the warning in the large row, and the clock that it warns of is in the small one.
    """
    described(here, clock, "render-0001", root_count=1, peer_count=0)
    store = adapters.agent_store()
    read, before = store.get, store.get("render-0001")

    def torn(name: str) -> Agent:
        monkeypatch.setattr(store, "get", read)
        clock.now += timedelta(minutes=5)
        fast = clock.now + timedelta(hours=1)
        reported(clock, name, Heartbeat(at=fast, roots=roots(1, 5 * TERABYTE), next_within_s=300))
        return replace(read(name), **{field: getattr(before, field) for field in BEAT_FIELDS})

    monkeypatch.setattr(store, "get", torn)
    assert here.call("PATCH", "/agents/render-0001", {"tags": {"site": "north"}}).status == 200
    [shown] = here.get("/fleet").body["agents"]
    assert (shown["tags"], len(shown["warnings"])) == ({"site": "north"}, 1)


def test_an_agent_that_was_removed_leaves_no_heartbeat_behind(here: ControlPlane, clock: Any) -> None:
    described(here, clock, "render-0001", root_count=1, peer_count=0)
    assert here.call("DELETE", "/agents/render-0001").status in {200, 202, 204}
    beat(clock, "render-0001", 1)
    items = boto3.client("dynamodb", REGION).scan(TableName="agents-table")["Items"]
    assert not [one for one in items if "render-0001" in one["agent_id"]["S"]]
