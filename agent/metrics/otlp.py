"""Push metrics to an OpenTelemetry collector: OTLP 1.x over HTTP, as JSON."""

import asyncio
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import HostError
from agent.metrics.families import Distribution, Family, Labels, Point

log = logging.getLogger(__name__)

POST_TIMEOUT_S = 10.0
"""Seconds to connect, and for each further step of a request."""
MAX_HEADERS_BYTES = 16384
_ADVICE = "write one header a line, NAME: VALUE, into a file of mode 600 that belongs to the agent's user"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110). The HTTP client would quote any other one in its error, which is logged."""
_CUMULATIVE = 2
"""AGGREGATION_TEMPORALITY_CUMULATIVE of opentelemetry/proto/metrics/v1/metrics.proto."""
_UNITS = {"bytes": "By", "seconds": "s"}
"""OpenTelemetry writes units as UCUM does."""


@dataclass(frozen=True)
class Collector:
    """Where metrics are pushed, and how often."""

    url: str
    headers: Path | None
    """A file with a header a line, such as one that authenticates. It is read for each push."""
    interval_s: float


class MetricsPush:
    """Pushes the metrics of one agent."""

    def __init__(
        self, collector: Collector, collect: Callable[[], Iterable[Family]], resource: Mapping[str, str]
    ) -> None:
        """Create a push of what `collect` returns, on the event loop; `resource` names the agent."""
        self._collector = collector
        self._collect = collect
        self._resource = resource
        self._started_ns = time.time_ns()
        self._failing = ""

    async def push_forever(self) -> None:
        """Push at each interval.

        A push that fails is logged once for each reason, and not repeated: the next one has the sums of both.
        """
        while True:
            body = request(self._collect(), self._resource, self._started_ns)
            reason = await asyncio.to_thread(_post, self._collector, body)
            if reason and reason != self._failing:
                log.warning("metrics not pushed", extra={"url": self._collector.url, "reason": reason})
            self._failing = reason
            await asyncio.sleep(self._collector.interval_s)


def read_headers(path: Path) -> dict[str, str]:
    """Return the headers in a file.

    Raises HostError, which never quotes the file, if it is missing, may be read by other users, or has
    something else.
    """
    try:
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read(MAX_HEADERS_BYTES + 1)
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}", _ADVICE) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        raise HostError(f"other users may read or change {path}, which has secrets", f"chmod 600 {path}")
    headers = {}
    for line in content.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        is_whole = colon and value.strip() and line.isascii() and line.isprintable()
        if not (is_whole and _NAME.fullmatch(name)):
            raise HostError(f"{path} has a line that is not a header", _ADVICE)
        headers[name] = value.strip()
    if len(content) > MAX_HEADERS_BYTES:
        raise HostError(f"{path} has more than {MAX_HEADERS_BYTES} bytes", _ADVICE)
    return headers


def _post(collector: Collector, body: dict[str, Any]) -> str:
    """Send a request and return why the collector did not take it; empty if it did.

    Only the status of the answer is read. The environment's proxies are for AWS and are not used.
    """
    import httpx  # an agent that pushes nothing does not load it

    try:
        headers = read_headers(collector.headers) if collector.headers else {}
        with (
            httpx.Client(timeout=POST_TIMEOUT_S, trust_env=False) as client,
            client.stream("POST", collector.url, json=body, headers=headers) as answer,
        ):
            return "" if answer.is_success else f"HTTP status {answer.status_code}"
    except HostError as error:
        return error.message
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{type(error).__name__}: {error}"


def request(families: Iterable[Family], resource: Mapping[str, str], started_ns: int) -> dict[str, Any]:
    """Return an ExportMetricsServiceRequest in OTLP's JSON."""
    now_ns = time.time_ns()
    metrics = [_metric(family, started_ns, now_ns) for family in families if family.points]
    return {
        "resourceMetrics": [
            {
                "resource": {"attributes": _attributes(tuple(resource.items()))},
                "scopeMetrics": [{"scope": {"name": "crosshaul.agent"}, "metrics": metrics}],
            }
        ]
    }


def _metric(family: Family, started_ns: int, now_ns: int) -> dict[str, Any]:
    points = [_point(point, started_ns, now_ns) for point in family.points]
    described = {"name": family.name, "description": family.help, "unit": _UNITS.get(family.unit, "1")}
    match family.kind:
        case "counter":
            total = {"dataPoints": points, "aggregationTemporality": _CUMULATIVE, "isMonotonic": True}
            return {**described, "sum": total}
        case "histogram":
            return {**described, "histogram": {"dataPoints": points, "aggregationTemporality": _CUMULATIVE}}
        case _:
            return {**described, "gauge": {"dataPoints": points}}


def _point(point: Point, started_ns: int, now_ns: int) -> dict[str, Any]:
    """Return a data point; 64-bit integers are strings in Protobuf's JSON."""
    about = {
        "attributes": _attributes(point.labels),
        "startTimeUnixNano": str(started_ns),
        "timeUnixNano": str(now_ns),
    }
    if not isinstance(point.value, Distribution):
        return {**about, "asDouble": float(point.value)}
    return {
        **about,
        "count": str(sum(point.value.counts)),
        "sum": point.value.sum,
        "bucketCounts": [str(count) for count in point.value.counts],
        "explicitBounds": list(point.value.bounds),
    }


def _attributes(labels: Labels) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in labels]
