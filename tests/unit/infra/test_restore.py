"""Lost rows come back from a point in time, nothing newer is undone, and nobody is told of it again."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import boto3
import pytest

from infra import restore
from lambdas import on_change
from tests.support.control_plane import REGION, Context, ControlPlane, control_plane

COPY = "transfers-restored"
HOUR = 3600


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    with control_plane(monkeypatch) as found:
        yield found


@pytest.fixture
def dynamodb(here: ControlPlane) -> Any:
    return boto3.client("dynamodb", REGION)


def copy(dynamodb: Any, live: str) -> list[dict[str, Any]]:
    """Make a copy of the table, as DynamoDB restores one; return its rows."""
    table = dynamodb.describe_table(TableName=live)["Table"]
    dynamodb.create_table(
        TableName=COPY,
        KeySchema=table["KeySchema"],
        AttributeDefinitions=[
            one
            for one in table["AttributeDefinitions"]
            if one["AttributeName"] in {key["AttributeName"] for key in table["KeySchema"]}
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    rows: list[dict[str, Any]] = dynamodb.scan(TableName=live)["Items"]
    for row in rows:
        dynamodb.put_item(TableName=COPY, Item=row)
    return rows


def requested(here: ControlPlane) -> str:
    here.join("server-b")
    here.join("server-c")
    body = {"source": "server-b:/data/", "destinations": ["server-c:/primary/"]}
    name: str = here.post("/transfers", body).body["transfer_id"]
    return name


def lose(dynamodb: Any, live: str) -> None:
    for row in dynamodb.scan(TableName=live)["Items"]:
        dynamodb.delete_item(TableName=live, Key={name: row[name] for name in ("transfer_id", "part")})


def inserts(rows: list[dict[str, Any]], written: float) -> dict[str, Any]:
    """Return the stream's event for rows that were inserted at this time, in seconds since 1970."""
    records = [
        {
            "eventID": str(number),
            "eventName": "INSERT",
            "dynamodb": {
                "NewImage": row,
                "SequenceNumber": str(number),
                "ApproximateCreationDateTime": written,
            },
        }
        for number, row in enumerate(rows)
    ]
    return {"Records": records}


def moment_of(rows: list[dict[str, Any]]) -> float:
    """Return when what the rows tell has happened, in seconds since 1970."""
    moments = [json.loads(row["moment"]["S"])["at"] for row in rows if "moment" in row]
    return datetime.fromisoformat(moments[0]).timestamp()


def test_what_was_lost_is_there_again_and_no_agent_hears_of_it(here: ControlPlane, dynamodb: Any) -> None:
    transfer_id = requested(here)
    rows = copy(dynamodb, "transfers-table")
    lose(dynamodb, "transfers-table")
    assert here.get(f"/transfers/{transfer_id}").status == 404
    here.fleet.sent.clear()

    assert restore.restore(dynamodb, "transfers-table", COPY, write=False) == (len(rows), 0)
    assert here.get(f"/transfers/{transfer_id}").status == 404, "only counted"
    assert restore.restore(dynamodb, "transfers-table", COPY, write=True) == (len(rows), 0)
    assert here.get(f"/transfers/{transfer_id}").body["transfer_id"] == transfer_id

    on_change.handler(inserts(rows, moment_of(rows) + 2 * HOUR), Context())
    assert here.fleet.sent == []
    on_change.handler(inserts(rows, moment_of(rows) + 5), Context())
    assert here.fleet.sent, "the same rows, written as they happened, are handled"


def test_what_has_changed_since_then_stays(here: ControlPlane, dynamodb: Any) -> None:
    transfer_id = requested(here)
    rows = copy(dynamodb, "transfers-table")
    here.post(f"/transfers/{transfer_id}/cancel")
    before = sorted(map(json.dumps, dynamodb.scan(TableName="transfers-table")["Items"]))
    assert restore.restore(dynamodb, "transfers-table", COPY, write=True) == (0, len(rows))
    assert sorted(map(json.dumps, dynamodb.scan(TableName="transfers-table")["Items"])) == before


def test_a_copy_of_another_table_is_refused(here: ControlPlane, dynamodb: Any) -> None:
    copy(dynamodb, "transfers-table")
    with pytest.raises(restore.RestoreError, match="other keys"):
        restore.restore(dynamodb, "templates-table", COPY, write=True)


def test_the_command_finds_the_table_and_writes_only_if_told_to(
    here: ControlPlane, dynamodb: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    requested(here)
    rows = copy(dynamodb, "transfers-table")
    lose(dynamodb, "transfers-table")
    monkeypatch.setattr(
        restore, "deployed_tables", lambda session, stage: [("transfers_table", "transfers-table")]
    )
    assert restore.main(["prod", "transfers", COPY]) == 0
    assert f"{len(rows)} rows are missing; --yes brings them back" in capsys.readouterr().out
    assert dynamodb.scan(TableName="transfers-table")["Count"] == 0
    assert restore.main(["prod", "transfers", COPY, "--yes"]) == 0
    assert dynamodb.scan(TableName="transfers-table")["Count"] == len(rows)
    assert restore.main(["prod", "agents", COPY]) == 1
    assert "not deployed here" in capsys.readouterr().err
