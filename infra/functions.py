"""Create the Lambda functions from their plans and one bundle."""

from dataclasses import replace
from typing import Any, cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import bundle
from infra.access import Access
from infra.local import function_hooks
from infra.plans import PLANS, Plan
from infra.stage import Stage
from infra.suppressions import suppress_finding, suppress_wildcards
from lambdas.settings import Settings

_USED_BY = {
    "buckets": "browses",
    "distant_buckets": "browses",
    "bucket_regions": "signs_commands",
    "manifests_bucket": "keeps_manifests",
    "archive_bucket": "archives",
    "object_role_arn": "assumes_roles",
    "live_role_arn": "assumes_roles",
    "former_api_urls": "moves_agents",
    "retry_queue_url": "schedules_retries",
    "upload_queue_url": "gathers_objects",
}
"""Settings that not every function uses, with the part of the plan that does."""


def _for_plan(settings: Settings, plan: Plan) -> Settings:
    """Leave out what other functions use: a function's environment has 4 KB, and lists may be long."""
    unused: dict[str, Any] = {name: "" for name, part in _USED_BY.items() if not getattr(plan, part)}
    return replace(settings, **unused)


class Functions(Construct):
    """All Lambda functions; `by_name` maps the names in `PLANS` to them."""

    def __init__(self, scope: Construct, name: str, stage: Stage, *, failures: sqs.Queue) -> None:
        super().__init__(scope, name)
        self._stage, self._failures = stage, failures
        self._environment = {"POWERTOOLS_LOG_LEVEL": "INFO"}
        self._code = self._rooms() if stage.shares_packages else bundle.code(stage.platform, bundle.make)
        self.by_name = {name: self._function(name, plan) for name, plan in PLANS.items()}
        suppress_finding(
            self, "A Python version that Lambda keeps up for years; its locked packages go up with it", "L1"
        )

    def give(self, settings: Settings, access: Access) -> None:
        """Give every function its settings and the access that its plan asks for."""
        for name, function in self.by_name.items():
            plan = PLANS[name]
            for variable, value in _for_plan(settings, plan).as_env().items():
                function.add_environment(variable, value)
            access.grant(plan, function)

    def role(self, name: str) -> iam.IRole:
        return cast("iam.IRole", self.by_name[name].role)

    def _rooms(self) -> lambda_.AssetCode:
        """Return our own packages as code; functions find the others in one folder of this machine."""
        platform = self._stage.platform
        packages = bundle.shared_packages(platform)
        if Stack.of(self).bundling_required:
            bundle.make_packages(packages, platform)
        self._environment["PYTHONPATH"] = f"{function_hooks.FOLDER}:{packages}"
        return bundle.code(platform, bundle.make_rooms)

    def _function(self, name: str, plan: Plan) -> lambda_.Function:
        platform = self._stage.platform
        log_group, role = self._log_group(name), self._role(name)
        log_group.grant_write(role)
        function = lambda_.Function(
            self,
            name,
            description=f"Crosshaul {self._stage.name}: {plan.handler}",
            runtime=platform.runtime,
            architecture=platform.architecture,
            handler=plan.handler,
            code=self._code,
            memory_size=plan.megabytes,
            timeout=Duration.seconds(plan.seconds),
            environment=self._environment,
            logging_format=lambda_.LoggingFormat.JSON,
            # Without a start and a report for each call, which metrics have, too; failures are still logged.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            log_group=log_group,
            role=role,
            tracing=lambda_.Tracing.ACTIVE if self._stage.settings.tracing else None,
            reserved_concurrent_executions=plan.reserved if self._stage.settings.concurrency else None,
            # A large gathering takes more calls in a row than the sixteen that Lambda allows; MAX_CALLS ends
            # them (lambdas/templates/gatherer.py).
            recursive_loop=lambda_.RecursiveLoop.ALLOW if plan.gathers_objects else None,
        )
        if self._stage.settings.tracing:
            suppress_wildcards(role, "X-Ray's rights have no resources", "*")
        if plan.asynchronous:
            age = plan.max_event_age_s
            function.configure_async_invoke(
                on_failure=destinations.SqsDestination(self._failures),
                retry_attempts=plan.retry_attempts,
                max_event_age=None if age is None else Duration.seconds(age),
            )
        return function

    def _log_group(self, name: str) -> logs.LogGroup:
        return logs.LogGroup(
            self, f"{name}Log", retention=self._stage.log_retention, removal_policy=self._stage.removal
        )

    def _role(self, name: str) -> iam.Role:
        """Create a role with access to its own log group; the plan adds the rest."""
        return iam.Role(self, f"{name}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
