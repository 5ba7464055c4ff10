"""Routes, each declared once: Chalice, API Gateway and the OpenAPI document are built from them.

A view declares by its annotations what it takes and returns:

    @agents.post("/agents/{agent_id}/browse", action=BROWSE)
    def browse(call: Call, agent_id: AgentId, body: BrowseRequest) -> ListingView: ...

`body` is parsed from the request's body and `query` from its query string, `call` is the request itself,
and all other parameters come from the path.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from chalice.app import Blueprint, Response
from pydantic import BaseModel

from events.views import ProblemDetails
from lambdas import wiring
from lambdas.api.calls import Call, parse_body, parse_path, parse_query
from lambdas.api.problems import CORS_HEADERS, details, response
from lambdas.audit.recorder import AuditEvent
from lambdas.domain import problems
from lambdas.domain.errors import CrosshaulError
from lambdas.telemetry import logger

View = TypeVar("View", bound=Callable[..., Any])
Answer = BaseModel | dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    view: Callable[..., Any]
    action: str | None
    """The policy action that a caller needs; None: the route is public, or the view authorizes itself."""
    status: int
    tag: str
    idempotent: bool
    """Whether the route honors an Idempotency-Key."""
    max_body: int
    """Bytes."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the view and their types."""
        return {name: type_ for name, type_ in self.view.__annotations__.items() if name != "return"}

    @property
    def return_type(self) -> Any:
        """The type that the view returns."""
        return self.view.__annotations__["return"]

    def respond(self, call: Call, path: dict[str, str]) -> Answer:
        """Precheck the caller, parse the request and call the view.

        A view that acts on one resource authorizes the caller again, for that resource.
        """
        if self.action is not None:
            wiring.authorizer().precheck(call.caller, self.action)
        parsers: dict[str, Callable[[Any], Any]] = {
            "call": lambda _: call,
            "body": lambda type_: parse_body(type_, call, self.max_body),
            "query": lambda type_: parse_query(type_, call),
        }
        arguments = {
            name: parsers[name](type_) if name in parsers else parse_path(type_, name, path[name])
            for name, type_ in self.parameters.items()
        }
        answer: Answer = self.view(**arguments)
        return answer


class RouteGroup:
    """A Chalice blueprint; authorization, parsing and errors of its views are handled in one place."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.routes: list[Route] = []
        self.blueprint = Blueprint(__name__)

    def get(self, path: str, **options: Any) -> Callable[[View], View]:
        return self._route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[View], View]:
        return self._route("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[View], View]:
        return self._route("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[View], View]:
        return self._route("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[View], View]:
        return self._route("DELETE", path, **options)

    def _route(
        self,
        method: str,
        path: str,
        *,
        action: str | None,
        status: int = 200,
        idempotent: bool = False,
        max_body: int = 512 * 1024,
    ) -> Callable[[View], View]:
        def register(view: View) -> View:
            route = Route(
                method=method,
                path=path,
                view=view,
                action=action,
                status=status,
                tag=self.tag,
                idempotent=idempotent,
                max_body=max_body,
            )
            self.routes.append(route)
            self.blueprint.route(path, methods=[method], content_types=[], name=view.__name__)(
                self._handler(route)
            )
            return view

        return register

    def _handler(self, route: Route) -> Callable[..., Response]:
        """Return what Chalice calls. It raises nothing: Chalice would not answer in problem details."""

        def handle(**path: str) -> Response:
            call = Call(self.blueprint.current_request)
            try:
                return _success(route, route.respond(call, path))
            except Exception as error:
                problem = details(error, call.request_id)
                if _is_refusal(error):
                    _record_refusal(call, path, problem)
                return _failure(error, problem)

        return handle


def _success(route: Route, answer: Answer) -> Response:
    headers: dict[str, str | list[str]] = {"Content-Type": "application/json", **CORS_HEADERS}
    if answer is None:
        return Response(body="", status_code=204, headers=headers)
    body = answer.model_dump_json() if isinstance(answer, BaseModel) else answer
    return Response(body=body, status_code=route.status, headers=headers)


_AUDITED_PROBLEMS = {
    problems.INVALID_BODY,
    problems.OUTSIDE_ROOTS,
    problems.READ_ONLY,
    problems.REMOTE_UNKNOWN,
    problems.CERTIFICATE,
    problems.AGENT_NAME,
    problems.POLICY_LOCKOUT,
}
"""Problems with status 422 that are refusals: a request for what is beyond the caller's reach, or a crafted
name. A policy with a syntax error, or a directory that its agent cannot read, is a mistake and no refusal."""


def _is_refusal(error: Exception) -> bool:
    """Return whether an error is audited: an unauthorized caller, or a request beyond what anybody may do."""
    if not isinstance(error, CrosshaulError):
        return False
    return error.problem_type.status in {401, 403} or error.problem_type in _AUDITED_PROBLEMS


def _record_refusal(call: Call, path: dict[str, str], problem: ProblemDetails) -> None:
    """Audit what was tried, and by whom."""
    event = AuditEvent(
        action=call.operation,
        about=f"{call.operation.partition(' ')[0]} {call.path}",
        policies=problem.policies,
        agents=(path["agent_id"],) if "agent_id" in path else (),
        transfer_id=path.get("transfer_id"),
    )
    wiring.audit_recorder().record_refusal(call.principal, event, problem.detail, call.body_digest)


def _failure(error: Exception, problem: ProblemDetails) -> Response:
    if problem.status >= 500:
        logger.exception("request failed", exc_info=error)
    else:
        logger.info("request refused", extra={"status": problem.status, "problem": problem.type})
    return response(problem)
