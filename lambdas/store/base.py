"""What all stores share: binding rows to a table at run time, JSON attributes, transactions, refusals."""

import random
import time
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
"""Writes that one store adds to another's transaction; opaque to all other code."""


def no_writes(_: object) -> None:
    """Add nothing to the transaction."""


def combined(first: Writes, second: Writes) -> Writes:
    """Return the writes of both."""

    def write(writes: TransactWrite) -> None:
        first(writes)
        second(writes)

    return write


CONNECT_TIMEOUT_S, READ_TIMEOUT_S, MAX_RETRIES = 2, 4, 3
"""A call that hangs ends within 24 s and some backoff; API Gateway gives up after 29 s."""
MAX_CONNECTIONS = 20
"""Connections that a client keeps: as many as threads call at once. One beyond them would be closed after its
call, and the next call would pay for a new one, with its handshake."""
TRANSACTION_LIMIT = 100
"""Maximum number of writes in one DynamoDB transaction."""

TRANSACTION_ATTEMPTS = 6
"""Of a transaction that is throttled, or meets another one."""
_FIRST_PAUSE_S = 0.1
"""Longest pause before its second attempt; it doubles with each, to 3 s in all."""
_PASSING = {"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"}
_REFUSALS = {
    "ConditionalCheckFailedException",
    "ConditionalCheckFailed",
    "TransactionConflict",
    "TransactionConflictException",
}


class JsonOf(Attribute[T], Generic[T]):
    """An attribute that holds a wire model, or any type that Pydantic knows, as JSON text."""

    attr_type = STRING

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__(**options)
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def serialize(self, value: Any) -> str:
        return self._adapter.dump_json(value).decode()

    def deserialize(self, value: Any) -> T:
        return self._adapter.validate_json(value)


class ActorAttribute(JsonOf[Actor]):
    """An attribute that holds an actor; old rows, from before users had ids, have only a name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Actor, **options)

    def deserialize(self, value: Any) -> Actor:
        return super().deserialize(value) if value.startswith("{") else Actor.called(value)


class PatientConnection(Connection):
    """Tries a transaction again that was throttled, or that wrote a row at the same time as another one.

    The SDK does so with every other call, but DynamoDB answers that these transactions are cancelled, like
    one whose condition is not met. Without this a report would be applied when Lambda tries again, a minute
    later, and of agents that come back at once some would not be counted: their counts share rows.
    """

    def transact_write_items(self, *items: Any, **options: Any) -> Any:
        """Commit the items' writes.

        Raises:
            TransactWriteError: a condition is not met, or every attempt was throttled or met another one.
        """
        for attempt in range(1, TRANSACTION_ATTEMPTS):
            try:
                return super().transact_write_items(*items, **options)
            except TransactWriteError as failure:
                found = {*reasons(failure)}
                if "ConditionalCheckFailed" in found or not _PASSING & found:
                    raise
            time.sleep(random.uniform(0, _FIRST_PAUSE_S * 2 ** (attempt - 1)))  # noqa: S311
        return super().transact_write_items(*items, **options)


@cache
def connection(region: str) -> Connection:
    """Return the one client for all tables; creating one takes 50 ms or more at each cold start."""
    return PatientConnection(
        region=region,
        connect_timeout_seconds=CONNECT_TIMEOUT_S,
        read_timeout_seconds=READ_TIMEOUT_S,
        max_retry_attempts=MAX_RETRIES,
        max_pool_connections=MAX_CONNECTIONS,
    )


def bind(rows: Sequence[type[Model]], table: str, region: str) -> None:
    """Bind rows to their table; called when a store is built, never at import.

    The first row class is the one with all of the table's indexes.
    """
    for row in rows:
        meta: Any = row.Meta
        meta.table_name = table
        meta.region = region
    rows[0]._connection = None
    own = rows[0]._get_connection()
    with suppress(ValueError):  # already bound
        connection(region).add_meta_table(own.get_meta_table())
    own.connection = connection(region)
    for row in rows[1:]:
        row._connection = own


@contextmanager
def transaction(region: str) -> Iterator[TransactWrite]:
    """Collect writes and commit them together: all of them or none."""
    with TransactWrite(connection=connection(region)) as writes:
        yield writes


@contextmanager
def refusal_is(error: Exception) -> Iterator[None]:
    """Raise this error if a condition does not hold, or if transactions conflict."""
    try:
        yield
    except PynamoDBException as failure:
        if not refused(failure):
            raise
        raise error from failure


def refused(failure: PynamoDBException) -> bool:
    """Return whether this was an unmet condition or a conflict, rather than a fault."""
    return bool(_REFUSALS & {failure.cause_response_code, *reasons(failure)})


def reasons(failure: PynamoDBException) -> list[str]:
    """Return why a transaction was cancelled: one code for each write, empty if it was not the reason."""
    if not isinstance(failure, TransactWriteError):
        return []
    return [reason.code if reason else "" for reason in failure.cancellation_reasons]
