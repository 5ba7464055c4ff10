"""Routes, each told once: Chalice dispatches by them, API Gateway's resources and the OpenAPI description
are made from them.

A view says by its annotations what it takes and gives:

    @agents.post("/agents/{agent_id}/browse", may=BROWSE)
    def browse(call: Call, agent_id: AgentId, body: BrowseRequest) -> ListingView: ...

`body` is parsed from the request's body, `query` from its query string, `call` is the request itself, and
everything else comes from the path.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from chalice.app import Blueprint, Response
from pydantic import BaseModel

from events.views import ProblemDetails
from lambdas import wiring
from lambdas.api.calls import Call, parse_body, parse_path, parse_query
from lambdas.api.problems import ANYWHERE, details, response
from lambdas.audit.recorder import AuditEvent
from lambdas.telemetry import logger

View = TypeVar("View", bound=Callable[..., Any])
Answer = BaseModel | dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    view: Callable[..., Any]
    may: str | None
    """The action of the policies' schema that it takes; None: the view asks nobody, or asks for itself."""
    status: int
    tag: str
    keyed: bool
    """Does an Idempotency-Key make repeating it harmless?"""
    max_body: int

    @property
    def takes(self) -> dict[str, Any]:
        """The view's parameters and their types."""
        return {name: kind for name, kind in self.view.__annotations__.items() if name != "return"}

    @property
    def gives(self) -> Any:
        return self.view.__annotations__["return"]

    def run(self, call: Call, path: dict[str, str]) -> Answer:
        """Check, parse, ask the view. What is about something narrower than Crosshaul, the view checks again
        when it knows about what."""
        if self.may is not None:
            wiring.authorizer().precheck(call.caller, self.may)
        readers: dict[str, Callable[[Any], Any]] = {
            "call": lambda _: call,
            "body": lambda kind: parse_body(kind, call, self.max_body),
            "query": lambda kind: parse_query(kind, call),
        }
        taken = {
            name: readers[name](kind) if name in readers else parse_path(kind, name, path[name])
            for name, kind in self.takes.items()
        }
        answer: Answer = self.view(**taken)
        return answer


class Resource:
    """A Chalice blueprint whose views are parsed for, checked and answered in one place."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.routes: list[Route] = []
        self.blueprint = Blueprint(__name__)

    def get(self, path: str, **how: Any) -> Callable[[View], View]:
        return self._add("GET", path, **how)

    def post(self, path: str, **how: Any) -> Callable[[View], View]:
        return self._add("POST", path, **how)

    def put(self, path: str, **how: Any) -> Callable[[View], View]:
        return self._add("PUT", path, **how)

    def patch(self, path: str, **how: Any) -> Callable[[View], View]:
        return self._add("PATCH", path, **how)

    def delete(self, path: str, **how: Any) -> Callable[[View], View]:
        return self._add("DELETE", path, **how)

    def _add(
        self,
        method: str,
        path: str,
        *,
        may: str | None,
        status: int = 200,
        keyed: bool = False,
        max_body: int = 512 * 1024,
    ) -> Callable[[View], View]:
        def register(view: View) -> View:
            route = Route(
                method=method, path=path, view=view, may=may, status=status, tag=self.tag, keyed=keyed,
                max_body=max_body,
            )  # fmt: skip
            self.routes.append(route)
            self.blueprint.route(path, methods=[method], content_types=[], name=view.__name__)(
                self._served(route)
            )
            return view

        return register

    def _served(self, route: Route) -> Callable[..., Response]:
        """What Chalice calls: it must not see an exception, since it would answer in its own words."""

        def serve(**path: str) -> Response:
            call = Call(self.blueprint.current_request)
            try:
                return _success(route, route.run(call, path))
            except Exception as error:
                problem = details(error, call.request_id)
                if problem.status in _REFUSALS:
                    _record(call, path, problem)
                return _failure(error, problem)

        return serve


def _success(route: Route, answer: Answer) -> Response:
    headers: dict[str, str | list[str]] = {"Content-Type": "application/json", **ANYWHERE}
    if answer is None:
        return Response(body="", status_code=204, headers=headers)
    body = answer.model_dump_json() if isinstance(answer, BaseModel) else answer
    return Response(body=body, status_code=route.status, headers=headers)


_REFUSALS = {401, 403, 422}
"""Who may not, and what cannot be: paths outside a root, names that are tricks. Each is recorded."""


def _record(call: Call, path: dict[str, str], problem: ProblemDetails) -> None:
    """What was tried, and by whom."""
    deed = AuditEvent(
        action=call.what,
        about=f"{call.what.partition(' ')[0]} {call.path}",
        policies=problem.policies,
        agents=(path["agent_id"],) if "agent_id" in path else (),
        transfer_id=path.get("transfer_id"),
    )
    wiring.audit_recorder().record_refusal(call.principal_name, deed, problem.detail)


def _failure(error: Exception, problem: ProblemDetails) -> Response:
    if problem.status >= 500:
        logger.exception("request failed", exc_info=error)
    else:
        logger.info("request refused", extra={"status": problem.status, "problem": problem.type})
    return response(problem)
