"""The HTTP API: one resource and method for every route of the Chalice app, so that they cannot drift."""

import json
from dataclasses import dataclass
from typing import Any

from aws_cdk import Aws, Duration, Size, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from events.problem_type import ProblemType
from infra.stage import Stage
from infra.suppressions import suppress_finding
from lambdas.api.app import OPEN_ROUTES, app
from lambdas.domain import problems
from lambdas.telemetry import NAMESPACE

STAGE = "v1"
BURST_REQUESTS, REQUESTS_PER_SECOND = 200, 100
"""API Gateway throttling for all callers together: burst, and steady rate."""
PREFLIGHT_LIFETIME = Duration.hours(2)
"""How long browsers reuse the answer to a preflight; Chromium reuses none longer."""
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
        self.refusals: cloudwatch.Metric | None = None
        """Requests that were refused for their number; None: no log shows them."""
        self.rest = apigateway.RestApi(
            self,
            "Rest",
            rest_api_name=f"crosshaul-{stage.name}",
            description="Crosshaul: agents, transfers, templates",
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE,
                throttling_burst_limit=BURST_REQUESTS,
                throttling_rate_limit=REQUESTS_PER_SECOND,
                method_options={
                    f"{path}/{method}": apigateway.MethodDeploymentOptions(
                        throttling_burst_limit=_OPEN[path].burst, throttling_rate_limit=_OPEN[path].rate
                    )
                    for method, path in sorted(OPEN_ROUTES)
                },
                tracing_enabled=stage.settings.tracing,
                **self._access_log(stage),
            ),
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            endpoint_export_name=None,
            min_compression_size=Size.kibibytes(1),
            cloud_watch_role=False,
        )
        self._integration = _integration(self, function)
        function.add_permission(
            "Api",
            principal=iam.ServicePrincipal("apigateway.amazonaws.com"),
            source_arn=self.rest.arn_for_execute_api("*", "/*", STAGE),
        )
        self._authorizer = apigateway.CognitoUserPoolsAuthorizer(self, "People", cognito_user_pools=[people])
        for path, methods in app.routes.items():
            self._add_route(path, list(methods))
        _problems(self.rest)
        for rule, why in _SUPPRESSED.items():
            suppress_finding(self.rest, why, rule)
        if not stage.settings.access_log:
            suppress_finding(self.rest, _NO_ACCESS_LOG, "APIG1")
        if stage.settings.requests_per_address:
            self._firewall(stage.name, stage.settings.requests_per_address)
        else:
            suppress_finding(self.rest, _NO_FIREWALL, "APIG3")
        self.url, *self.former_urls = stage.api_urls(self.rest.rest_api_id, STAGE, Stack.of(self).region)
        self.dns_targets = self._domains(stage)
        self.origins = stage.api_origins(self.rest.rest_api_id, Stack.of(self).region)

    def _add_route(self, path: str, methods: list[str]) -> None:
        resource = self.rest.root.resource_for_path(path)
        for method in methods:
            made = resource.add_method(method, self._integration, **self._authorization(method, path))
            if (method, path) in OPEN_ROUTES:
                suppress_finding(made, _OPEN[path].why, "APIG4", "COG4")
        _answer_preflight(resource)

    def _authorization(self, method: str, path: str) -> dict[str, Any]:
        if (method, path) in OPEN_ROUTES:
            return {"authorization_type": apigateway.AuthorizationType.NONE}
        return {"authorizer": self._authorizer, "authorization_type": apigateway.AuthorizationType.COGNITO}

    def _access_log(self, stage: Stage) -> dict[str, Any]:
        """Return the stage options that log each request, also those that no function sees.

        API Gateway logs by one role of the whole account and region. The stage does not set it, since that
        would replace the role of others.
        """
        if not stage.settings.access_log:
            return {}
        log = logs.LogGroup(self, "AccessLog", retention=stage.log_retention, removal_policy=stage.removal)
        fields = {
            "requestId": "$context.requestId",
            "at": "$context.requestTime",
            "address": "$context.identity.sourceIp",
            "method": "$context.httpMethod",
            "route": "$context.resourcePath",
            "status": "$context.status",
            "refusal": "$context.error.responseType",
            "milliseconds": "$context.responseLatency",
        }
        self.refusals = _count_refusals(log, stage)
        return {
            "access_log_destination": apigateway.LogGroupLogDestination(log),
            "access_log_format": apigateway.AccessLogFormat.custom(json.dumps(fields)),
        }

    def _domains(self, stage: Stage) -> dict[str, str]:
        """Let the API answer under the company's own names; return the DNS target of each."""
        stage.check_certificates(self)
        targets = {}
        for domain in stage.settings.api_domains:
            made = apigateway.DomainName(
                self,
                f"Domain-{domain.name}",
                domain_name=domain.name,
                certificate=acm.Certificate.from_certificate_arn(
                    self, f"Certificate-{domain.name}", domain.certificate
                ),
                endpoint_type=apigateway.EndpointType.REGIONAL,
                security_policy=apigateway.SecurityPolicy.TLS_1_2,
            )
            made.add_base_path_mapping(self.rest)
            targets[domain.name] = made.domain_name_alias_domain_name
        return targets

    def _firewall(self, stage_name: str, requests_per_address: int) -> None:
        """Block addresses that send more than so many requests in five minutes."""
        visible = wafv2.CfnWebACL.VisibilityConfigProperty(
            cloud_watch_metrics_enabled=True,
            metric_name=f"crosshaul-{stage_name}",
            sampled_requests_enabled=True,
        )
        rate = wafv2.CfnWebACL.RuleProperty(
            name="RatePerAddress",
            priority=0,
            action=wafv2.CfnWebACL.RuleActionProperty(block={}),
            statement=wafv2.CfnWebACL.StatementProperty(
                rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
                    limit=requests_per_address, aggregate_key_type="IP", evaluation_window_sec=300
                )
            ),
            visibility_config=visible,
        )
        firewall = wafv2.CfnWebACL(
            self,
            "Firewall",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            rules=[rate],
            visibility_config=visible,
        )
        wafv2.CfnWebACLAssociation(
            self,
            "FirewallOfStage",
            resource_arn=self.rest.deployment_stage.stage_arn,
            web_acl_arn=firewall.attr_arn,
        )


