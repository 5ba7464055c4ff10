"""What all rows share: binding to a table at run time, attributes that hold the wire's models, refusals."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from pynamodb.attributes import Attribute
from pynamodb.connection import Connection
from pynamodb.constants import STRING
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from events.base import Actor

T = TypeVar("T")

Writes = Callable[[TransactWrite], None]
"""Writes that belong into someone else's transaction, from one store to another; opaque to all others."""


def no_writes(_: object) -> None:
    """Nothing else belongs into the transaction."""


def combined(first: Writes, second: Writes) -> Writes:
    def write(writes: TransactWrite) -> None:
        first(writes)
        second(writes)

    return write


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


class ActorAttribute(JsonOf[Actor]):
    """Who did something. Rows from before people were known by their `sub` have a name alone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Actor, **options)

    def deserialize(self, value: Any) -> Actor:
        return super().deserialize(value) if value.startswith("{") else Actor.called(value)


@cache
def connection(region: str) -> Connection:
    """One client for all tables: making one takes 50 ms and more, which each cold start would pay again."""
    return Connection(region=region)


def bind(rows: Sequence[type[Model]], table: str, region: str) -> None:
    """Say which table these rows live in; called when a store is built, never at import.

    The first is the one with all of the table's indexes.
    """
    for row in rows:
        meta: Any = row.Meta
        meta.table_name = table
        meta.region = region
    rows[0]._connection = None
    own = rows[0]._get_connection()
    with suppress(ValueError):  # is bound already
        connection(region).add_meta_table(own.get_meta_table())
    own.connection = connection(region)
    for row in rows[1:]:
        row._connection = own


@contextmanager
def transaction(region: str) -> Iterator[TransactWrite]:
    """All of the writes or none of them."""
    with TransactWrite(connection=connection(region)) as writes:
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
