"""A collector gets the metrics by OTLP; one that is away, or a file of headers that is open, is told once."""

import asyncio
import json
import logging
import threading
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agent.errors import HostError
from agent.metrics.families import Counter, Family, Histogram, gauge
from agent.metrics.otlp import Collector, MetricsPush, read_headers
from tests.support.waiting import until


class FakeCollector:
    """An HTTP server that keeps what is pushed to it."""

    def __init__(self) -> None:
        self.received = []
        self.status = 200
        collector = self

        class CollectorHandler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                collector.received.append((self.path, dict(self.headers), body))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), CollectorHandler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/metrics"
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()


@pytest.fixture
def collector():
    found = FakeCollector()
    yield found
    found.server.shutdown()
    found.server.server_close()


def families():
    moved = Counter("route")
    moved.add(7, "s3")
    took = Histogram(1, 60)
    took.observe(30)
    yield Family("crosshaul_moved_bytes", "counter", "Bytes.", moved.points(), "bytes")
    yield Family("crosshaul_hop_moving_seconds", "histogram", "Time.", took.points(), "seconds")
    yield gauge("crosshaul_connected", "Whether.", 1)


@asynccontextmanager
async def pushing(url, headers=None):
    push = MetricsPush(Collector(url, headers, 0.01), families, {"service.name": "crosshaul-agent"})
    task = asyncio.create_task(push.push_forever())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_collector_receives_sums_gauges_and_durations(collector, tmp_path):
    headers = tmp_path / "headers"
    headers.touch(mode=0o600)
    headers.write_text("Authorization: Bearer s3cret\nX-Scope: ops\n")
    async with pushing(collector.url, headers):
        await until(lambda: collector.received)
    path, sent_headers, body = collector.received[0]
    assert path == "/v1/metrics"
    assert sent_headers["Authorization"] == "Bearer s3cret"
    assert sent_headers["Content-Type"] == "application/json"
    [of_agent] = body["resourceMetrics"]
    assert of_agent["resource"]["attributes"] == [
        {"key": "service.name", "value": {"stringValue": "crosshaul-agent"}}
    ]
    moved, took, connected = of_agent["scopeMetrics"][0]["metrics"]
    [point] = moved["sum"]["dataPoints"]
    assert (moved["unit"], moved["sum"]["isMonotonic"], point["asDouble"]) == ("By", True, 7.0)
    assert point["attributes"] == [{"key": "route", "value": {"stringValue": "s3"}}]
    assert int(point["startTimeUnixNano"]) <= int(point["timeUnixNano"])
    [point] = took["histogram"]["dataPoints"]
    assert (point["count"], point["bucketCounts"], point["explicitBounds"]) == ("1", ["0", "1", "0"], [1, 60])
    assert connected["gauge"]["dataPoints"][0]["asDouble"] == 1.0


async def test_a_collector_that_refuses_is_told_once_and_gets_the_next_push(collector, caplog):
    collector.status = 503
    with caplog.at_level(logging.WARNING, "agent"):
        async with pushing(collector.url):
            await until(lambda: len(collector.received) >= 3)
    assert [record.reason for record in caplog.records] == ["HTTP status 503"]


async def test_a_collector_that_is_away_does_not_end_the_push(collector, caplog):
    with caplog.at_level(logging.WARNING, "agent"):
        async with pushing("http://127.0.0.1:1/v1/metrics"):
            await until(lambda: caplog.records)
    assert caplog.records[0].msg == "metrics not pushed"
    assert "ConnectError" in caplog.records[0].reason


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        ("Authorization: Bearer s3cret\n", 0o644, "other users may read or change"),
        ("Bearer s3cret\n", 0o600, "a line that is not a header"),
        ("A: s3cret\x00\n", 0o600, "a line that is not a header"),
        ("key=s3cret/: A\n", 0o600, "a line that is not a header"),
        (f"A: s3cret{'x' * 20000}\n", 0o600, "more than 16384 bytes"),
    ],
)
async def test_a_file_of_headers_that_cannot_be_used_is_named_and_not_quoted(
    content, mode, message, tmp_path, collector, caplog
):
    headers = tmp_path / "headers"
    headers.write_text(content)
    headers.chmod(mode)
    with pytest.raises(HostError, match=message) as refused:
        read_headers(headers)
    assert "s3cret" not in f"{refused.value.message} {refused.value.advice}"
    with caplog.at_level(logging.WARNING, "agent"):
        async with pushing(collector.url, headers):
            await until(lambda: caplog.records)
    assert "s3cret" not in str(vars(caplog.records[0]))
    assert not collector.received, "nothing is pushed without what authenticates it"


def test_a_file_of_headers_that_is_missing_is_named(tmp_path):
    with pytest.raises(HostError, match="cannot be read: No such file"):
        read_headers(tmp_path / "headers")
