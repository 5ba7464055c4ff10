"""The Grafana dashboard asks only for metrics and labels that an agent offers, and shows all of its own."""

import json
import re
from pathlib import Path

import pytest

from tests.support.fakes_agent import move
from tests.support.openmetrics import Parsed
from tests.unit.agent.test_agent_metrics import host, scrape

__all__ = ["host"]

DASHBOARD = json.loads(Path("docs/dashboards/agents.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
NAMES = re.compile(r"\b(?:crosshaul|process)_[a-z_]+")
NOT_SHOWN = {
    "crosshaul_journal_created_timestamp_seconds",
    "process_start_time_seconds",
    "process_open_fds",
}
"""Metrics that are for alerts, or for a look at one agent."""
SUFFIXES = {"counter": "_total", "info": "_info", "histogram": "_bucket"}
GRAPHED_LABELS = {"job", "instance", "le"}
"""Labels that Prometheus adds, and that of a histogram's buckets."""


@pytest.fixture
async def offered(host, caplog) -> dict[str, Parsed]:
    async with host.running():
        host.send(move())
        await host.mover.has_begun()
        return await scrape(caplog)


async def test_every_metric_of_the_dashboard_is_offered_and_every_own_one_is_shown(offered):
    names = {f"{name}{SUFFIXES.get(metric.type, '')}" for name, metric in offered.items()}
    queries = [
        variable["definition"] for variable in DASHBOARD["templating"]["list"] if "definition" in variable
    ]
    shown = {name for text in (*EXPRESSIONS, *queries) for name in NAMES.findall(text)}
    assert shown - names == set()
    assert names - shown == NOT_SHOWN


def test_every_label_of_the_dashboard_is_one_of_an_agent():
    labels = {"route", "outcome", "code", "state", "access", "root"} | GRAPHED_LABELS
    for expression in EXPRESSIONS:
        grouped = re.findall(r"by \(([a-z_, ]+)\)", expression)
        matched = re.findall(r"([a-z_]+)=~?\"", expression)
        assert {*matched, *(name for group in grouped for name in group.split(", "))} <= labels


def test_the_dashboard_can_be_imported():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels), "none is behind another"
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    for expression in EXPRESSIONS:
        assert expression.count("(") == expression.count(")")
        assert '{job=~"$job",instance=~"$instance"' in expression
