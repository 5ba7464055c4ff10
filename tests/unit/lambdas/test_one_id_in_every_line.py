"""Who greps the logs for one transfer finds its whole way: request, command, hop, report, end."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from agent.logs import LogMemory
from events.commands import Move, ReadLog, Serve
from lambdas import adapters, on_change, on_report, telemetry
from tests.support.control_plane import Context, ControlPlane
from tests.unit.agent.test_service_flow import FlowHost
from tests.unit.infra.test_restore import inserts, moment_of
from tests.unit.lambdas.agents.test_drain import request, timeline

OF_NO_TRANSFER = {"connected", "policies read"}


@pytest.fixture
def written(here: ControlPlane) -> Iterator[io.StringIO]:
    """What the functions log from here on, as CloudWatch gets it."""
    for name in ("server-b", "server-c"):
        here.join(name)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(telemetry.logger.registered_formatter)
    telemetry.logger.addHandler(handler)
    yield stream
    telemetry.logger.removeHandler(handler)


@pytest.fixture
def host(tmp_path: Any) -> Iterator[FlowHost]:
    found, logger = FlowHost(tmp_path), logging.getLogger("agent")
    level = logger.level
    logger.setLevel("INFO")
    logger.addHandler(found.memory)
    yield found
    logger.removeHandler(found.memory)
    logger.setLevel(level)


def remembered(memory: LogMemory) -> list[str]:
    return list(memory.excerpt(ReadLog(request_id="r", lines=1000)).lines)


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def carried_out(host: FlowHost, commands: list[Move | Serve]) -> list[dict[str, Any]]:
    """Let an agent carry the commands out; return what it has reported."""
    async with host.running():
        for command in commands:
            host.send(command)
        host.mover.succeed(await host.mover.has_begun())
        await host.link.wait_for_reports("succeeded")
    return [
        report.model_dump(mode="json") for report in (*host.link.of("started"), *host.link.of("succeeded"))
    ]


async def test_each_line_about_a_transfer_has_its_id(
    here: ControlPlane, written: io.StringIO, host: FlowHost
) -> None:
    transfer_id = request(here)
    commands = [command for _, command in here.fleet.sent if isinstance(command, Move | Serve)]
    known = {row["part"]["S"] for row in timeline(boto3)}
    for report in await carried_out(host, commands):
        event = {"thing": adapters.topics().thing("server-c"), "report": report}
        on_report.handler(event, Context())  # type: ignore[arg-type]
    rows = [row for row in timeline(boto3) if row["part"]["S"] not in known]
    on_change.handler(inserts(rows, moment_of(rows)), Context())  # type: ignore[arg-type]
    here.post(f"/transfers/{transfer_id}/cancel", {})

    of_functions, of_agent = lines_of(written), remembered(host.memory)
    told = [line["message"] for line in of_functions]
    assert {"answered", "hop offered", "transfer finished"} <= set(told)
    about_it = [line for line in of_functions if line["message"] not in OF_NO_TRANSFER]
    assert [line["message"] for line in about_it if transfer_id not in json.dumps(line)] == []
    for fact in (
        "msg=command kind=serve",
        "msg=command kind=move",
        'msg="hop started"',
        'msg="hop succeeded"',
    ):
        assert any(fact in line for line in of_agent), fact
    without = [line for line in of_agent if transfer_id not in line]
    assert [line for line in without if not any(f"msg={word}" in line for word in OF_NO_TRANSFER)] == []
