"""An agent that moves, waits and fails, as a scraper sees it."""

import asyncio
import logging
import socket
from contextlib import suppress
from dataclasses import replace

import httpx
import pytest

from agent import VERSION
from agent.errors import HopError
from events.base import Problem
from events.commands import Pause
from tests.support.fakes_agent import TRANSFER, Signer, move
from tests.support.openmetrics import Parsed, parse, value
from tests.support.waiting import HANG_TIMEOUT_S, until
from tests.unit.agent.test_service_flow import BEATING, INTERVALS, FlowHost

LISTEN = {"listen": "127.0.0.1:0"}


@pytest.fixture
def host(tmp_path, caplog) -> FlowHost:
    caplog.set_level(logging.INFO, "agent")
    found = FlowHost(tmp_path)
    found.metrics = LISTEN
    return found


async def scrape(caplog) -> dict[str, Parsed]:
    """Scrape the agent that runs, where its log says that it offers metrics."""
    text = await exposition(caplog)
    return parse(text)


async def scrape_until(caplog, true) -> dict[str, Parsed]:
    """Scrape until it shows what was done a moment before."""
    async with asyncio.timeout(HANG_TIMEOUT_S):
        while not true(found := await scrape(caplog)):
            pass
    return found


async def exposition(caplog) -> str:
    def ports() -> list[int]:
        return [record.port for record in caplog.records if record.msg == "metrics are offered"]

    await until(ports)
    async with asyncio.timeout(HANG_TIMEOUT_S), httpx.AsyncClient(trust_env=False, timeout=None) as client:
        while True:
            with suppress(httpx.HTTPError):  # a busy machine may be slower than a scraper may be
                answer = await client.get(f"http://127.0.0.1:{ports()[-1]}/metrics")
                assert answer.status_code == 200
                return answer.text


async def test_a_hop_that_moves_one_that_waits_and_one_that_is_paused(host, caplog):
    async with host.running(limit=1):
        host.send(move(0))
        await host.mover.has_begun()
        host.mover.progress_counters[0].add_bytes(700)
        host.mover.progress_counters[0].finish_file("a")
        host.send(move(1))
        host.send(move(2))
        host.send(Pause(transfer_id=TRANSFER, hop_id=f"{TRANSFER}-2", attempt=1))
        await host.link.wait_for_reports("paused")
        host.lane.served = 3
        found = await scrape(caplog)
    states = [value(found, "crosshaul_hops", state=state) for state in ("moving", "waiting", "paused")]
    assert states == [1, 1, 1]
    assert value(found, "crosshaul_served_hops") == 3
    assert value(found, "crosshaul_oldest_waiting_hop_seconds") > 0
    assert value(found, "crosshaul_moved_bytes", "_total", route="local") == 700, "while it moves"
    assert value(found, "crosshaul_moved_files", "_total", route="local") == 1
    assert value(found, "crosshaul_connected") == 1
    assert value(found, "crosshaul_connects", "_total") == 1
    assert value(found, "crosshaul_agent", "_info", version=VERSION) == 1
    assert value(found, "process_resident_memory_bytes") > 1e6


async def test_hops_that_ended_are_counted_by_outcome_and_the_sums_only_grow(host, caplog):
    full = Problem(code="no-space", message="no room in /data/secret-project", retryable=True)
    async with host.running():
        host.send(move(0))
        first = await host.mover.has_begun()
        host.mover.progress_counters[0].add_file("a", 500)
        host.mover.fail(first, HopError(full))
        await host.link.wait_for_reports("failed")
        host.send(move(0, attempt=2))
        second = await host.mover.has_begun(2)
        host.mover.progress_counters[1].add_existing_file("a", 500)
        host.mover.progress_counters[1].add_file("b", 40)
        host.mover.succeed(second)
        await host.link.wait_for_reports("succeeded")
        found = await scrape_until(caplog, lambda seen: not value(seen, "crosshaul_hops", state="moving"))
    ended = {
        outcome: value(found, "crosshaul_hops_ended", "_total", route="local", outcome=outcome)
        for outcome in ("failed", "succeeded", "cancelled")
    }
    assert ended == {"failed": 1, "succeeded": 1, "cancelled": 0}
    assert value(found, "crosshaul_hop_failures", "_total", code="no-space") == 1
    assert value(found, "crosshaul_moved_bytes", "_total", route="local") == 540, "not those that were there"
    assert value(found, "crosshaul_moved_files", "_total", route="local") == 2
    assert value(found, "crosshaul_hop_moving_seconds", "_count") == 2


async def test_no_path_file_or_person_is_told(host, caplog):
    async with host.running(intervals=BEATING):
        host.send(move(0))
        begun = await host.mover.has_begun()
        host.mover.progress_counters[0].add_file("secret.mov", 5)
        host.mover.fail(begun, HopError(Problem(code="x", message="/data/secret.mov of ana@example.org")))
        await host.link.wait_for_reports("failed")
        await host.link.wait_for_reports("heartbeat")
        text = await exposition(caplog)
    found = parse(text)
    assert value(found, "crosshaul_root_size_bytes", root="1", access="rw") > 0
    for word in ("/data", "secret", "ana", TRANSFER, str(host.folder)):
        assert word not in text


async def test_refused_commands_are_counted_and_the_clock_shows(host, caplog):
    async with host.running():
        host.link.deliver(Signer("stranger").envelope(move()))
        host.send(move(), iat=1, exp=2)
        await host.link.wait_for_reports("refused", 2)
        found = await scrape(caplog)
    refused = found["crosshaul_commands_refused"].samples
    assert sorted(dict(labels)["code"] for _, labels in refused) == ["command-expired", "command-not-trusted"]
    assert "crosshaul_latest_command_age_seconds" not in found, "no command was accepted"


async def test_reports_that_wait_for_the_broker_are_counted(host, caplog):
    async with host.running(up=False):
        host.send(move())
        await host.mover.has_begun()
        await until(host.journal.unsent)
        found = await scrape(caplog)
    assert value(found, "crosshaul_connected") == 0
    assert value(found, "crosshaul_unsent_reports") >= 1
    assert value(found, "crosshaul_latest_command_age_seconds") < 600


async def test_a_port_that_another_program_has_is_told_and_hops_run(host, caplog):
    with socket.create_server(("127.0.0.1", 0)) as other:
        host.metrics = {"listen": f"127.0.0.1:{other.getsockname()[1]}"}
        async with host.running(intervals=replace(INTERVALS, heartbeat=0.02)):
            host.send(move())
            await host.mover.has_begun()
            await host.link.until(lambda: any(beat.problems for beat in host.link.of("heartbeat")))
            [problem] = host.link.of("heartbeat")[-1].problems
    assert problem.code == "helper-failing"
    assert "offer of metrics" in problem.message
    assert "cannot listen on 127.0.0.1" in problem.message
