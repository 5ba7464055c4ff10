"""The dashboard of a stage in CloudWatch: alarms, fleet, transfers, control plane, and what costs.

It is one dashboard with four sections, since CloudWatch bills each one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.alarms import RUNBOOKS, Series, Watched, dead_letters, own
from lambdas import telemetry

_WIDTH, _HEIGHT = 8, 6
"""Of a graph, in units of CloudWatch's grid, which is 24 wide."""
_PERIOD = Duration.minutes(5)


@dataclass(frozen=True)
class Graph:
    """A graph: its title, and the metrics that it shows, by their labels."""

    title: str
    series: Callable[[Watched], Series]


def _own(statistic: str, **labels: str) -> Callable[[Watched], Series]:
    """Return metrics of the functions' own, given by label."""
    return lambda watched: {
        label.replace("_", " "): own(watched, name, statistic, _PERIOD) for label, name in labels.items()
    }


def _of_functions(metric: str, statistic: str) -> Callable[[Watched], Series]:
    return lambda watched: {
        name: function.metric(metric, statistic=statistic, period=_PERIOD)
        for name, function in watched.functions.items()
    }


def _of_api(*metrics: str) -> Callable[[Watched], Series]:
    return lambda watched: {
        name: cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name=name,
            dimensions_map={"ApiName": watched.rest.rest_api_name},
            statistic="Average" if name == "Latency" else "Sum",
            period=_PERIOD,
        )
        for name in metrics
    }


def _waiting(watched: Watched) -> Series:
    return {name: metric for queue in watched.queues for name, metric in dead_letters(queue)(watched).items()}


def _streams(watched: Watched) -> Series:
    return {
        name: watched.functions[name].metric("IteratorAge", statistic="Maximum", period=_PERIOD)
        for name in ("OnChange", "OnAudit")
    }


def _lag_of_reports(watched: Watched) -> Series:
    """Return how old a report is when it is handled; the broker's and Lambda's queues are part of it."""
    metric = watched.functions["OnReport"].metric
    return {
        "average": metric("AsyncEventAge", statistic="Average", period=_PERIOD),
        "longest": metric("AsyncEventAge", statistic="Maximum", period=_PERIOD),
    }


def _units(watched: Watched) -> Series:
    return {
        f"{name} {kind}": table.metric(f"Consumed{kind}CapacityUnits", statistic="Sum", period=_PERIOD)
        for name, table in watched.tables.items()
        for kind in ("Read", "Write")
    }


SECTIONS: dict[str, Sequence[Graph]] = {
    "Fleet": (
        Graph(
            "Agents, and those of them that need a look, are silent or away",
            _own(
                "Maximum",
                agents=telemetry.AGENTS,
                need_a_look=telemetry.AGENTS_WARNED,
                silent=telemetry.AGENTS_LATE,
                away=telemetry.AGENTS_OFFLINE,
            ),
        ),
        Graph("Agents that are away, in percent", _own("Maximum", away=telemetry.AGENTS_ABSENT)),
        Graph("Lag of agents' reports, in milliseconds", _lag_of_reports),
        Graph("Free room of the fullest disk, in percent", _own("Minimum", free=telemetry.ROOT_FREE)),
        Graph(
            "Disks nearly full, keys overdue, updates stopped",
            _own(
                "Sum",
                full_disks=telemetry.ROOTS_NEARLY_FULL,
                overdue_keys=telemetry.KEYS_OVERDUE,
                stopped_updates=telemetry.UPDATES_ABORTED,
            ),
        ),
    ),
    "Transfers": (
        Graph("Bytes that arrived", _own("Sum", bytes=telemetry.BYTES_ARRIVED)),
        Graph("Files that arrived", _own("Sum", files=telemetry.FILES_ARRIVED)),
        Graph(
            "Seconds of a hop",
            _own(
                "Average",
                queued=telemetry.SECONDS_QUEUED,
                offered=telemetry.SECONDS_OFFERED,
                moving=telemetry.SECONDS_MOVING,
            ),
        ),
        Graph("Oldest queued hop, in seconds", _own("Maximum", queued=telemetry.OLDEST_QUEUED)),
        Graph("Approvals that wait", _own("Maximum", approvals=telemetry.APPROVALS_WAITING)),
        Graph(
            "Retries and templates",
            _own(
                "Sum",
                retries=telemetry.RETRIES,
                templates_started=telemetry.TEMPLATES_STARTED,
                templates_refused=telemetry.TEMPLATES_REFUSED,
            ),
        ),
    ),
    "Control plane": (
        Graph("Errors of functions", _of_functions("Errors", "Sum")),
        Graph("Throttled calls of functions", _of_functions("Throttles", "Sum")),
        Graph("Longest run, in milliseconds", _of_functions("Duration", "Maximum")),
        Graph("Answers of the API", _of_api("Count", "4XXError", "5XXError")),
        Graph("Latency of the API, in milliseconds", _of_api("Latency")),
        Graph("Age of the streams, in milliseconds", _streams),
        Graph("Dead letters", _waiting),
        Graph("Lag of the audit, in seconds", _own("Maximum", audit=telemetry.AUDIT_LAG)),
        Graph("Runs of the minute's work", _own("Sum", runs=telemetry.MINUTES_RUN)),
    ),
    "Cost": (
        Graph("Calls of functions", _of_functions("Invocations", "Sum")),
        Graph("Units of the tables", _units),
        Graph("Requests to the API", _of_api("Count")),
    ),
}


