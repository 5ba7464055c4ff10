"""What all rows share: binding to a table at run time, attributes that hold the wire's models, refusals."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from pynamodb.attributes import Attribute
from pynamodb.connection import Connection
from pynamodb.constants import STRING
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

T = TypeVar("T")

Writes = Callable[[TransactWrite], None]
"""Writes that belong into someone else's transaction, from one store to another; opaque to all others."""

TRANSACTION_LIMIT = 100
"""Writes in one transaction, as DynamoDB has it."""

_REFUSALS = {
    "ConditionalCheckFailedException",
    "ConditionalCheckFailed",
    "TransactionConflict",
    "TransactionConflictException",
}


class JsonOf(Attribute[T], Generic[T]):
    """A model of the wire (or any type pydantic knows) as JSON text."""

    attr_type = STRING

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__(**options)
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def serialize(self, value: Any) -> str:
        return self._adapter.dump_json(value).decode()

    def deserialize(self, value: Any) -> T:
        return self._adapter.validate_json(value)


def bind(rows: Iterable[type[Model]], table: str, region: str) -> None:
    """Say which table these rows live in; called when a store is built, never at import."""
    for row in rows:
        meta: Any = row.Meta
        meta.table_name = table
        meta.region = region
        row._connection = None


@contextmanager
def transaction(region: str) -> Iterator[TransactWrite]:
    """All of the writes or none of them."""
    with TransactWrite(connection=Connection(region=region)) as writes:
        yield writes


@contextmanager
def refusal_is(error: Exception) -> Iterator[None]:
    """Raise this error when the table refuses a condition, or when two transactions met."""
    try:
        yield
    except PynamoDBException as failure:
        if not refused(failure):
            raise
        raise error from failure


def refused(failure: PynamoDBException) -> bool:
    """Was this a condition that did not hold, rather than a fault?"""
    return bool(_REFUSALS & {failure.cause_response_code, *reasons(failure)})


def reasons(failure: PynamoDBException) -> list[str]:
    """Why a transaction was cancelled: one code for each of its writes, "" where the write was not why."""
    if not isinstance(failure, TransactWriteError):
        return []
    return [reason.code if reason else "" for reason in failure.cancellation_reasons]
