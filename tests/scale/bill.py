"""What a scenario costs, by the list prices that Crosshaul itself estimates with."""

from collections import Counter

from lambdas.domain import prices
from tests.scale.cloud import SimulatedCloud


def dollars(cloud: SimulatedCloud, connected_minutes: float) -> dict[str, float]:
    """Return US dollars by service."""
    bill: Counter[str] = cloud.bill
    calls = sum(count for name, count in bill.items() if name.startswith("calls of "))
    return {
        "DynamoDB": bill["written units"] * prices.WRITE + bill["read units"] * prices.READ,
        "Lambda": calls * prices.INVOCATION + bill["gigabyte seconds"] * prices.GIGABYTE_SECOND,
        "IoT Core": bill["messages"] * prices.MESSAGE
        + bill["rules"] * prices.RULE
        + connected_minutes * prices.CONNECTED_MINUTE,
        "KMS": bill["signatures"] * prices.SIGNATURE,
        "logs": bill["logged bytes"] / prices.GB * prices.LOG_GB,
        "API Gateway": bill["API requests"] * prices.REQUEST,
        "EventBridge, SQS": bill["events"] * prices.BUS_EVENT
        + (bill["queue messages"] + bill["SendMessage"]) * prices.QUEUE_REQUEST,
    }
