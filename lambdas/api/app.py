"""The Chalice app: all routes, and nothing that needs AWS to be imported. Infra builds the API from it."""

from functools import cache
from typing import Any

from chalice.app import Chalice

from lambdas.api.agents import agents
from lambdas.api.audit import audit
from lambdas.api.buckets import buckets
from lambdas.api.policies import policies
from lambdas.api.rollouts import rollouts
from lambdas.api.routing import Resource, Route
from lambdas.api.system import system
from lambdas.api.templates import templates
from lambdas.api.transfers import transfers
from lambdas.api.updates import updates
from lambdas.domain.authorization import READ

description = Resource("system")


@description.get("/openapi.json", action=READ)
@cache
def describe() -> dict[str, Any]:
    """This description: OpenAPI 3.1."""
    from lambdas.api.openapi import document  # only few ask, and its schemas take a while

    return document(ROUTES)


RESOURCES = (agents, rollouts, updates, buckets, transfers, templates, policies, audit, system, description)

ROUTES: tuple[Route, ...] = tuple(route for resource in RESOURCES for route in resource.routes)

OPEN_ROUTES: frozenset[tuple[str, str]] = frozenset(
    (route.method, route.path) for route in ROUTES if route.action is None
)
"""(method, path) of those without a Cognito authoriser: nobody is asked, or the view asks for itself."""

app = Chalice("crosshaul", configure_logs=False, env={})

for resource in RESOURCES:
    app.register_blueprint(resource.blueprint)
