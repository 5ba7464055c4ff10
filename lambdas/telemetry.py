"""The logger and the metrics of every function, and the wrapper of every entry point."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

NAMESPACE = "Crosshaul"
SERVICE = "crosshaul"
AUDIT_TAMPERED = "AuditTampered"
"""Counts rows of the audit that were changed, removed or written in another's place; it has an alarm."""

logger = Logger(service=SERVICE)
metrics = Metrics(namespace=NAMESPACE, service=SERVICE)

Handler = Callable[[dict[str, Any], LambdaContext], Any]


def entry(handler: Handler) -> Handler:
    """Wrap an entry point: add the request's keys to every log line, and flush metrics at its end.

    Metrics are flushed only if there are any; Powertools' own wrapper warns each time there are none. Their
    dimensions are set first, since Powertools flushes by itself at every hundredth value.
    """
    logged: Handler = logger.inject_lambda_context(handler, clear_state=True)

    @wraps(handler)
    def counted(event: dict[str, Any], context: LambdaContext) -> Any:
        metrics.add_dimension(name="stage", value=os.environ.get("CROSSHAUL_STAGE", "none"))
        try:
            return logged(event, context)
        finally:
            if metrics.metric_set:
                metrics.flush_metrics()
            else:
                metrics.clear_metrics()

    return counted


def count(name: str, value: int = 1) -> None:
    """Add to a metric of this name, in the namespace Crosshaul."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def dimensions(stage: str) -> dict[str, str]:
    """Return the dimensions of every metric of a stage; an account may have several stages."""
    return {"service": SERVICE, "stage": stage}
