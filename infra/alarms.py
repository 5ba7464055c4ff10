"""All alarms of a stage, in one table: what each looks at, when it rings, and what it tells its reader.

Each has a section of its name in docs/guides/operations.md. What has one cause has one alarm, which adds up
the metrics of all functions, or of all rules: a table that is gone makes every function fail, and one message
is enough. CloudWatch bills each metric that an alarm reads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iot as iot
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from infra.api import REQUESTS_PER_SECOND
from infra.stage import Stage
from lambdas import telemetry

RUNBOOKS = "docs/guides/operations.md"
"""The guide with a section for each alarm."""
THROTTLED_SHARE = 0.8
"""Of the requests that API Gateway lets pass in a minute: beyond it bursts are refused already."""
CERTIFICATE_DAYS = 30
"""Days before the end of a certificate at which its alarm rings."""

Series = dict[str, cloudwatch.Metric]
"""Metrics that an alarm adds up, each with the name of what it is about."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What the alarms of a stage look at."""

    stage: Stage
    queues: Mapping[str, sqs.Queue]
    """Dead-letter queues."""
    functions: Mapping[str, lambda_.Function]
    tables: Mapping[str, dynamodb.Table]
    """The tables whose load grows with agents and transfers."""
    rules: Mapping[str, events.Rule]
    iot_rules: Mapping[str, iot.CfnTopicRule]
    rest: apigateway.RestApi
    refusals: cloudwatch.Metric | None
    """Requests that the access log shows as refused for their number; None: there is no access log."""
    api_certificates: Mapping[str, str] = field(default_factory=dict)
    """ARN of the certificate of each of the API's own names."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm, which rings when the sum of its series reaches the threshold in each of its last periods."""

    name: str
    """Also that of its section in the runbooks, and of the alarm in CloudWatch."""
    tells: str
    """What has happened, in a sentence, for whoever is woken by it."""
    series: Callable[[Watched], Series]
    threshold: Callable[[Stage], float] = lambda _: 1
    periods: int = 1
    below: bool = False
    """Whether it rings when the value is below the threshold."""
    missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING
    """What a period without any value means."""


def own(watched: Watched, name: str, statistic: str, period: Duration) -> cloudwatch.Metric:
    """Return a metric that the functions themselves write."""
    return cloudwatch.Metric(
        namespace=telemetry.NAMESPACE,
        metric_name=name,
        dimensions_map=telemetry.dimensions(watched.stage.name),
        statistic=statistic,
        period=period,
    )


def _own(name: str, statistic: str = "Sum", minutes: int = 5) -> Callable[[Watched], Series]:
    return lambda watched: {name: own(watched, name, statistic, Duration.minutes(minutes))}


def _aws(namespace: str, metric: str, minutes: int = 5, **dimensions: str) -> cloudwatch.Metric:
    """Return a metric of AWS's own, summed over minutes."""
    return cloudwatch.Metric(
        namespace=namespace,
        metric_name=metric,
        dimensions_map=dimensions,
        statistic="Sum",
        period=Duration.minutes(minutes),
    )


def dead_letters(queue: str) -> Callable[[Watched], Series]:
    """Return how many messages wait in a dead-letter queue."""
    return lambda watched: {
        queue: watched.queues[queue].metric_approximate_number_of_messages_visible(
            period=Duration.minutes(1), statistic="Maximum"
        )
    }


def _errors(watched: Watched) -> Series:
    """Return the errors of all functions but the API's, which answers each with a 5xx."""
    return {
        name: function.metric_errors(period=Duration.minutes(5))
        for name, function in watched.functions.items()
        if name != "Api"
    }


def _function_throttles(watched: Watched) -> Series:
    return {
        name: function.metric_throttles(period=Duration.minutes(5))
        for name, function in watched.functions.items()
    }


def _stream_age(function: str) -> Callable[[Watched], Series]:
    return lambda watched: {
        function: watched.functions[function].metric(
            "IteratorAge", statistic="Maximum", period=Duration.minutes(1)
        )
    }


def _reports_late(watched: Watched) -> Series:
    function = watched.functions["OnReport"]
    return {
        "OnReport": function.metric("AsyncEventAge", statistic="Maximum", period=Duration.minutes(1)),
    }


