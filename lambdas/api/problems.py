"""Errors as problem details (RFC 9457), and the one table from an error to its HTTP status."""

from typing import Any

from chalice.app import Response
from pydantic import ValidationError

from events.base import Problem
from events.validation_messages import describe_error, field_path
from events.views import ProblemDetails
from lambdas.domain import errors
from lambdas.domain.policy_text import InvalidPolicyError

STATUS: dict[type[Exception], int] = {
    errors.NotFoundError: 404,
    errors.RefusedError: 422,
    errors.CursorError: 400,
    errors.ConflictError: 409,
    errors.ReusedKeyError: 422,
    errors.NotSignedInError: 401,
    errors.ForbiddenError: 403,
    errors.AgentSilentError: 504,
    errors.BucketSilentError: 504,
}
"""The first class in an error's method resolution order that is listed here decides."""

TITLES = {
    400: "Malformed request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    422: "Unprocessable request",
    500: "Internal error",
    504: "Timed out",
}
MEDIA_TYPE = "application/problem+json"
CORS_HEADERS = {"Access-Control-Allow-Origin": "*"}
"""Any origin may read the answers: callers authenticate by a token that no browser sends by itself."""


class RequestError(Exception):
    """The HTTP request itself is invalid."""

    def __init__(self, status: int, problem: Problem, locations: tuple[dict[str, Any], ...] = ()) -> None:
        super().__init__(problem.message)
        self.status, self.problem, self.locations = status, problem, locations


def malformed(message: str, advice: str) -> RequestError:
    """Return the error of a request that cannot be parsed."""
    return RequestError(400, Problem(code="malformed", message=message, advice=advice))


def too_large(limit: int) -> RequestError:
    """Return the error of a body of more than `limit` bytes."""
    message = f"The body is larger than {limit} bytes."
    return RequestError(413, Problem(code="too-large", message=message, advice="Send less in one request."))


def no_such_route(method: str, path: str) -> RequestError:
    """Return the error of an unknown path."""
    message = f"There is no route {method} {path}."
    return RequestError(
        404, Problem(code="no-such-route", message=message, advice="See GET /openapi.json for all of them.")
    )


def no_such_method(method: str, path: str, allowed: tuple[str, ...]) -> RequestError:
    """Return the error of a path that does not take the method."""
    message = f"{path} does not take {method}."
    advice = f"It takes {', '.join(sorted(allowed))}."
    return RequestError(405, Problem(code="no-such-method", message=message, advice=advice))


def validation_problem(error: ValidationError, where: str, status: int) -> RequestError:
    """Return the error for a request that does not match its model, with every invalid field."""
    failures = error.errors(include_url=False, include_input=False)
    locations = tuple({"at": field_path(failure), "message": describe_error(failure)} for failure in failures)
    first = locations[0]
    summary = f"The {where} is invalid: {first['at'] or where}: {first['message']}"
    advice = "See `errors` for every invalid field, and GET /openapi.json for the schema."
    return RequestError(status, Problem(code="misfit", message=summary, advice=advice), locations)


def details(error: Exception, request_id: str) -> ProblemDetails:
    """Return an error as the caller sees it; an unexpected one reveals nothing of its cause."""
    if isinstance(error, RequestError):
        return _details(error.status, error.problem, request_id, error.locations)
    if isinstance(error, errors.ForbiddenError):
        problem = _details(403, error.problem, request_id)
        return problem.model_copy(update={"policies": error.policies})
    if isinstance(error, errors.CrosshaulError):
        return _details(_status(error), error.problem, request_id, _syntax_errors(error))
    internal = Problem(
        code="internal",
        message=f"Internal error in the control plane. The request id is {request_id}.",
        advice="Try again; if it fails again, give an administrator the request id: the log has the cause.",
    )
    return _details(500, internal, request_id)


def _syntax_errors(error: errors.CrosshaulError) -> tuple[dict[str, Any], ...]:
    """Return where a policy's text is invalid: `text:3:17` is line 3, column 17."""
    if not isinstance(error, InvalidPolicyError):
        return ()
    return tuple(
        {"at": f"text:{syntax_error.line}:{syntax_error.column}", "message": syntax_error.message}
        for syntax_error in error.flaws
    )


def _status(error: errors.CrosshaulError) -> int:
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def _details(
    status: int, problem: Problem, request_id: str, locations: tuple[dict[str, Any], ...] = ()
) -> ProblemDetails:
    return ProblemDetails(
        type=f"urn:crosshaul:problem:{problem.code}",
        title=TITLES[status],
        status=status,
        detail=problem.message,
        instance=f"urn:crosshaul:request:{request_id}",
        advice=problem.advice,
        errors=locations,
    )


def response(problem: ProblemDetails) -> Response:
    """Return the HTTP response of a problem."""
    return Response(
        body=problem.model_dump_json(),
        status_code=problem.status,
        headers={"Content-Type": MEDIA_TYPE, **CORS_HEADERS},
    )
