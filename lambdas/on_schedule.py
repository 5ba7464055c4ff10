"""Run the periodic tasks, once a minute."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas import adapters, wiring
from lambdas.telemetry import count, entry, logger


@entry
def handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    """Mark silent agents first, so that no hop is offered to them."""
    publish_silent_agents()
    wiring.audit_sealer().seal()
    wiring.key_rotation().rotate_aging_keys(adapters.clock())
    wiring.lease_sweeper().sweep()
    wiring.refusal_summary().write()
    wiring.update_stages().advance_updates(adapters.clock())  # last: IoT Jobs must not delay hops


def publish_silent_agents() -> None:
    """Publish an event for each agent that has gone silent."""
    for event in wiring.agent_service().mark_silent_agents(adapters.clock()):
        logger.warning("agent went silent", extra={"agent_id": event.agent_id})
        count("AgentsWentSilent")
        adapters.event_bus().publish(event)
