"""Measure what questions about transfers cost among few and among many.

python -m tests.scale.lists [NUMBER …]    prints a table; default: 100, 10,000 and 100,000

The real API answers, from tables in moto that hold that many transfers. Its calls and their units are
counted (`metering.py`); their time is that of the model (`ceilings.py`).
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from pynamodb.models import Model

from events.base import Actor
from events.states import HopState
from lambdas import adapters
from lambdas.domain.plan import new_transfer_id
from lambdas.store.shards import shard_of
from lambdas.store.transfer_mapping import header_row, hop_row, term_rows
from lambdas.store.transfer_rows import TOTALS, TotalsRow
from lambdas.store.transfer_totals import SHARDS
from tests.scale import ceilings
from tests.scale.metering import CallMeter, MeteredCall, metered
from tests.support.control_plane import REGION, ControlPlane, control_plane
from tests.support.indexed_tables import indexed_tables
from tests.support.transfers import made

SIZES = (100, 10_000, 100_000)
DAYS = 20
"""Over which the transfers are spread, until now."""
ANA, BEN = Actor(id="ana", name="ana@example.org"), Actor(id="ben", name="ben@example.org")
KINDS = (
    ("server-b:/data/raw/", HopState.SUCCEEDED, ANA, None),
    ("server-b:/data/raw/", HopState.SUCCEEDED, ANA, "nightly"),
    ("server-b:/data/raw/", HopState.FAILED, ANA, None),
    ("server-c:/data/raw/", HopState.SUCCEEDED, BEN, "nightly"),
)
"""Source, state, requester and template of the transfers, in turn."""
RARE = ("server-d:/data/raw/take7.mov", HopState.FAILED, BEN, "weekly")
NUMBER_OF_RARE = 5
SUMS = ("transfers", "succeeded", "failed", "bytes_arrived", "files_arrived")

PAGE_SIZE = 20
"""Of the console's list."""

LISTS: dict[str, dict[str, str]] = {
    "newest": {},
    "oldest": {"sort": "oldest"},
    "by state": {"status": "failed"},
    "by agent": {"agent": "server-d"},
    "by template": {"template": "nightly"},
    "by person": {"by": BEN.name},
    "one word": {"search": "take7"},
    "beginning of a word": {"search": "tak"},
    "a common and a rare word": {"search": "raw take7"},
    "a rare agent, a common word": {"agent": "server-d", "search": "data"},
    "a common state, a rare template": {"status": "failed", "template": "weekly"},
    "two common criteria": {"status": "succeeded", "template": "nightly"},
}
"""Query of a list by what is asked."""
QUESTIONS: dict[str, tuple[str, dict[str, str]]] = {
    **{name: ("/transfers", {**query, "limit": str(PAGE_SIZE)}) for name, query in LISTS.items()},
    "what needs attention": ("/attention", {}),
    "totals of the overview": ("/overview", {}),
    "count of all": ("/transfers/count", {}),
    "count of the failed": ("/transfers/count", {"status": "failed"}),
}
"""Path and query by what is asked."""


_Prototype = tuple[str, list[dict[str, Any]]]
"""The id of a transfer, and its rows in DynamoDB's JSON."""


@dataclass(frozen=True)
class ListCost:
    """What one answer costs."""

    calls: int
    units: float
    """Read units."""
    seconds: float
    """Of calls one after another and of a full processor, in the model."""
    found: int
    """Number of transfers in the answer; of a count the number."""


def fill(number: int, now: datetime) -> None:
    """Put transfers that have ended into the table, the rare ones oldest, and their totals.

    Rows are made once a kind and copied: what differs are the id and the time.
    """
    step = timedelta(days=DAYS) / (number + NUMBER_OF_RARE)
    prototypes = [_rows(*kind, now) for kind in KINDS]
    rare = _rows(*RARE, now)
    newest = now - timedelta(minutes=1)
    for index in range(number + NUMBER_OF_RARE):
        prototype = prototypes[index % len(prototypes)] if index < number else rare
        _copy(prototype, new_transfer_id(), newest - index * step)


