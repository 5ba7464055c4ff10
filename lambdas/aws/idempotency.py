"""Run an action once per Idempotency-Key, where what it creates has no natural id."""

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
"""How long a key is remembered."""


class Idempotency:
    """Powertools' idempotency; it stores digests only, since answers may contain secrets."""

    def __init__(self, table: str, client: Any) -> None:
        self._store = DynamoDBPersistenceLayer(table_name=table, boto3_client=client)

    def __call__(
        self, operation: str, payload: str, action: Callable[[], object], context: Any = None
    ) -> None:
        """Run the action, unless it was run before; a failure is not remembered.

        `context` is that of the Lambda function: an action that runs longer than its remaining time is
        considered interrupted, and may be retried.

        Raises:
            ReusedKeyError: The operation was run with another payload.
            StaleError: The operation is running at this moment.
            Exception: Whatever `action` raises.
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
            raise ReusedKeyError("This Idempotency-Key was used for another request.") from error
        except IdempotencyAlreadyInProgressError as error:
            raise StaleError("The request of this Idempotency-Key") from error


def _config(context: Any) -> IdempotencyConfig:
    return IdempotencyConfig(
        event_key_jmespath="operation",
        payload_validation_jmespath="payload",
        expires_after_seconds=RETENTION_S,
        hash_function="sha256",
        lambda_context=context,
    )
