"""Errors as problem details (RFC 9457)."""

from typing import Any

from chalice.app import Response
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from events.base import Problem
from events.problem_type import ProblemType
from events.validation_messages import describe_error, error_wording, field_path
from events.views import ProblemDetails
from lambdas.domain.errors import CrosshaulError, ForbiddenError
from lambdas.domain.policy_text import InvalidPolicyError
from lambdas.domain.problems import INTERNAL

MEDIA_TYPE = "application/problem+json"
CORS_HEADERS = {"Access-Control-Allow-Origin": "*"}
"""Any origin may read the answers: callers authenticate by a token that no browser sends by itself."""


class RequestError(CrosshaulError):
    """The HTTP request itself is invalid; `locations` has every invalid field."""

    locations: tuple[dict[str, Any], ...] = ()

    def __init__(
        self, problem_type: ProblemType, detail: str = "", advice: str = "", **parameters: Any
    ) -> None:
        self.problem_type = problem_type
        super().__init__(detail, advice, **parameters)


def validation_problem(error: ValidationError, where: str, problem_type: ProblemType) -> RequestError:
    """Return the error for a request that does not match its model, with every invalid field."""
    failures = error.errors(include_url=False, include_input=False)
    locations = tuple(map(_location, failures))
    first = locations[0]
    problem = RequestError(problem_type, first=f"{first['at'] or where}: {first['message']}")
    problem.locations = locations
    return problem


def _location(failure: ErrorDetails) -> dict[str, Any]:
    wording, parameters = error_wording(failure)
    message = describe_error(failure)
    return {"at": field_path(failure), "message": message, "wording": wording, "parameters": parameters}


def details(error: Exception, request_id: str) -> ProblemDetails:
    """Return an error as the caller sees it; an unexpected one reveals nothing of its cause."""
    if not isinstance(error, CrosshaulError):
        return _details(INTERNAL, INTERNAL.problem(request_id=request_id), request_id)
    found = _details(error.problem_type, error.problem, request_id)
    match error:
        case ForbiddenError():
            return found.model_copy(update={"policies": error.policies})
        case RequestError():
            return found.model_copy(update={"errors": error.locations})
        case InvalidPolicyError():
            return found.model_copy(update={"errors": _syntax_errors(error)})
    return found


def _syntax_errors(error: InvalidPolicyError) -> tuple[dict[str, Any], ...]:
    """Return where a policy's text is invalid: `text:3:17` is line 3, column 17."""
    return tuple(
        {"at": f"text:{syntax_error.line}:{syntax_error.column}", "message": syntax_error.message}
        for syntax_error in error.flaws
    )


def _details(problem_type: ProblemType, problem: Problem, request_id: str) -> ProblemDetails:
    return ProblemDetails(
        type=f"urn:crosshaul:problem:{problem.code}",
        title=problem_type.title,
        status=problem_type.status or 500,
        detail=problem.message,
        instance=f"urn:crosshaul:request:{request_id}",
        advice=problem.advice,
        wording=problem.wording,
        parameters=problem.parameters
        if problem.path is None
        else {**problem.parameters, "path": problem.path},
    )


def response(problem: ProblemDetails) -> Response:
    """Return the HTTP response of a problem."""
    return Response(
        body=problem.model_dump_json(),
        status_code=problem.status,
        headers={"Content-Type": MEDIA_TYPE, **CORS_HEADERS},
    )
