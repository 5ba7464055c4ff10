"""Entry point of the API: pass API Gateway's event to Chalice, and answer for unknown routes itself."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.api.app import app
from lambdas.api.problems import RequestError, details, response
from lambdas.domain.problems import NO_SUCH_METHOD, NO_SUCH_ROUTE
from lambdas.telemetry import entry, logger, trace

_ABSENT: dict[str, Any] = {
    "headers": None,
    "multiValueQueryStringParameters": None,
    "pathParameters": None,
    "stageVariables": None,
    "body": None,
}
"""Keys of the event that Chalice reads without checking that they exist."""


@entry
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway."""
    if transfer_id := (event.get("pathParameters") or {}).get("transfer_id"):
        trace(transfer_id)
    answer: dict[str, Any] = _refusal(event) or app({**_ABSENT, **event}, context)
    logger.info("answered", extra=_facts(event, answer))
    return answer


def _refusal(event: dict[str, Any]) -> dict[str, Any] | None:
    """Answer unknown routes, unknown methods and preflights; Chalice would not answer in problem details."""
    context = event["requestContext"]
    method, path = context["httpMethod"], context["resourcePath"]
    methods = app.routes.get(path, {})
    if method in methods:
        return None
    if method == "OPTIONS" and methods:
        return {"statusCode": 204, "headers": preflight(methods), "body": ""}
    error = (
        RequestError(NO_SUCH_METHOD, method=method, route=path, allowed=", ".join(sorted(methods)))
        if methods
        else RequestError(NO_SUCH_ROUTE, method=method, route=path)
    )
    refusal: dict[str, Any] = response(details(error, context.get("requestId", "unknown"))).to_dict()
    if methods:
        refusal["headers"]["Allow"] = ", ".join(sorted(methods))
    return refusal


def preflight(methods: Any) -> dict[str, str]:
    """Return the CORS headers of a preflight; API Gateway answers most preflights itself."""
    return {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
        "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
        "Access-Control-Max-Age": "7200",
    }


def _facts(event: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    context = event["requestContext"]
    return {
        "method": context["httpMethod"],
        "route": context["resourcePath"],
        "status": answer["statusCode"],
        "request_id": context.get("requestId"),
    }
