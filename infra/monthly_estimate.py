"""Estimate what a stage costs in a month by list prices: the fixed part, each agent's heartbeats and notices.

Transfers, storage and taxes are left out: they depend on the company. The prices are in
lambdas/domain/prices.py.
"""

from infra.settings import StageSettings
from lambdas.domain.prices import (
    ALARM,
    CONNECTED_MINUTE,
    FIREWALL,
    GIGABYTE_SECOND,
    INVOCATION,
    KEY,
    MESSAGE,
    METRIC,
    READ,
    RULE,
    WRITE,
)

ALARM_METRICS = 48
"""Metrics that the alarms of a stage read."""
OWN_METRICS = 9
"""Metrics that the functions write each minute. Others are billed for the hours in which they are written."""
MINUTES_PER_MONTH = 30 * 24 * 60
"""Minutes in a month."""
HEARTBEATS_A_MINUTE = 1 / 5
"""Of an idle agent. A busy one sends two."""
READS_A_HEARTBEAT = 2
"""Units for the rows of the agent and of its heartbeat, each of at most 4 KB."""
WRITES_A_HEARTBEAT = 1 + 2 / 3
"""Units for the row of the heartbeat, and at every third one for its entry in the index `silent`."""
NOTICES_A_DAY, OPEN_CONSOLES = 2, 5
"""Notices to consoles that an agent makes: it is cut off once a day and comes back. Each is a message, and
one more for each open console."""
REPORT_SECONDS, REPORT_GIGABYTES = 0.1, 0.5
"""Duration and memory of the function that handles a heartbeat."""


def dollars(settings: StageSettings, agents: int) -> float:
    """Return US dollars a month without transfers and storage."""
    keys = 3 + (settings.command_key > 1)
    fixed = keys * KEY + ALARM_METRICS * ALARM + OWN_METRICS * METRIC
    fixed += FIREWALL if settings.requests_per_address else 0
    every_minute = MINUTES_PER_MONTH * (INVOCATION + 1.0 * 0.5 * GIGABYTE_SECOND + 10 * READ)
    return fixed + every_minute + agents * _agent()


def _agent() -> float:
    """Return US dollars a month for an agent that is always connected."""
    report = MESSAGE + RULE + INVOCATION + REPORT_SECONDS * REPORT_GIGABYTES * GIGABYTE_SECOND
    report += WRITES_A_HEARTBEAT * WRITE + READS_A_HEARTBEAT * READ
    notices = NOTICES_A_DAY * 30 * (1 + OPEN_CONSOLES) * MESSAGE
    return MINUTES_PER_MONTH * (CONNECTED_MINUTE + HEARTBEATS_A_MINUTE * report) + notices


def text(amount: float, agents: int) -> str:
    return (
        f"about ${amount:,.0f} a month with {agents:,} agents that are always online, by list prices of "
        "us-east-1; transfers, storage and logs come on top"
    )
