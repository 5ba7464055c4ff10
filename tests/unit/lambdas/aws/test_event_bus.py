"""Events on the bus have their own type, and a rejected one raises."""

import json

import pytest

from events.facts import AgentWentSilent
from lambdas.aws.event_bus import BusError, EventBus
from tests.support.fakes import MORNING

FACT = AgentWentSilent(agent_id="server-d", at=MORNING, last_heartbeat=MORNING)


class FakeEvents:
    def __init__(self, failed: int = 0) -> None:
        self.entries: list[dict] = []
        self.failed = failed

    def put_events(self, **put) -> dict:
        self.entries += put["Entries"]
        return {
            "FailedEntryCount": self.failed,
            "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "x"}],
        }


def test_a_fact_goes_by_its_own_name():
    events = FakeEvents()
    EventBus(events, "crosshaul-test").publish(FACT)
    (entry,) = events.entries
    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == (
        "crosshaul-test",
        "crosshaul",
        "AgentWentSilent",
    )
    assert AgentWentSilent.model_validate(json.loads(entry["Detail"])) == FACT


def test_a_fact_the_bus_does_not_take_is_an_error():
    with pytest.raises(BusError, match="InternalFailure"):
        EventBus(FakeEvents(failed=1), "crosshaul-test").publish(FACT)