def _events_lost(watched: Watched) -> Series:
    """Return events that never reached their function, and those that the queue of failures lacks.

    A minute's event that is dropped is not lost: the next minute makes up for it, or `ScheduleMissed` rings.
    """
    return {
        name: watched.functions[name].metric(
            "DestinationDeliveryFailures", statistic="Sum", period=Duration.minutes(5)
        )
        for name in ("OnReport", "OnPresence")
    } | {
        f"{name}Dropped": watched.functions[name].metric(
            "AsyncEventsDropped", statistic="Sum", period=Duration.minutes(5)
        )
        for name in ("OnReport", "OnPresence")
    }


_OPERATIONS = ("PutItem", "UpdateItem", "TransactWriteItems")
"""Operations that are throttled first: a write costs more than a read, and its indexes count, too."""


def _table_throttles(watched: Watched) -> Series:
    return {
        f"{name}{operation}": _aws(
            "AWS/DynamoDB", "ThrottledRequests", TableName=table.table_name, Operation=operation
        )
        for name, table in watched.tables.items()
        for operation in _OPERATIONS
    }


def _rule_failures(watched: Watched) -> Series:
    return {
        name: _aws("AWS/Events", "FailedInvocations", RuleName=rule.rule_name)
        for name, rule in watched.rules.items()
    }


def _iot_rule_failures(watched: Watched) -> Series:
    """Return what IoT Core could not bring to a function, and what it did not even try to."""
    found = {}
    for name, rule in watched.iot_rules.items():
        rule_name = str(rule.rule_name)
        found[f"{name}Failed"] = _aws("AWS/IoT", "Failure", RuleName=rule_name, ActionType="Lambda")
        found[f"{name}Throttled"] = _aws("AWS/IoT", "RuleMessageThrottled", RuleName=rule_name)
    return found


def _server_errors(watched: Watched) -> Series:
    return {"Rest": _aws("AWS/ApiGateway", "5XXError", ApiName=watched.rest.rest_api_name)}


def _requests_refused(watched: Watched) -> Series:
    """Return refused requests, or all requests without an access log, since nothing else counts refusals."""
    if watched.refusals:
        return {"Refusals": watched.refusals}
    return {"Rest": _aws("AWS/ApiGateway", "Count", 1, ApiName=watched.rest.rest_api_name)}


def _near_limit(stage: Stage) -> float:
    return 1 if stage.settings.access_log else THROTTLED_SHARE * REQUESTS_PER_SECOND * 60


def _certificates(watched: Watched) -> Series:
    return {
        name: cloudwatch.Metric(
            namespace="AWS/CertificateManager",
            metric_name="DaysToExpiry",
            dimensions_map={"CertificateArn": arn},
            statistic="Minimum",
            period=Duration.days(1),
        )
        for name, arn in watched.api_certificates.items()
    }


