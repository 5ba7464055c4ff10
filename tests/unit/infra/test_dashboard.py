"""The dashboard shows every alarm and only metrics that exist, in the sections that an operator looks for."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from infra import REPOSITORY
from infra.alarms import RUNBOOKS
from infra.dashboard import SECTIONS
from lambdas import telemetry
from tests.unit.infra.conftest import Synthesized
from tests.unit.infra.test_alarms_ring import DOCUMENTED

SHOWN_ONLY = {
    ("AWS/Lambda", "Duration"): {"FunctionName"},
    ("AWS/Lambda", "Invocations"): {"FunctionName"},
    ("AWS/ApiGateway", "4XXError"): {"ApiName"},
    ("AWS/ApiGateway", "Latency"): {"ApiName"},
    ("AWS/DynamoDB", "ConsumedReadCapacityUnits"): {"TableName"},
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits"): {"TableName"},
}
"""Metrics of AWS's, with their dimensions, that the dashboard shows and no alarm looks at."""


def body(stage: Synthesized) -> dict[str, Any]:
    """Return the dashboard's body; references to other resources are their logical ids."""
    [properties] = stage.properties("AWS::CloudWatch::Dashboard")
    parts = properties["DashboardBody"]["Fn::Join"][1]
    return dict(json.loads("".join(part if isinstance(part, str) else _shown(part) for part in parts)))


def _shown(reference: dict[str, Any]) -> str:
    [value] = reference.values()
    return value if isinstance(value, str) else str(value[0] if isinstance(value, list) else value)


def metrics(stage: Synthesized) -> Iterator[tuple[str, str, set[str]]]:
    """Yield namespace, name and dimensions of every line of a graph."""
    for widget in body(stage)["widgets"]:
        for line in widget["properties"].get("metrics", ()):
            if isinstance(line[0], str):
                texts = [part for part in line if isinstance(part, str)]
                yield texts[0], texts[1], set(texts[2::2])


def written() -> set[str]:
    """Return the metrics that functions write, by the names that they pass to the telemetry."""
    return {
        getattr(telemetry, name.id) if isinstance(name, ast.Name) and name.id.isupper() else _text(name)
        for file in (REPOSITORY / "lambdas").rglob("*.py")
        for name in _names(ast.parse(file.read_text()))
    }


def _names(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"count", "measure", "count_by"}:
            yield node.args[0]


def _text(name: ast.expr) -> str:
    return str(getattr(name, "value", ""))


@pytest.mark.parametrize("name", ["real", "local"])
def test_every_line_is_a_metric_that_somebody_writes(name: str, request: pytest.FixtureRequest) -> None:
    stage = request.getfixturevalue(name)
    known = SHOWN_ONLY | {metric: set(names) for metric, names in DOCUMENTED.items()}
    seen, ours = list(metrics(stage)), written()
    for namespace, metric, dimensions in seen:
        if namespace == telemetry.NAMESPACE:
            assert metric in ours
            assert dimensions == set(telemetry.dimensions("prod"))
        else:
            assert dimensions == known[namespace, metric]
    assert len(seen) > 50


def test_every_metric_that_has_a_name_of_its_own_is_shown(real: Synthesized) -> None:
    """But for the audit's and the archive's, which are zero or ring, and hops, which have dimensions."""
    named = {
        value
        for name, value in vars(telemetry).items()
        if name.isupper() and isinstance(value, str) and name not in {"NAMESPACE", "SERVICE"}
    }
    shown = {metric for namespace, metric, _ in metrics(real) if namespace == telemetry.NAMESPACE}
    assert named - shown == {telemetry.AUDIT_TAMPERED, telemetry.ARCHIVE_LACKED, telemetry.HOPS_ENDED}
    searches = re.findall(r"SEARCH\([^)]*\)", json.dumps(body(real)))
    assert [telemetry.HOPS_ENDED in one for one in searches] == [True]


def test_every_metric_is_in_the_guide() -> None:
    guide = (REPOSITORY / RUNBOOKS).read_text().partition("\n## Metrics\n")[2].partition("\n## ")[0]
    rows = {
        name for line in guide.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line)
    }
    named = {value for name, value in vars(telemetry).items() if name.isupper() and isinstance(value, str)}
    sources = "".join(file.read_text() for file in (REPOSITORY / "lambdas").rglob("*.py"))
    counted = set(re.findall(r'\bcount\("(\w+)"', sources))
    assert counted, "counts of what happened have no constants"
    assert rows == (named - {telemetry.NAMESPACE, telemetry.SERVICE}) | counted | {"route", "outcome"}


@pytest.mark.parametrize("name", ["real", "local"])
def test_every_alarm_is_on_it_in_the_sections_that_an_operator_looks_for(
    name: str, request: pytest.FixtureRequest
) -> None:
    stage = request.getfixturevalue(name)
    widgets = body(stage)["widgets"]
    [alarms] = [one["properties"]["alarms"] for one in widgets if one["type"] == "alarm"]
    assert set(alarms) == set(stage.of_type("AWS::CloudWatch::Alarm"))
    headings = [one["properties"]["markdown"] for one in widgets if one["type"] == "text"]
    assert headings[:-1] == [f"## {section}" for section in ("Fleet", "Transfers", "Control plane", "Cost")]
    assert list(SECTIONS) == [heading.removeprefix("## ") for heading in headings[:-1]]
    assert len(widgets) <= 500, "a quota of CloudWatch"


def test_reasons_of_retries_come_from_what_the_function_really_logs(real: Synthesized) -> None:
    [query] = [one["properties"]["query"] for one in body(real)["widgets"] if one["type"] == "log"]
    assert "FunctionsOnChangeLog" in query
    logged = (REPOSITORY / "lambdas/transfers/entry_metrics.py").read_text()
    [message] = re.findall(r'message = "([^"]+)"', query)
    assert f'"{message}"' in logged
    assert '"code":' in logged