def dashboard(
    scope: Construct, watched: Watched, alarms: Sequence[cloudwatch.IAlarm]
) -> cloudwatch.Dashboard:
    """Create the dashboard: the state of all alarms, then a heading and the graphs of each section."""
    made = cloudwatch.Dashboard(
        scope,
        "Dashboard",
        dashboard_name=f"crosshaul-{watched.stage.name}",
        default_interval=Duration.hours(24),
    )
    made.add_widgets(cloudwatch.AlarmStatusWidget(alarms=list(alarms), width=24, title="Alarms"))
    for section, graphs in SECTIONS.items():
        made.add_widgets(cloudwatch.TextWidget(markdown=f"## {section}", width=24, height=1))
        widgets: list[cloudwatch.IWidget] = [_widget(graph, watched) for graph in graphs]
        if section == "Transfers":
            widgets += [_hops(watched), _reasons(watched)]
        made.add_widgets(*widgets)
    made.add_widgets(
        cloudwatch.TextWidget(markdown=f"What to do about an alarm: `{RUNBOOKS}`", width=24, height=1)
    )
    return made


def _widget(graph: Graph, watched: Watched) -> cloudwatch.GraphWidget:
    lines = [metric.with_(label=label) for label, metric in graph.series(watched).items()]
    return cloudwatch.GraphWidget(title=graph.title, left=lines, width=_WIDTH, height=_HEIGHT)


def _hops(watched: Watched) -> cloudwatch.GraphWidget:
    """Return hops by route and outcome, whichever there are."""
    stage = watched.stage.name
    search = (
        f"SEARCH('{{{telemetry.NAMESPACE},outcome,route,service,stage}} "
        f'MetricName="{telemetry.HOPS_ENDED}" stage="{stage}"\', \'Sum\', {_PERIOD.to_seconds()})'
    )
    ended = cloudwatch.MathExpression(expression=search, using_metrics={}, label="", period=_PERIOD)
    return cloudwatch.GraphWidget(
        title="Hops that ended, by route and outcome", left=[ended], width=_WIDTH, height=_HEIGHT
    )


def _reasons(watched: Watched) -> cloudwatch.LogQueryWidget:
    """Return why hops were retried; codes are in the log, since each would be billed as a metric."""
    return cloudwatch.LogQueryWidget(
        title="Reasons of retries",
        log_group_names=[watched.functions["OnChange"].log_group.log_group_name],
        query_lines=[
            "fields code",
            'filter message = "hop is retried"',
            "stats count(*) as retries by code",
            "sort retries desc",
            "limit 20",
        ],
        view=cloudwatch.LogQueryVisualizationType.TABLE,
        width=2 * _WIDTH,
        height=_HEIGHT,
    )
