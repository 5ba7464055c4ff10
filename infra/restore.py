"""Bring rows back that a table has lost, from a copy that DynamoDB restored to a point in time.

python -m infra.restore STAGE TABLE COPY [--yes]

First let DynamoDB restore the table beside the live one:

    aws dynamodb restore-table-to-point-in-time --source-table-name LIVE --target-table-name COPY …

TABLE is `transfers`, `agents`, `templates`, `policies`, `updates` or `releases`. Rows that the live table
still has stay as they are, be they older or newer. Without --yes the missing rows are only listed, by their
keys: what was removed on purpose since then is among them, and would be back with its rights. Restored
timeline rows send no commands and no events again (`stream_handler.py`). The audit is not restored into the
live table: it is chained, and a copy of it can be read where it is.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.stack_tables import deployed_tables

RESTORABLE = ("transfers", "agents", "templates", "policies", "updates", "releases")
"""Tables whose rows can be brought back one by one."""
Row = dict[str, Any]


class RestoreError(RuntimeError):
    """The rows cannot be brought back."""


def restore(dynamodb: Any, live: str, copy: str, *, write: bool) -> tuple[int, int]:
    """Return how many rows the live table lacks, and how many it has; bring the first back if `write`.

    Prints the keys of the rows that it lacks.

    Raises:
        RestoreError: The copy has other keys than the live table.
    """
    keys = _keys(dynamodb, live)
    if _keys(dynamodb, copy) != keys:
        raise RestoreError(f"{copy} has other keys than {live}: it is not a copy of this table")
    lost = kept = 0
    for row in _rows(dynamodb, copy):
        put = _put if write else _is_absent
        if put(dynamodb, live, keys, row):
            lost += 1
            print("/".join(str(next(iter(row[name].values()))) for name in keys))
        else:
            kept += 1
    return lost, kept


def _keys(dynamodb: Any, table: str) -> tuple[str, ...]:
    schema = dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
    return tuple(key["AttributeName"] for key in schema)


def _rows(dynamodb: Any, table: str) -> Iterator[Row]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def _is_absent(dynamodb: Any, table: str, keys: Sequence[str], row: Row) -> bool:
    key = {name: row[name] for name in keys}
    return "Item" not in dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)


def _put(dynamodb: Any, table: str, keys: Sequence[str], row: Row) -> bool:
    """Write the row unless the table has it, in one step: the stage goes on working meanwhile."""
    try:
        dynamodb.put_item(
            TableName=table,
            Item=row,
            ConditionExpression="attribute_not_exists(#key)",
            ExpressionAttributeNames={"#key": keys[0]},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _live_table(session: Any, stage: str, table: str) -> str:
    live = dict(deployed_tables(session, stage)).get(f"{table}_table")
    if live is None:
        raise RestoreError(f"stage {stage} is not deployed here: check account and region")
    return live


def main(given: Sequence[str] | None = None, make_session: Callable[..., Any] = boto3.Session) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.restore",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage")
    parser.add_argument("table", choices=RESTORABLE)
    parser.add_argument("copy", help="name of the table that DynamoDB restored")
    parser.add_argument("--yes", action="store_true", help="write the rows; otherwise they are only listed")
    arguments = parser.parse_args(given)
    session = make_session(region_name=os.environ.get("AWS_REGION"))
    try:
        live = _live_table(session, arguments.stage, arguments.table)
        lost, kept = restore(session.client("dynamodb"), live, arguments.copy, write=arguments.yes)
    except (RestoreError, BotoCoreError, ClientError) as error:
        print(f"restore: {error}", file=sys.stderr)
        return 1
    done = "brought back" if arguments.yes else "are missing; --yes brings them back"
    print(f"{lost} rows {done}; {kept} are there and stay as they are")
    return 0


if __name__ == "__main__":
    sys.exit(main())
