"""What AWS allows, each with its source, and how long its answers take: the constants of the model.

Quotas are the defaults of an account; those of IoT Core are of its smaller regions, ten times lower than of
us-east-1. Times are assumptions, typical of calls within a region; `python -m tests.scale` prints none of
them as a measurement.
"""

from dataclasses import dataclass

_DOCS = "https://docs.aws.amazon.com"
_DYNAMODB = f"{_DOCS}/amazondynamodb/latest/developerguide"
_IOT = f"{_DOCS}/general/latest/gr/iot-core.html"
_LAMBDA = f"{_DOCS}/lambda/latest/dg"


@dataclass(frozen=True)
class Ceiling:
    """A limit a second, or of how many at once."""

    most: float
    source: str
    raised_by: str = ""
    """What raises it; '': nothing."""


PARTITION_WRITES = Ceiling(1_000, f"{_DYNAMODB}/bp-partition-key-design.html")
PARTITION_READS = Ceiling(3_000, f"{_DYNAMODB}/bp-partition-key-design.html")
TABLE_WRITES = Ceiling(
    4_000,
    f"{_DYNAMODB}/on-demand-capacity-mode.html",
    "traffic of before: DynamoDB doubles the last peak; or warm throughput, set on the table",
)
TABLE_READS = Ceiling(12_000, f"{_DYNAMODB}/on-demand-capacity-mode.html", TABLE_WRITES.raised_by)
TABLE_MOST = Ceiling(40_000, f"{_DYNAMODB}/ServiceQuotas.html", "Service Quotas")
CONNECTS = Ceiling(500, _IOT, "Service Quotas")
SUBSCRIPTIONS = Ceiling(500, _IOT, "Service Quotas")
PUBLISHES = Ceiling(2_000, _IOT, "Service Quotas; 20,000 in large regions")
RULES = Ceiling(2_000, _IOT, "Service Quotas; 20,000 in large regions")
SIGNATURES = Ceiling(1_000, f"{_DOCS}/kms/latest/developerguide/requests-per-second.html", "Service Quotas")
CONCURRENCY = Ceiling(1_000, f"{_LAMBDA}/gettingstarted-limits.html", "Service Quotas")
NEW_ENVIRONMENTS = Ceiling(100, f"{_LAMBDA}/lambda-concurrency.html#scaling-rate")
"""Of one function, a second: 1,000 in ten seconds."""
BUS = Ceiling(1_200, f"{_DOCS}/eventbridge/latest/userguide/eb-quota.html", "Service Quotas")
"""PutEvents a second, in smaller regions."""
API = Ceiling(10_000, f"{_DOCS}/apigateway/latest/developerguide/limits.html", "Service Quotas")

PARTITIONS = 4
"""Of a new table or index: what its writes and reads at first allow."""
STREAM_LAG_S, STREAM_POLL_S = 0.2, 0.25
"""From a write to its record in the stream, and between two looks of Lambda at a shard."""
COLD_START_S = 1.2
"""From an invocation without a free environment to its handler."""
IDLE_ENVIRONMENT_S = 600
"""After which an environment that is not used is gone."""

PROCESSOR_S, PROCESSOR_PER_CALL_S = 0.004, 0.0013
"""Of one full processor, for an invocation and for each call. A read of an agent and its conversion took
0.8 ms, a conditional update 1.2 ms (2026-11-30, without the network)."""
FULL_PROCESSOR_MB = 1769
SECONDS: dict[str, float] = {
    "GetItem": 0.004,
    "Query": 0.005,
    "BatchGetItem": 0.006,
    "PutItem": 0.006,
    "UpdateItem": 0.006,
    "DeleteItem": 0.006,
    "TransactWriteItems": 0.015,
    "Sign": 0.010,
    "Publish": 0.012,
    "PutEvents": 0.015,
    "SendMessage": 0.010,
    "AssumeRole": 0.040,
}
"""Of an answer, by operation; 0.02 s of others."""
OTHER_SECONDS = 0.02
ATTEMPTS = 4
"""Of a call that is throttled, with a random pause of up to 1, 2 and 4 s: botocore's standard mode."""

STREAM_BATCH, STREAM_PARALLEL, STREAM_ATTEMPTS = 100, 4, 6
AUDIT_BATCH, AUDIT_WINDOW_S, AUDIT_PARALLEL = 100, 1.0, 1
QUEUE_BATCH, QUEUE_WINDOW_S, QUEUE_CONCURRENCY = 100, 1.0, 2
"""Of the event sources in infra/reactions.py."""
ASYNC_PAUSES_S = (60.0, 120.0)
"""Before an asynchronous event is tried again that has failed."""
MAX_ASYNC_PAUSE_S = 300.0
"""Longest pause before one is tried again that was throttled; it begins with a second, and doubles."""