def _rows(source: str, state: HopState, by: Actor, template: str | None, now: datetime) -> _Prototype:
    transfer = made(source, "server-e:/archive/", by=by, state=state, at=now, template_id=template)
    hops = [hop_row(hop, "server-e") for hop in transfer.hops]
    rows: list[Model] = [header_row(transfer), *hops, *term_rows(transfer)]
    return transfer.transfer_id, [row.serialize() for row in rows]


def _copy(prototype: _Prototype, transfer_id: str, at: datetime) -> None:
    """Put the rows of a transfer into moto's table; values that are the same are held once."""
    old_id, rows = prototype
    for attributes in rows:
        _put({name: _changed(name, value, old_id, transfer_id, at) for name, value in attributes.items()})
    quarter = f"{at.replace(minute=at.minute // 15 * 15):%Y-%m-%dT%H:%M}"
    part = shard_of(f"{quarter}#", transfer_id, SHARDS)
    total = TotalsRow(f"{TOTALS}{at:%Y-%m}", part, **dict.fromkeys(SUMS, 1_000_000))
    _put({name: DynamoType(value) for name, value in total.serialize().items()})


def _put(attributes: dict[str, DynamoType]) -> None:
    table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[adapters.settings().transfers_table]
    item = Item.__new__(Item)
    item.attrs = attributes
    item.hash_key, item.range_key = attributes["transfer_id"], attributes["part"]
    table.items[item.hash_key][item.range_key] = item


_kept: dict[str, DynamoType] = {}


def _changed(name: str, value: dict[str, Any], old_id: str, new_id: str, at: datetime) -> DynamoType:
    if name in {"created_at", "ended_at", "started_at"}:
        return DynamoType({"S": f"{at:%Y-%m-%dT%H:%M:%S.%f}+0000"})
    if name == "month":
        return _kept.setdefault(f"{at:%Y-%m}", DynamoType({"S": f"{at:%Y-%m}"}))
    text = json.dumps(value)
    if old_id in text:
        return DynamoType(json.loads(text.replace(old_id, new_id)))
    return _kept.setdefault(text, DynamoType(value))


@contextmanager
def filled(number: int) -> Iterator[tuple[ControlPlane, CallMeter]]:
    """Yield the API among this many transfers, and the meter of its calls."""
    with pytest.MonkeyPatch.context() as patch, control_plane(patch) as plane:
        for agent in ("server-b", "server-c", "server-d", "server-e"):
            plane.join(agent)
        fill(number, datetime.now(UTC))
        with indexed_tables(), metered(REGION) as meter:
            yield plane, meter


def costs(number: int) -> dict[str, ListCost]:
    """Return what each question costs among this many transfers."""
    with filled(number) as (plane, meter):
        plane.get("/transfers")  # once: a warm function has read policies and keys
        return {name: _cost(plane, meter, path, query) for name, (path, query) in QUESTIONS.items()}


def _cost(plane: ControlPlane, meter: CallMeter, path: str, query: dict[str, str]) -> ListCost:
    meter.take()
    answer = plane.get(path, **query)
    assert answer.status == 200, answer.text
    table = adapters.settings().transfers_table
    # Policies, too, are read again at times: they cost the same among any number of transfers.
    calls = [call for call in meter.take() if any(use.place.startswith(table) for use in call.uses)]
    found = answer.body.get("transfers", answer.body.get("count", ()))
    return ListCost(
        calls=len(calls),
        units=sum(use.units for call in calls for use in call.uses),
        seconds=ceilings.PROCESSOR_S + sum(map(_seconds, calls)),
        found=found if isinstance(found, int) else len(found),
    )


def _seconds(call: MeteredCall) -> float:
    return ceilings.PROCESSOR_PER_CALL_S + ceilings.SECONDS.get(call.operation, ceilings.OTHER_SECONDS)


def main() -> None:
    sizes = [int(one) for one in sys.argv[1:]] or SIZES
    measured = {size: costs(size) for size in sizes}
    heads = [f"{size:,} transfers" for size in sizes]
    print(f"| question | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for name in QUESTIONS:
        cells = [_cell(measured[size][name]) for size in sizes]
        print(f"| {name} | {' | '.join(cells)} |")


def _cell(cost: ListCost) -> str:
    return f"{cost.units:g} units, {cost.calls} calls, {cost.seconds * 1000:.0f} ms ({cost.found})"


if __name__ == "__main__":
    main()
