"""DynamoDB throttles transactions: what they write waits, and is neither lost nor written twice."""

from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from pynamodb.exceptions import TransactWriteError

from events.reports import Started, Succeeded
from lambdas import wiring
from lambdas.store.base import TRANSACTION_ATTEMPTS


class Cancellations:
    """Cancels transactions for this reason; counts those that were asked for."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left, self.reason, self.asked = 0, "ThrottlingError", 0
        really = BaseClient._make_api_call

        def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
            if operation == "TransactWriteItems":
                self.asked += 1
                if self.left:
                    self.left -= 1
                    raise self._cancelled(operation, len(arguments["TransactItems"]))
            return really(client, operation, arguments)

        patch.setattr(BaseClient, "_make_api_call", call)

    def _cancelled(self, operation: str, writes: int) -> ClientError:
        reasons = [{"Code": "None"}] * (writes - 1) + [{"Code": self.reason, "Message": "too fast"}]
        error = {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"}
        return ClientError({"Error": error, "CancellationReasons": reasons}, operation)  # type: ignore[typeddict-unknown-key]


@pytest.fixture
def throttling(world, monkeypatch) -> Cancellations:
    return Cancellations(monkeypatch)


@pytest.mark.parametrize(
    "reason", ["ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict"]
)
def test_a_transfer_ends_although_each_of_its_changes_is_throttled(world, throttling, reason):
    throttling.reason, throttling.left = reason, 1
    transfer_id = world.request("a:/data/", "c:/archive/")
    throttling.left = 1
    world.stream()
    for seq, kind in enumerate((Started, Succeeded), 1):
        throttling.left = 1
        world.report(kind, world.hop(transfer_id), seq)
        world.stream()
    assert world.store.get(transfer_id).state == "succeeded"
    entries, _ = world.store.timeline(transfer_id)
    assert [entry.state for entry in entries if entry.hop_id] == ["offered", "running", "succeeded"]


def test_a_transaction_that_is_throttled_for_long_fails(world, throttling):
    throttling.left = TRANSACTION_ATTEMPTS
    with pytest.raises(TransactWriteError):
        world.request("a:/data/", "c:/archive/")
    assert throttling.asked == TRANSACTION_ATTEMPTS
    assert throttling.left == 0


def test_an_agent_that_comes_back_with_many_others_is_counted(clock, here, monkeypatch):
    """Each of them is counted in one of a few rows, which their transactions write at the same time."""
    here.join("server-b", online=False)
    throttling = Cancellations(monkeypatch)
    throttling.reason, throttling.left = "TransactionConflict", TRANSACTION_ATTEMPTS - 1
    monkeypatch.setattr("lambdas.store.base.random.uniform", lambda *_: 0)
    wiring.agent_service().connected("server-b", clock.now, 1)
    assert throttling.asked == TRANSACTION_ATTEMPTS, "the same writes again, and no reading in between"
    counts = here.get("/fleet").body["counts"]
    assert (counts["online"], counts["offline"]) == (1, 0)


def test_a_condition_that_is_not_met_is_not_tried_again_by_the_store(world, throttling):
    """The writer reads again and decides anew: the same writes would be refused again."""
    transfer_id = world.request("a:/data/", "c:/archive/")
    world.stream()
    throttling.asked, throttling.reason, throttling.left = 0, "ConditionalCheckFailed", 1
    world.report(Started, world.hop(transfer_id))
    assert throttling.asked == 2
    assert world.hop(transfer_id).state == "running"