def _count_refusals(log: logs.LogGroup, stage: Stage) -> cloudwatch.Metric:
    """Count what API Gateway refuses with 429, which it has no metric for."""
    refused = logs.MetricFilter(
        log,
        "Refused",
        log_group=log,
        filter_pattern=logs.FilterPattern.string_value("$.status", "=", "429"),
        metric_namespace=NAMESPACE,
        metric_name=f"RequestsRefused-{stage.name}",  # a filter has no dimensions but fields of the log
        metric_value="1",
    )
    return refused.metric(statistic="Sum", period=Duration.minutes(5))


def _integration(scope: Construct, function: lambda_.Function) -> apigateway.Integration:
    """Return the function as proxy integration.

    CDK's `LambdaIntegration` would also let API Gateway's test console call the function, past the stage with
    its throttling, its log and its firewall.
    """
    region = Stack.of(scope).region
    return apigateway.Integration(
        type=apigateway.IntegrationType.AWS_PROXY,
        integration_http_method="POST",
        uri=f"arn:{Aws.PARTITION}:apigateway:{region}:lambda:path/2015-03-31/functions/{function.function_arn}"
        "/invocations",
    )


def _answer_preflight(resource: apigateway.Resource) -> None:
    """Answer OPTIONS (CORS preflight) in API Gateway itself, without a token."""
    resource.add_cors_preflight(
        allow_origins=apigateway.Cors.ALL_ORIGINS,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
        max_age=PREFLIGHT_LIFETIME,
    )


def _problems(rest: apigateway.RestApi) -> None:
    """Format API Gateway's own refusals as problem details (RFC 9457), like the function's."""
    headers = CORS | {"Content-Type": "'application/problem+json'"}
    for kind, problem_type in _OWN_REFUSALS:
        status = None if problem_type in _ANY_STATUS else str(problem_type.status)
        rest.add_gateway_response(
            kind.response_type.title().replace("_", ""),
            type=kind,
            status_code=status,
            response_headers=headers,
            templates={"application/json": _problem(problem_type, status)},
        )


def _problem(problem_type: ProblemType, status: str | None) -> str:
    """Return a mapping template; its variables are API Gateway's.

    `messageString` is the message as a JSON string, with its quotes; `message` would not be escaped.
    `$context.status` is for access logs only and would be empty here, so that a status that is not known is
    left out: readers take that of the answer.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
    """
    body = {
        "type": f"urn:crosshaul:problem:{problem_type.code}",
        "title": problem_type.title,
        **({} if status is None else {"status": int(status)}),
        "detail": "$detail",
        "advice": _FORBIDDEN_ADVICE if problem_type is problems.FORBIDDEN else problem_type.advice,
    }
    return json.dumps(body).replace('"$detail"', "$context.error.messageString")


@dataclass(frozen=True)
class _OpenRoute:
    """A route without a person's token. Its own throttle keeps strangers from using up that of all."""

    why: str
    rate: int
    """Requests a second, of all callers together."""
    burst: int


_BY_KEY = _OpenRoute("An agent comes with its own key, and is no person", rate=50, burst=100)
_OPEN = {
    "/health": _OpenRoute("It says where people sign in, which they ask before they have", rate=20, burst=40),
    "/agents/register": _OpenRoute(
        "An enrollment token authenticates the host, which has no other credentials yet", rate=20, burst=50
    ),
    "/agents/{agent_id}/credentials": _BY_KEY,
    "/agents/{agent_id}/certificates": _BY_KEY,
    "/agents/{agent_id}/manifests": _BY_KEY,
    "/agents/{agent_id}/update": _BY_KEY,
}
_SUPPRESSED = {
    "APIG2": "The function parses every part by its model, and says in problem details what does not fit",
    "APIG6": "The function logs every answer; the execution log would add headers with tokens, and bodies",
}
"""Reasons of accepted findings, by rule."""
_NO_ACCESS_LOG = (
    "It is switched on by accessLog, if the account has the role for it; the function logs every answer"
)
_NO_FIREWALL = (
    "AWS WAF is switched on by requestsPerAddress; without it every open route has a throttle of its own"
)

_FORBIDDEN_ADVICE = "Ask an administrator for the right group."
"""API Gateway knows no policies, so its advice is not that of the function."""
_OWN_REFUSALS = (
    (apigateway.ResponseType.UNAUTHORIZED, problems.NOT_SIGNED_IN),
    (apigateway.ResponseType.ACCESS_DENIED, problems.FORBIDDEN),
    (apigateway.ResponseType.MISSING_AUTHENTICATION_TOKEN, problems.NO_SUCH_ROUTE),
    (apigateway.ResponseType.THROTTLED, problems.TOO_MANY_REQUESTS),
    (apigateway.ResponseType.WAF_FILTERED, problems.TOO_MANY_REQUESTS),
    (apigateway.ResponseType.REQUEST_TOO_LARGE, problems.TOO_LARGE),
    (apigateway.ResponseType.DEFAULT_4_XX, problems.REFUSED),
    (apigateway.ResponseType.DEFAULT_5_XX, problems.UNAVAILABLE),
)
_ANY_STATUS = {problems.REFUSED, problems.UNAVAILABLE}
"""Problems whose answers keep the status that API Gateway gives them."""
