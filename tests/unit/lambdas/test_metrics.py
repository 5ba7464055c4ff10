"""Metrics tell an operator what matters, as CloudWatch reads them from the log, at a constant cost."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from events.base import Problem
from events.progress import Progress
from events.reports import Failed, Heartbeat, RootState, Started, Succeeded
from lambdas import adapters, on_report, on_schedule, telemetry, wiring
from lambdas.agents.key_rotation import OVERDUE_AFTER
from lambdas.audit.lag import GRACE
from lambdas.store.agent_counts import counts, recount
from tests.support.agent_table import write_agents
from tests.support.control_plane import Context, ControlPlane
from tests.support.fakes import ADA, an_agent
from tests.support.metrics import data_in, values_in
from tests.support.world import ControlPlaneFixture
from tests.unit.lambdas.audit.test_audit import stream as chain_all

TRANSFER = {"source": "server-b:/data/raw/", "destinations": ["server-c:/primary/"]}


def a_minute(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    """Run the tasks of a minute and return the metrics that the log has of it."""
    capsys.readouterr()
    on_schedule.handler({}, Context())  # type: ignore[arg-type]
    return values_in(capsys.readouterr().out)


def test_each_minute_tells_how_many_agents_are_away_and_what_waits(
    clock: Any, here: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    here.join("server-b")
    here.join("server-c")
    here.join("server-d", online=False)
    here.post("/transfers", TRANSFER)
    found = a_minute(capsys)
    assert found["Agents"] == [3]
    assert (found["AgentsOffline"], found["AgentsLate"]) == ([1], [0])
    assert found["AgentsWarned"] == [2], "their directories are missing"
    assert found["AgentsAbsent"] == [pytest.approx(33.3, abs=0.1)]
    assert (found["ApprovalsWaiting"], found["AuditLag"], found["MinutesRun"]) == ([0], [0], [1])
    clock.now += timedelta(hours=2)
    found = a_minute(capsys)
    assert found["AgentsAbsent"] == [100], "none has been heard of for two hours"
    assert found["OldestQueued"] == [pytest.approx(7200, abs=60)], "its agents are away"


def test_an_empty_stage_has_no_agents_away_and_nothing_waits(
    here: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    found = a_minute(capsys)
    assert (found["Agents"], found["AgentsAbsent"], found["OldestQueued"]) == ([0], [0], [0])


def test_a_minute_counts_though_a_task_of_it_fails(
    here: ControlPlane, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise OSError("the index is throttled")

    monkeypatch.setitem(on_schedule.TASKS, "updates", broken)
    with pytest.raises(ExceptionGroup):
        on_schedule.handler({}, Context())  # type: ignore[arg-type]
    found = values_in(capsys.readouterr().out)
    assert (found["MinutesRun"], found["TasksFailed"]) == ([1], [1])


def test_a_transfer_that_is_retried_after_a_month_has_not_waited_for_a_month(
    clock: Any, here: ControlPlane
) -> None:
    here.join("server-b", online=False)
    here.join("server-c", online=False)
    old = here.post("/transfers", TRANSFER).body["transfer_id"]
    here.post(f"/transfers/{old}/cancel")
    clock.now += timedelta(days=30)
    here.post(f"/transfers/{old}/retry")
    clock.now += timedelta(minutes=3)
    assert wiring.fleet_metrics().seconds_queued(clock.now) == pytest.approx(180, abs=1)


def test_a_hop_that_waits_for_an_agent_in_maintenance_waits_for_a_reason(
    clock: Any, here: ControlPlane
) -> None:
    here.join("server-b")
    here.join("server-c", online=False)
    here.post("/transfers", TRANSFER)
    until = clock.now + timedelta(hours=3)
    here.call("PUT", "/agents/server-c/drain", {"maintenance": True, "until": until.isoformat()})
    clock.now += timedelta(hours=2)
    assert wiring.fleet_metrics().seconds_queued(clock.now) == 0
    clock.now += timedelta(hours=2)
    assert wiring.fleet_metrics().seconds_queued(clock.now) > 3600, "the maintenance is over"


def test_agents_in_maintenance_are_not_absent_until_it_is_over(
    clock: Any, here: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator who has switched off a rack must not be woken by it, and is when it stays off."""
    for name in ("server-b", "server-c", "server-d", "server-e"):
        here.join(name, online=False)
    until = clock.now + timedelta(hours=3)
    for name in ("server-c", "server-d"):
        here.call("PUT", f"/agents/{name}/drain", {"maintenance": True, "until": until.isoformat()})
    here.call("PUT", "/agents/server-e/drain", {"maintenance": False})
    found = a_minute(capsys)
    assert found["AgentsAbsent"] == [50], "server-e is drained, and should be there"
    assert found["AgentsOffline"] == [4], "those in maintenance are away, too"
    here.call("DELETE", "/agents/server-d/drain")
    assert a_minute(capsys)["AgentsAbsent"] == [75]
    clock.now += timedelta(hours=4)
    assert a_minute(capsys)["AgentsAbsent"] == [100], "the maintenance is over"


