"""The HTTP API: one resource and method for every route of the Chalice app, so that they cannot drift."""

import json
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from events.problem_type import ProblemType
from infra.stage import Stage
from infra.suppressions import suppress_finding
from lambdas.api.app import OPEN_ROUTES, app
from lambdas.domain import problems

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
    for kind, problem_type in _OWN_REFUSALS:
        status = None if problem_type in _ANY_STATUS else str(problem_type.status)
        rest.add_gateway_response(
            problem_type.code.title().replace("-", ""),
            type=kind,
            status_code=status,
            response_headers=headers,
            templates={"application/json": _problem(problem_type, status or "$context.status")},
        )


def _problem(problem_type: ProblemType, status: str) -> str:
    """Return a mapping template; its variables are API Gateway's."""
    body = {
        "type": f"urn:crosshaul:problem:{problem_type.code}",
        "title": problem_type.title,
        "status": -1,
        "detail": "$context.error.message",
        "advice": _FORBIDDEN_ADVICE if problem_type is problems.FORBIDDEN else problem_type.advice,
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

_FORBIDDEN_ADVICE = "Ask an administrator for the right group."
"""API Gateway knows no policies, so its advice is not that of the function."""
_OWN_REFUSALS = (
    (apigateway.ResponseType.UNAUTHORIZED, problems.NOT_SIGNED_IN),
    (apigateway.ResponseType.ACCESS_DENIED, problems.FORBIDDEN),
    (apigateway.ResponseType.MISSING_AUTHENTICATION_TOKEN, problems.NO_SUCH_ROUTE),
    (apigateway.ResponseType.THROTTLED, problems.TOO_MANY_REQUESTS),
    (apigateway.ResponseType.REQUEST_TOO_LARGE, problems.TOO_LARGE),
    (apigateway.ResponseType.DEFAULT_4_XX, problems.REFUSED),
    (apigateway.ResponseType.DEFAULT_5_XX, problems.UNAVAILABLE),
)
_ANY_STATUS = {problems.REFUSED, problems.UNAVAILABLE}
"""Problems whose answers keep the status that API Gateway gives them."""
