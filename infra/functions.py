"""The functions: what each runs, how much it gets, and what it may touch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import bundle
from infra.access import Access
from infra.stage import Stage
from lambdas.settings import Settings


@dataclass(frozen=True)
class Plan:
    """One function. `tables` names what it does to each table, in words of `access.TABLE_ACTIONS`."""

    handler: str
    seconds: int
    tables: Mapping[str, str]
    signs: bool = False
    """Commands: KMS's signature and the publish to an agent's commands topic."""
    tells: bool = False
    """Facts, on the event bus."""
    enrolls: bool = False
    """Things, certificates and their policy."""
    lends: bool = False
    """Credentials of the object and live roles, narrowed."""
    asynchronous: bool = False
    """Started by an event that nobody waits for: what fails for good goes to a queue."""
    megabytes: int = 512


PLANS: dict[str, Plan] = {
    "Api": Plan(
        "lambdas.api.handler.handler",
        29,
        {
            "transfers_table": "get query put update check",
            "agents_table": "get query batch put update delete check",
            "templates_table": "get query put update delete check",
            "idempotency_table": "get put update delete",
        },
        signs=True,
        enrolls=True,
        lends=True,
        megabytes=1024,
    ),
    "OnObject": Plan(
        "lambdas.on_object.handler",
        60,
        {
            "transfers_table": "get query put check",
            "agents_table": "get batch",
            "templates_table": "get query",
            "dedupe_table": "get batch put check",
        },
    ),
    "OnReport": Plan(
        "lambdas.on_report.handler",
        30,
        {"transfers_table": "get query put update check", "agents_table": "get batch put update"},
        signs=True,
        asynchronous=True,
    ),
    "OnPresence": Plan(
        "lambdas.on_presence.handler",
        30,
        {"transfers_table": "get query put update check", "agents_table": "get batch update"},
        signs=True,
        asynchronous=True,
    ),
    "OnChange": Plan(
        "lambdas.on_change.handler",
        60,
        {"transfers_table": "get query put update check", "agents_table": "get batch"},
        signs=True,
        tells=True,
    ),
    "OnSchedule": Plan(
        "lambdas.on_schedule.handler",
        60,
        {"transfers_table": "get query put update check", "agents_table": "get query batch update"},
        signs=True,
        tells=True,
        asynchronous=True,
    ),
}


class Functions(Construct):
    """All of them, from one bundle; `by_name` has them under the names of `PLANS`."""

    def __init__(self, scope: Construct, name: str, stage: Stage, *, failures: sqs.Queue) -> None:
        super().__init__(scope, name)
        self._stage, self._failures = stage, failures
        self._code = bundle.code(stage.platform)
        self.by_name = {name: self._function(name, plan) for name, plan in PLANS.items()}

    def give(self, settings: Settings, access: Access) -> None:
        """Tell every function where things are, and let it do what its plan says."""
        for name, function in self.by_name.items():
            for variable, value in settings.as_env().items():
                function.add_environment(variable, value)
            access.grant(PLANS[name], function)

    def role(self, name: str) -> iam.IRole:
        return cast("iam.IRole", self.by_name[name].role)

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
            environment={"POWERTOOLS_LOG_LEVEL": "INFO"},
            logging_format=lambda_.LoggingFormat.JSON,
            log_group=log_group,
            role=role,
        )
        if plan.asynchronous:
            function.configure_async_invoke(
                on_failure=destinations.SqsDestination(self._failures), retry_attempts=2
            )
        return function

    def _log_group(self, name: str) -> logs.LogGroup:
        return logs.LogGroup(
            self, f"{name}Log", retention=self._stage.log_retention, removal_policy=self._stage.removal
        )

    def _role(self, name: str) -> iam.Role:
        """A bare role: its own log group, and whatever its plan says."""
        return iam.Role(self, f"{name}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