def test_offers_that_an_agent_leaves_unanswered_count_as_waiting(world: ControlPlaneFixture) -> None:
    from lambdas.transfers.fleet_metrics import FleetMetrics

    world.request("a:/data/", "b:/archive/")
    world.stream()
    metrics = FleetMetrics(world.store, world.agents, world.clock)  # type: ignore[arg-type]
    waits = []
    for _ in range(6):
        world.clock.forward(seconds=31)
        world.lease_sweeper.sweep()
        waits.append(metrics.seconds_queued(world.clock()))
        world.stream()
    assert max(waits) >= 90, "each offer begins a new wait of the hop, and not of the transfer"


def test_measuring_costs_the_same_calls_however_many_agents_there_are(
    clock: Any, here: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    really = BaseClient._make_api_call

    def counting(self: Any, operation: str, arguments: dict[str, Any]) -> Any:
        calls[operation] += 1
        return really(self, operation, arguments)

    costs = []
    monkeypatch.setattr(BaseClient, "_make_api_call", counting)
    for number in (10, 300):
        write_agents(an_agent(f"server-{one}", heard_at=clock.now) for one in range(number))
        for _ in range(2):  # a difference is suspected at first
            recount()
        calls.clear()
        wiring.fleet_metrics().measure()
        wiring.audit_lag().measure()
        costs.append(dict(calls))
    assert costs[0] == costs[1]
    assert costs[0] == {"BatchGetItem": 1, "Query": 8}, "two of agents, two of transfers, four of the audit"
    assert counts().total() == 300


class TestAuditLag:
    def lag(self) -> float:
        return wiring.audit_lag().seconds()

    def test_a_record_that_nobody_chains_is_told_by_its_age(self, clock: Any, here: ControlPlane) -> None:
        noon = datetime.now(UTC).replace(hour=12)
        clock.now = noon
        here.join("server-b", online=False)
        chain_all()
        assert self.lag() == 0
        clock.now = noon + timedelta(seconds=1)
        here.join("server-c", online=False)
        clock.now = noon + GRACE / 2
        assert self.lag() == 0, "it is on its way"
        clock.now = noon + timedelta(minutes=10)
        here.join("server-d", online=False)
        assert self.lag() == pytest.approx(600, abs=2), "the newest is not the oldest"
        chain_all()
        assert self.lag() == 0

    def test_what_was_left_over_before_midnight_is_still_behind_after_it(
        self, clock: Any, here: ControlPlane
    ) -> None:
        clock.now = datetime.now(UTC).replace(hour=23, minute=55)
        here.join("server-b", online=False)
        clock.now += timedelta(minutes=20)
        assert self.lag() == pytest.approx(1200, abs=1)
        chain_all()
        assert self.lag() == 0


@pytest.mark.parametrize(
    ("root", "counted"),
    [
        (RootState(path="/data", access="rw", free=4, size=100), [1]),
        (RootState(path="/data", access="rw", free=5, size=100), None),
        (RootState(path="/data", access="ro", free=0, size=100), None),
        (RootState(path="/data", access="rw"), None),
        (RootState(path="/data", access="rw", free=0, size=0), None),
    ],
)
def test_a_heartbeat_that_reports_a_full_disk_is_counted_and_says_where(
    here: ControlPlane,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    root: RootState,
    counted: list[float] | None,
) -> None:
    here.join("server-b")
    beat = Heartbeat(at=datetime.now(UTC), roots=(root,)).model_dump(mode="json")
    capsys.readouterr()
    on_report.handler({"thing": adapters.topics().thing("server-b"), "report": beat}, Context())  # type: ignore[arg-type]
    found = values_in(capsys.readouterr().out)
    assert found.get("RootsNearlyFull") == counted
    assert found.get("RootFree") == ([4] if counted else None), "in percent"
    lines = [vars(one)["root"] for one in caplog.records if one.message == "root is nearly full"]
    assert lines == (["/data"] if counted else [])


def test_an_agent_that_is_there_and_does_not_renew_its_keys_is_told_of(
    clock: Any, here: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    here.join("server-b")
    here.join("server-c", online=False)
    for name in ("server-b", "server-c"):
        here.post(f"/agents/{name}/rotate")
    clock.now += OVERDUE_AFTER - timedelta(hours=1)
    wiring.agent_service().connected("server-b", clock.now, 9)
    assert "KeysOverdue" not in a_minute(capsys)
    clock.now += timedelta(hours=2)
    wiring.agent_service().connected("server-b", clock.now, 10)
    assert a_minute(capsys)["KeysOverdue"] == [1], "server-c cannot: it is away"


class TestEndedHops:
    def test_route_outcome_and_times_of_a_hop_are_told(
        self, world: ControlPlaneFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CROSSHAUL_STAGE", "prod")
        transfer_id = world.request("a:/data/", "b:/archive/")
        world.clock.forward(seconds=5)
        world.stream()
        world.clock.forward(seconds=2)
        world.report(Started, world.hop(transfer_id))
        world.clock.forward(seconds=60)
        world.report(Succeeded, world.hop(transfer_id), seq=2)
        found = self.log_of(world, capsys)
        [ended] = [one for one in data_in(found) if one.name == "HopsEnded"]
        kinds = {"route": "direct", "outcome": "succeeded"}
        assert ended.dimensions == frozenset((telemetry.dimensions("prod") | kinds).items())
        values = values_in(found)
        assert values["SecondsQueued"] == [pytest.approx(7, abs=0.1)]
        assert values["SecondsOffered"] == [pytest.approx(2, abs=0.1)]
        assert values["SecondsMoving"] == [pytest.approx(60, abs=0.1)]
        assert (values["BytesArrived"], values["FilesArrived"]) == ([9], [1])

    def test_each_hop_of_a_fan_out_counts_once_though_others_still_run(
        self, world: ControlPlaneFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        transfer_id = world.request("a:/data/", "b:/archive/", "c:/archive/", "d:/archive/")
        world.stream()
        for number, kind in enumerate((Succeeded, Failed, Succeeded)):
            world.report(Started, world.hop(transfer_id, number))
            world.report(kind, world.hop(transfer_id, number), seq=2)
            log = self.log_of(world, capsys)
            ends = [dict(one.dimensions)["outcome"] for one in data_in(log) if one.name == "HopsEnded"]
            assert ends == ["failed" if kind is Failed else "succeeded"]
            assert len(values_in(log)["SecondsMoving"]) == 1

    def test_a_cancellation_ends_all_hops_and_counts_each_once(
        self, world: ControlPlaneFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        transfer_id = world.request("a:/data/", "b:/archive/", "c:/archive/")
        world.stream()
        world.report(Succeeded, world.hop(transfer_id))
        world.stream()
        capsys.readouterr()
        world.transfer_service.cancel(transfer_id, ADA)
        log = self.log_of(world, capsys)
        outcomes = [dict(one.dimensions)["outcome"] for one in data_in(log) if one.name == "HopsEnded"]
        assert outcomes == ["cancelled"], "the other had succeeded before"

    def test_a_retry_is_counted_and_its_reason_is_in_the_log(
        self,
        world: ControlPlaneFixture,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        transfer_id = world.request("a:/data/", "b:/archive/")
        world.stream()
        world.report(Started, world.hop(transfer_id))
        cut = Problem(code="connection-lost", message="The line was cut.", retryable=True)
        world.report(Failed, world.hop(transfer_id), seq=2, problem=cut, progress=Progress())
        assert values_in(self.log_of(world, capsys)) == {"Retries": [1]}
        [line] = [one for one in caplog.records if one.message == "hop is retried"]
        assert vars(line)["code"] == "connection-lost"

    def test_a_dry_run_moves_nothing_and_is_not_counted(
        self, world: ControlPlaneFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        transfer_id = world.request("a:/data/", "b:/archive/", options={"dry_run": True})
        world.stream()
        world.report(Succeeded, world.hop(transfer_id))
        assert values_in(self.log_of(world, capsys)) == {}

    def log_of(self, world: ControlPlaneFixture, capsys: pytest.CaptureFixture[str]) -> str:
        """Return the log of the stream's function, which handles what is new."""

        @telemetry.entry
        def handler(_event: dict[str, Any], _context: Any) -> None:
            world.stream()

        handler({}, Context())  # type: ignore[arg-type]
        return capsys.readouterr().out
