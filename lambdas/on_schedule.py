"""Run the periodic tasks, once a minute."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas import adapters, wiring
from lambdas.telemetry import MINUTES_RUN, count, entry, logger


@entry
def handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    """Run every task, the most urgent first; a task that fails stops no other.

    Raises:
        ExceptionGroup: The failures of all tasks, raised at the end.
    """
    failures = [failure for name, task in TASKS.items() if (failure := _try(name, task))]
    count(MINUTES_RUN)
    if failures:
        raise ExceptionGroup("tasks of this minute have failed", failures)


def _try(name: str, task: Callable[[], object]) -> Exception | None:
    try:
        task()
    except Exception as failure:
        logger.exception("task failed", extra={"task": name})
        count("TasksFailed")
        return failure
    return None


TASKS: dict[str, Callable[[], object]] = {
    "leases": lambda: wiring.lease_sweeper().sweep(),
    "silent agents": lambda: wiring.agent_service().mark_silent_agents(adapters.event_bus().publish),
    "audit seals": lambda: wiring.audit_sealer().seal(),
    "aging keys": lambda: wiring.key_rotation().rotate_aging_keys(adapters.clock()),
    "refusals": lambda: wiring.refusal_summary().write(),
    "updates": lambda: wiring.update_stages().advance_updates(adapters.clock()),
    "agent counts": lambda: wiring.fleet().recount(),
    "fleet metrics": lambda: wiring.fleet_metrics().measure(),
    "audit lag": lambda: wiring.audit_lag().measure(),
    "archive": lambda: wiring.transfer_archive().work(),
}
"""Tasks by name, in the order in which they run."""
