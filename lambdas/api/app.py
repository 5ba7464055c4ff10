"""The Chalice app with all routes. Importing it needs no AWS, so infra builds API Gateway from it."""

from functools import cache
from typing import Any

from chalice.app import Chalice

from lambdas.api.agents import agents
from lambdas.api.audit import audit
from lambdas.api.buckets import buckets
from lambdas.api.policies import policies
from lambdas.api.rollouts import rollouts
from lambdas.api.routing import Route, RouteGroup
from lambdas.api.system import system
from lambdas.api.templates import templates
from lambdas.api.transfers import transfers
from lambdas.api.updates import updates
from lambdas.domain.authorization import READ

description = RouteGroup("system")


@description.get("/openapi.json", action=READ)
@cache
def describe() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of this API."""
    from lambdas.api.openapi import document  # imported on demand: building the schemas is slow

    return document(ROUTES)


RESOURCES = (agents, rollouts, updates, buckets, transfers, templates, policies, audit, system, description)

ROUTES: tuple[Route, ...] = tuple(route for resource in RESOURCES for route in resource.routes)

OPEN_ROUTES: frozenset[tuple[str, str]] = frozenset(
    (route.method, route.path) for route in ROUTES if route.action is None
)
"""(method, path) of routes without a Cognito authorizer: public, or checked by the view itself."""

app = Chalice("crosshaul", configure_logs=False, env={})

for resource in RESOURCES:
    app.register_blueprint(resource.blueprint)
