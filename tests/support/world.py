"""The control plane's use cases on tables in moto, with fakes around them and a stream driven by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from boto3.dynamodb.types import TypeDeserializer
from botocore.client import BaseClient
from moto import mock_aws

from events.base import Problem
from events.locations import AgentLocation
from events.options import Options
from events.progress import Connection, Progress
from events.reports import Checkpoint, Failed, Started, Succeeded
from events.requests import TransferRequest
from lambdas.domain.hop import Hop
from lambdas.domain.plan import TransferSpec, new_transfer_id, plan
from lambdas.domain.timeline import asked
from lambdas.domain.transfer import Transfer
from lambdas.ports import allow_all
from lambdas.store.transfer_rows import TransferRow
from lambdas.store.transfers import TransferStore
from lambdas.transfers.dispatcher import Dispatcher, DispatchSettings
from lambdas.transfers.lease_sweeper import LeaseSweeper
from lambdas.transfers.report_handler import ReportHandler
from lambdas.transfers.service import TransferService
from lambdas.transfers.stream_handler import StreamHandler, StreamOutputs
from lambdas.transfers.writer import TransferWriter
from tests.support.fakes import (
    ADA,
    FakeAgents,
    FakeChangeNotifier,
    FakeClock,
    FakeCommandSender,
    FakeEventPublisher,
    FakeRetryTimer,
    an_agent,
)
from tests.support.moto_shortcuts import create_table, kept_client, one_call_at_a_time

REGION = "eu-central-1"
TABLE = "transfers"
A_CONNECTION = Connection(kind="direct", dialed_by="server-c", address="10.0.0.2:4460")


class ControlPlaneFixture:
    """Agents a, b, c and d, online. `stream()` processes the table's stream until it is empty."""

    def __init__(self, fleet: Any = None) -> None:
        self.clock = FakeClock()
        self.fleet = fleet or FakeCommandSender()
        self.facts = FakeEventPublisher()
        self.notifier = FakeChangeNotifier()
        self.retries = FakeRetryTimer(self.clock)
        self.agents = FakeAgents(*(an_agent(name) for name in "abcd"))
        self.store = TransferStore(TABLE, REGION)
        create_table(TransferRow)
        self.writer = TransferWriter(self.store, self.clock, wait=lambda _: None)
        self.dispatcher = Dispatcher(
            self.writer,
            self.agents,
            self.fleet,
            DispatchSettings(lambda _: REGION, None, "relay", threads=1),  # commands in a known order
            allow_all,
            self.clock,
        )
        outputs = StreamOutputs(self.facts, self.notifier, self.retries)
        self.stream_handler = StreamHandler(self.store, self.writer, self.dispatcher, self.fleet, outputs)
        self.transfer_service = TransferService(self.store, self.writer, self.agents, self.clock)
        self.report_handler = ReportHandler(
            self.store, self.writer, self.stream_handler, self.fleet, self.clock
        )
        self.lease_sweeper = LeaseSweeper(
            self.store, self.writer, self.stream_handler, self.clock, self.fleet.cut
        )
        self._dynamodb = kept_client("dynamodb", REGION)
        self._seen: set[tuple[str, str]] = set()

    def request(self, source: str, *destinations: str, **more: Any) -> str:
        """Request a transfer and return its id."""
        body = {"source": source, "destinations": destinations, **more}
        return self.transfer_service.request_transfer(ADA, TransferRequest.model_validate(body)).transfer_id

    def stream(self) -> None:
        while rows := self.new_rows():
            for image in rows:
                self.clock.forward(milliseconds=1)
                self.stream_handler.handle(image)

    def new_rows(self) -> list[dict[str, Any]]:
        """Return new rows as the stream delivers them, deserialized, in the order of the timeline."""
        items = self._dynamodb.scan(TableName=TABLE)["Items"]
        rows = [
            {name: TypeDeserializer().deserialize(value) for name, value in item.items()} for item in items
        ]
        fresh = [row for row in rows if (row["transfer_id"], row["part"]) not in self._seen]
        self._seen |= {(row["transfer_id"], row["part"]) for row in fresh}
        return sorted(fresh, key=lambda row: row["part"])

    def hop(self, transfer_id: str, number: int = 0) -> Hop:
        return self.store.get(transfer_id).hops[number]

    def report(self, kind: type, hop: Hop, seq: int = 1, **more: Any) -> None:
        """Let the hop's agent report."""
        self.clock.forward(milliseconds=1)
        given = {"transfer_id": hop.transfer_id, "hop_id": hop.hop_id, "attempt": hop.attempt, "seq": seq}
        own: dict[str, Any] = {
            Started: {"via": "direct, server-c dialed 10.0.0.2:4460", "connection": A_CONNECTION},
            Checkpoint: {"progress": Progress(bytes_done=5)},
            Succeeded: {"progress": Progress(bytes_done=9, files_done=1), "digest": "d", "seconds": 1.5},
            Failed: {"progress": Progress(), "problem": Problem(code="source-missing", message="gone")},
        }.get(kind, {"progress": Progress()})
        report = kind(**{**given, "at": self.clock(), **own, **more})
        self.report_handler.apply(hop.carrier, report)


@contextmanager
def a_world() -> Iterator[ControlPlaneFixture]:
    with mock_aws(), one_call_at_a_time():  # the sweeper has threads
        yield ControlPlaneFixture()


@contextmanager
def items_written() -> Iterator[list[int]]:
    """Record how many items each write to DynamoDB has; a scan is an error."""
    written: list[int] = []
    really = BaseClient._make_api_call

    def counting(self: Any, operation: str, arguments: dict[str, Any]) -> Any:
        assert operation != "Scan"
        if operation in {"TransactWriteItems", "UpdateItem", "PutItem", "DeleteItem"}:
            written.append(len(arguments.get("TransactItems", "1")))
        return really(self, operation, arguments)

    with patch.object(BaseClient, "_make_api_call", counting):
        yield written


def a_transfer(
    *destinations: str,
    shape: str = "fan_out",
    at: Any = None,
    dry_run: bool = False,
    template_id: str | None = None,
) -> Transfer:
    """Return a transfer from a:/data/ to /archive/ of each of these agents."""
    ends = tuple(AgentLocation(agent_id=name, path="/archive/") for name in destinations)
    source = AgentLocation(agent_id="a", path="/data/")
    options = Options(dry_run=dry_run)
    spec = TransferSpec(source=source, destinations=ends, shape=shape, options=options)  # type: ignore[arg-type]
    return plan(new_transfer_id(), replace(spec, template_id=template_id), ADA, at or FakeClock().now)


def requested(transfer: Transfer) -> Any:
    return asked("requested", ADA, transfer.created_at)
