"""Errors as problem details (RFC 9457): the one table from an error to its HTTP status."""

from typing import Any

from chalice.app import Response
from pydantic import ValidationError

from events.base import Problem
from events.validation_messages import field_path, message
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
"""The nearest of an error's classes decides."""

TITLES = {
    400: "Malformed request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "No such method here",
    409: "Not as things stand",
    413: "Too large",
    422: "Cannot be done as asked",
    500: "Broken",
    504: "No answer in time",
}
MEDIA_TYPE = "application/problem+json"
CORS_HEADERS = {"Access-Control-Allow-Origin": "*"}
"""Any origin may read the answers: who calls proves it by a token that no browser sends by itself."""


class RequestError(Exception):
    """The HTTP request itself is not right."""

    def __init__(self, status: int, problem: Problem, locations: tuple[dict[str, Any], ...] = ()) -> None:
        super().__init__(problem.message)
        self.status, self.problem, self.locations = status, problem, locations


def malformed(message: str, advice: str) -> RequestError:
    return RequestError(400, Problem(code="malformed", message=message, advice=advice))


def too_large(limit: int) -> RequestError:
    message = f"The body is larger than {limit} bytes."
    return RequestError(413, Problem(code="too-large", message=message, advice="Send less at once."))


def no_such_route(method: str, path: str) -> RequestError:
    message = f"There is no route {method} {path}."
    return RequestError(
        404, Problem(code="no-such-route", message=message, advice="See GET /openapi.json for all of them.")
    )


def no_such_method(method: str, path: str, allowed: tuple[str, ...]) -> RequestError:
    message = f"{path} does not take {method}."
    advice = f"It takes {', '.join(sorted(allowed))}."
    return RequestError(405, Problem(code="no-such-method", message=message, advice=advice))


def validation_problem(error: ValidationError, where: str, status: int) -> RequestError:
    """What does not fit the schema, every place of it."""
    failures = error.errors(include_url=False, include_input=False)
    locations = tuple({"at": field_path(failure), "message": message(failure)} for failure in failures)
    first = locations[0]
    summary = f"The {where} is invalid: {first['at'] or where}: {first['message']}"
    advice = "See `errors` for every place, and GET /openapi.json for what fits."
    return RequestError(status, Problem(code="misfit", message=summary, advice=advice), locations)


def details(error: Exception, request_id: str) -> ProblemDetails:
    """An error as its caller gets to see it; what was not foreseen says nothing about its inside."""
    if isinstance(error, RequestError):
        return _details(error.status, error.problem, request_id, error.locations)
    if isinstance(error, errors.ForbiddenError):
        problem = _details(403, error.problem, request_id)
        return problem.model_copy(update={"policies": error.policies})
    if isinstance(error, errors.CrosshaulError):
        return _details(_status(error), error.problem, request_id, _syntax_errors(error))
    internal = Problem(
        code="internal",
        message=f"Something is broken in the control plane. The request's id is {request_id}.",
        advice="Try again; if it stays so, show an administrator the id: the log has the rest.",
    )
    return _details(500, internal, request_id)


def _syntax_errors(error: errors.CrosshaulError) -> tuple[dict[str, Any], ...]:
    """Places in a policy's text: `text:3:17` is its third line, seventeenth column."""
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
    return Response(
        body=problem.model_dump_json(),
        status_code=problem.status,
        headers={"Content-Type": MEDIA_TYPE, **CORS_HEADERS},
    )