ALARMS = (
    Alarm(
        name="AuditTampered",
        tells="Rows of the audit were changed or removed by somebody with rights to the table.",
        series=_own(telemetry.AUDIT_TAMPERED, minutes=1),
    ),
    Alarm(
        name="ScheduleMissed",
        tells="The work of each minute has not run for ten minutes: lapsed hops are not offered again.",
        series=_own(telemetry.MINUTES_RUN),
        periods=2,
        below=True,
        missing=cloudwatch.TreatMissingData.BREACHING,
    ),
    Alarm(
        name="FunctionErrors",
        tells="Functions of the control plane fail: reports, events or the work of a minute are delayed.",
        series=_errors,
    ),
    Alarm(
        name="ApiErrors",
        tells="The API answers with 5xx: console, command line and agents see errors.",
        series=_server_errors,
        threshold=lambda _: 3,
    ),
    Alarm(
        name="ApiThrottled",
        tells="The API has so many requests that it refuses some with 429, or is about to.",
        series=_requests_refused,
        threshold=_near_limit,
    ),
    Alarm(
        name="FunctionsThrottled",
        tells="Lambda refuses to run functions, since the account or a function has too many at once.",
        series=_function_throttles,
    ),
    Alarm(
        name="TablesThrottled",
        tells="DynamoDB refuses requests, since a table or one of its partitions has too many.",
        series=_table_throttles,
        threshold=lambda _: 10,
        periods=2,
    ),
    Alarm(
        name="ChangesLate",
        tells="Changes of transfers are handled minutes late: hops are not offered, consoles not told.",
        series=_stream_age("OnChange"),
        threshold=lambda _: 120_000,
        periods=3,
    ),
    Alarm(
        name="AuditLags",
        tells="Audit records have not been chained for minutes; until they are, nothing proves them.",
        series=_own(telemetry.AUDIT_LAG, "Maximum"),
        threshold=lambda _: 600,
    ),
    Alarm(
        name="ReportsLate",
        tells="Reports of agents wait for minutes until they are handled: what is shown is old.",
        series=_reports_late,
        threshold=lambda _: 120_000,
        periods=3,
    ),
    Alarm(
        name="EventsLost",
        tells="Lambda gave up reports of agents, or could not put an event into the queue of failures.",
        series=_events_lost,
    ),
    Alarm(
        name="FailuresQueue",
        tells="Reports, changes or audit records that could not be handled wait in the queue of failures.",
        series=dead_letters("Failures"),
    ),
    Alarm(
        name="UploadsQueue",
        tells="Events of uploaded objects could not be handled: templates have not moved these objects.",
        series=dead_letters("Uploads"),
    ),
    Alarm(
        name="RetriesQueue",
        tells="Messages of due retries could not be handled; the work of each minute makes up for them.",
        series=dead_letters("Retries"),
    ),
    Alarm(
        name="RulesFailed",
        tells="EventBridge cannot deliver: uploads start no templates, or the minute's work does not run.",
        series=_rule_failures,
    ),
    Alarm(
        name="IotRulesFailed",
        tells="IoT Core cannot deliver what agents report, or whether they are connected.",
        series=_iot_rule_failures,
    ),
    Alarm(
        name="AgentsAbsent",
        tells="A large share of the agents is not online.",
        series=_own(telemetry.AGENTS_ABSENT, "Minimum"),
        threshold=lambda stage: stage.settings.alarm_absent_percent,
        periods=3,
    ),
    Alarm(
        name="HopsQueued",
        tells="A hop has been queued for long: one of its agents is away, or takes no offers.",
        series=_own(telemetry.OLDEST_QUEUED, "Maximum"),
        threshold=lambda stage: 60 * stage.settings.alarm_queued_minutes,
    ),
    Alarm(
        name="DisksFull",
        tells="A disk of an agent is nearly full; hops to it pause when it is.",
        series=_own(telemetry.ROOTS_NEARLY_FULL, minutes=10),
    ),
    Alarm(
        name="KeysOverdue",
        tells="An agent is online and has not renewed its keys for a week after it was told to.",
        series=_own(telemetry.KEYS_OVERDUE, minutes=120),
    ),
    Alarm(
        name="TemplatesRefused",
        tells="A template's transfer was refused by a policy, a limit or a loop: its objects are not moved.",
        series=_own(telemetry.TEMPLATES_REFUSED),
    ),
    Alarm(
        name="UpdatesAborted",
        tells="An update of agents was stopped, since too many agents failed.",
        series=_own(telemetry.UPDATES_ABORTED),
    ),
    Alarm(
        name="ArchiveLacked",
        tells="A file of the archive is missing or damaged; what else was in it may be nowhere else.",
        series=_own(telemetry.ARCHIVE_LACKED),
    ),
    Alarm(
        name="CertificatesExpire",
        tells="The certificate of an own name of the API ends soon, and with it every connection.",
        series=_certificates,
        threshold=lambda _: CERTIFICATE_DAYS,
        below=True,
    ),
)
BUDGET = "BudgetExceeded"
"""Name of AWS Budgets' message, which is no alarm of CloudWatch's and has a section as well."""


def description(alarm: Alarm) -> str:
    """Return what an alarm's message says: what has happened, and where to read on."""
    return f"{alarm.tells} What to do: {RUNBOOKS}#{alarm.name.lower()}"


def statistic_of(series: Series) -> str:
    """Return the name of the function that joins series: the least of minima, else the sum."""
    return "MIN" if all(one.statistic == "Minimum" for one in series.values()) else "SUM"
