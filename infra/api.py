"""The HTTP API: one resource and method for every route of the Chalice app, so that they cannot drift."""

import json
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.stage import Stage
from infra.suppressions import suppress_finding
from lambdas.api.app import OPEN_ROUTES, app

STAGE = "v1"
BURST_REQUESTS, REQUESTS_PER_SECOND = 200, 100
"""API Gateway throttling for all callers together: burst, and steady rate."""
CORS = {
    "Access-Control-Allow-Origin": "'*'",
    "Access-Control-Allow-Headers": "'Authorization,Content-Type,Idempotency-Key'",
    "Access-Control-Allow-Methods": "'GET,POST,PUT,PATCH,DELETE,OPTIONS'",
}
"""Any origin may call: callers prove who they are by a token, which browsers do not send by themselves."""


class Api(Construct):
    """API Gateway in front of the API function."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        stage: Stage,
        *,
        function: lambda_.Function,
        people: cognito.UserPool,
    ) -> None:
        super().__init__(scope, name)
        self.rest = apigateway.RestApi(
            self,
            "Rest",
            rest_api_name=f"crosshaul-{stage.name}",
            description="Crosshaul: agents, transfers, templates",
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE,
                throttling_burst_limit=BURST_REQUESTS,
                throttling_rate_limit=REQUESTS_PER_SECOND,
            ),
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            endpoint_export_name=None,
            cloud_watch_role=False,
        )
        self._integration = apigateway.LambdaIntegration(
            function, allow_test_invoke=False, scope_permission_to_method=False
        )
        self._authorizer = apigateway.CognitoUserPoolsAuthorizer(self, "People", cognito_user_pools=[people])
        for path, methods in app.routes.items():
            self._add_route(path, list(methods))
        _problems(self.rest)
        for rule, why in _SUPPRESSED.items():
            suppress_finding(self.rest, why, rule)
        self.url = stage.api_url(self.rest.rest_api_id, STAGE, Stack.of(self).region)
        self.origin = stage.api_origin(self.rest.rest_api_id, Stack.of(self).region)

    def _add_route(self, path: str, methods: list[str]) -> None:
        resource = self.rest.root.resource_for_path(path)
        for method in methods:
            made = resource.add_method(method, self._integration, **self._authorization(method, path))
            if (method, path) in OPEN_ROUTES:
                suppress_finding(made, _OPEN[path], "APIG4", "COG4")
        _answer_preflight(resource)

    def _authorization(self, method: str, path: str) -> dict[str, Any]:
        if (method, path) in OPEN_ROUTES:
            return {"authorization_type": apigateway.AuthorizationType.NONE}
        return {"authorizer": self._authorizer, "authorization_type": apigateway.AuthorizationType.COGNITO}


def _answer_preflight(resource: apigateway.Resource) -> None:
    """Answer OPTIONS (CORS preflight) in API Gateway itself, without a token."""
    resource.add_cors_preflight(
        allow_origins=apigateway.Cors.ALL_ORIGINS,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
    )


def _problems(rest: apigateway.RestApi) -> None:
    """Format API Gateway's own refusals as problem details (RFC 9457), like the function's."""
    headers = CORS | {"Content-Type": "'application/problem+json'"}
    for kind, code, status in _OWN_REFUSALS:
        rest.add_gateway_response(
            code.title().replace("-", ""),
            type=kind,
            status_code=status if status.isdigit() else None,
            response_headers=headers,
            templates={"application/json": _problem(code, status)},
        )


def _problem(code: str, status: str) -> str:
    """Return a mapping template; its variables are API Gateway's."""
    body = {
        "type": f"urn:crosshaul:problem:{code}",
        "title": _ADVICE[code][0],
        "status": -1,
        "detail": "$context.error.message",
        "advice": _ADVICE[code][1],
    }
    return json.dumps(body).replace("-1", status)


_BY_KEY = "An agent comes with its own key, and is no person"
_OPEN = {
    "/health": "It says where people sign in, which they ask before they have",
    "/agents/register": "An enrollment token authenticates the host, which has no other credentials yet",
    "/agents/{agent_id}/credentials": _BY_KEY,
    "/agents/{agent_id}/certificates": _BY_KEY,
    "/agents/{agent_id}/manifests": _BY_KEY,
    "/agents/{agent_id}/update": _BY_KEY,
}
_LOGGED = "The function logs every answer; API Gateway's own log takes a role for the whole account"
_SUPPRESSED = {
    "APIG1": _LOGGED,
    "APIG2": "The function parses every part by its model, and says in problem details what does not fit",
    "APIG3": "Almost nothing answers without a token; a company's own firewall belongs in front of it",
    "APIG6": _LOGGED,
}

_ANY_STATUS = "$context.status"
_OWN_REFUSALS = (
    (apigateway.ResponseType.UNAUTHORIZED, "not-signed-in", "401"),
    (apigateway.ResponseType.ACCESS_DENIED, "forbidden", "403"),
    (apigateway.ResponseType.MISSING_AUTHENTICATION_TOKEN, "no-such-route", "404"),
    (apigateway.ResponseType.THROTTLED, "too-many-requests", "429"),
    (apigateway.ResponseType.REQUEST_TOO_LARGE, "too-large", "413"),
    (apigateway.ResponseType.DEFAULT_4_XX, "refused", _ANY_STATUS),
    (apigateway.ResponseType.DEFAULT_5_XX, "unavailable", _ANY_STATUS),
)
_ADVICE = {
    "not-signed-in": ("Not signed in", "Sign in: crosshaul login URL."),
    "forbidden": ("Not allowed", "Ask an administrator for the right group."),
    "no-such-route": ("There is no such route", "See /openapi.json for the routes there are."),
    "too-many-requests": ("Too many requests", "Wait a moment and try again."),
    "too-large": ("The request is too large", "Send less at once."),
    "refused": ("Refused", "Look at the request again."),
    "unavailable": ("Not available", "Try again; if it stays so, look at the function's log."),
}
