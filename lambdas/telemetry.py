"""The logger and the metrics of every function, and the wrapper of every entry point."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.typing import LambdaContext

NAMESPACE = "Crosshaul"
SERVICE = "crosshaul"
AUDIT_TAMPERED = "AuditTampered"
"""Counts rows of the audit that were changed, removed or written in another's place."""
AUDIT_LAG = "AuditLag"
"""Age in seconds of the oldest audit record that is not in the chain; 0 if all are."""
ARCHIVE_LACKED = "ArchiveLacked"
"""Counts transfers that were to leave the table, and that the file of the archive did not have."""
MINUTES_RUN = "MinutesRun"
"""Counts runs of the tasks of each minute that came to their end, whatever failed in them."""
AGENTS = "Agents"
"""Agents that are registered."""
AGENTS_ABSENT = "AgentsAbsent"
"""Agents that are neither online nor in maintenance, in percent of those that are registered."""
AGENTS_WARNED, AGENTS_LATE, AGENTS_OFFLINE = "AgentsWarned", "AgentsLate", "AgentsOffline"
"""Agents that are online and that a person should look at, that send no heartbeats, and that are away."""
OLDEST_QUEUED = "OldestQueued"
"""How long the oldest hop has been queued, in seconds; 0 if none is."""
APPROVALS_WAITING = "ApprovalsWaiting"
"""Transfers that wait for an approval."""
ROOTS_NEARLY_FULL = "RootsNearlyFull"
"""Counts heartbeats that report a writable root with little free room."""
ROOT_FREE = "RootFree"
"""Free room of such a root, in percent."""
KEYS_OVERDUE = "KeysOverdue"
"""Counts agents that are online and have not renewed their keys, long after they were told to."""
TEMPLATES_REFUSED = "TemplatesRefused"
"""Counts templates whose transfer was refused: the objects that arrived are not moved."""
TEMPLATES_STARTED = "TemplatesStarted"
"""Counts transfers that templates have started."""
UPDATES_ABORTED = "UpdatesAborted"
"""Counts updates of agents that were stopped because too many agents failed."""
HOPS_ENDED = "HopsEnded"
"""Counts hops that have ended, by route and outcome."""
RETRIES = "Retries"
"""Counts hops that go back to the queue because of a problem; the log has its code."""
BYTES_ARRIVED, FILES_ARRIVED = "BytesArrived", "FilesArrived"
"""New at the destinations, counted when a transfer ends."""
SECONDS_QUEUED, SECONDS_OFFERED, SECONDS_MOVING = "SecondsQueued", "SecondsOffered", "SecondsMoving"
"""What a hop's time was spent with, told when it ends."""

logger = Logger(service=SERVICE)
metrics = Metrics(namespace=NAMESPACE, service=SERVICE)

Unit = Literal["Count", "Seconds", "Percent", "Bytes"]
"""Units of CloudWatch's that metrics of Crosshaul have."""
Handler = Callable[[dict[str, Any], LambdaContext], Any]


def entry(handler: Handler) -> Handler:
    """Wrap an entry point: add the request's keys to every log line, and flush metrics at its end.

    Metrics are flushed only if there are any; Powertools' own wrapper warns each time there are none. Their
    dimensions are set first, since Powertools flushes by itself at every hundredth value.
    """
    logged: Handler = logger.inject_lambda_context(handler, clear_state=True)

    @wraps(handler)
    def counted(event: dict[str, Any], context: LambdaContext) -> Any:
        metrics.add_dimension(name="stage", value=_stage())
        try:
            return logged(event, context)
        finally:
            if metrics.metric_set:
                metrics.flush_metrics()
            else:
                metrics.clear_metrics()

    return counted


def trace(transfer_id: str, hop_id: str | None = None) -> None:
    """Name this transfer, and hop, in each further log line of the invocation.

    The ids lead from the request through the commands to the reports: agents log them, too.
    """
    logger.append_keys(transfer_id=transfer_id, hop_id=hop_id)


def count(name: str, value: int = 1) -> None:
    """Add to a metric of this name, in the namespace Crosshaul."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def measure(name: str, value: float, unit: Unit = "Count") -> None:
    """Record a value of a metric of this name, in the namespace Crosshaul."""
    metrics.add_metric(name=name, unit=unit, value=value)


def count_by(name: str, **kinds: str) -> None:
    """Count one, by kinds that have few values each: CloudWatch bills each combination as a metric."""
    with single_metric(name=name, unit=MetricUnit.Count, value=1, namespace=NAMESPACE) as metric:
        for dimension, value in (dimensions(_stage()) | kinds).items():
            metric.add_dimension(name=dimension, value=value)


def _stage() -> str:
    return os.environ.get("CROSSHAUL_STAGE", "none")


def dimensions(stage: str) -> dict[str, str]:
    """Return the dimensions of every metric of a stage; an account may have several stages."""
    return {"service": SERVICE, "stage": stage}
