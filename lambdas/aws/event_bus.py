"""Facts to anyone who cares to know, on the EventBridge bus."""

from typing import TYPE_CHECKING

from events.facts import SOURCE, AgentWentSilent, TransferFinished, TransferRequested

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

Fact = TransferRequested | TransferFinished | AgentWentSilent


class BusError(Exception):
    """The bus did not take a fact; whoever told it tries again."""


class EventBus:
    def __init__(self, events: "EventBridgeClient", bus_name: str) -> None:
        self._events = events
        self._bus_name = bus_name

    def publish(self, fact: Fact) -> None:
        """Put one fact on the bus; raises BusError if it is not taken."""
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
