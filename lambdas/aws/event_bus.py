"""Publish events of transfers and agents on the EventBridge bus."""

from typing import TYPE_CHECKING

from events.facts import SOURCE, AgentWentSilent, TransferFinished, TransferRequested

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

Fact = TransferRequested | TransferFinished | AgentWentSilent


class BusError(Exception):
    """EventBridge rejected an event; the caller retries."""


class EventBus:
    """Publishes events on EventBridge."""

    def __init__(self, events: "EventBridgeClient", bus_name: str) -> None:
        self._events = events
        self._bus_name = bus_name

    def publish(self, fact: Fact) -> None:
        """Publish one event; raises BusError if EventBridge rejects it."""
        answer = self._events.put_events(
            Entries=[
                {
                    "EventBusName": self._bus_name,
                    "Source": SOURCE,
                    "DetailType": type(fact).__name__,
                    "Detail": fact.model_dump_json(),
                }
            ]
        )
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            raise BusError(f"{entry.get('ErrorCode')}: {entry.get('ErrorMessage')}")
