"""Doing a thing once for an Idempotency-Key, where the thing itself has no natural identity."""

import hashlib
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyValidationError,
)

from lambdas.domain.errors import ReusedKeyError, StaleError

RETENTION_S = 24 * 3600
"""Seconds for which a key is remembered."""


class Idempotency:
    """Powertools' idempotency, with nothing kept but digests: answers may have secrets in them."""

    def __init__(self, table: str, client: Any) -> None:
        self._store = DynamoDBPersistenceLayer(table_name=table, boto3_client=client)

    def __call__(
        self, operation: str, payload: str, action: Callable[[], object], context: Any = None
    ) -> None:
        """Do it, unless it was done before; a failure is not remembered. The function's context tells how
        long it may be under way: beyond that, it is taken to have died, and may be tried again.

        Raises ReusedKeyError if the same was asked for with another wish, StaleError if it is being done at
        this very moment, and whatever `act` raises.
        """

        def run(*, request: dict[str, str]) -> None:  # noqa: ARG001  (Powertools reads it)
            action()

        guarded = idempotent_function(
            run, data_keyword_argument="request", persistence_store=self._store, config=_config(context),
            key_prefix="once",
        )  # fmt: skip
        try:
            guarded(request={"operation": operation, "payload": hashlib.sha256(payload.encode()).hexdigest()})
        except IdempotencyValidationError as error:
            raise ReusedKeyError(
                "This Idempotency-Key was used for another request.", "Send a new key with a new request."
            ) from error
        except IdempotencyAlreadyInProgressError as error:
            raise StaleError("What this Idempotency-Key stands for") from error


def _config(context: Any) -> IdempotencyConfig:
    return IdempotencyConfig(
        event_key_jmespath="operation",
        payload_validation_jmespath="payload",
        expires_after_seconds=RETENTION_S,
        hash_function="sha256",
        lambda_context=context,
    )
