"""`crosshaul costs`: what the transfers of a month cost, as a table, CSV and JSON."""

import csv
import io
import json

from events.views import CostSum
from tests.support.fakes_api import FakeApi, sample
from tests.unit.cli.conftest import Run


def test_they_are_shown_with_their_sum(signed_in: FakeApi, run: Run) -> None:
    signed_in.cost_sums = [
        sample(CostSum, name="new-videos", dollars=126.21),
        sample(CostSum, id="stills", name="stills", dollars=0.79),
    ]
    result = run("costs", "--month", "2026-10", "--by", "agent")
    assert result.code == 0
    assert signed_in.asked[-1][1] == "/costs?by=agent&month=2026-10"
    assert "$126.21" in result.out
    assert "2026-10: $127.00 in all" in result.err


def test_they_are_exported_as_csv_that_is_no_formula(signed_in: FakeApi, run: Run) -> None:
    signed_in.cost_sums = [sample(CostSum, id="9a61c0de", name="=HYPERLINK(1)")]
    result = run("costs", "--month", "2026-11", "--by", "person", "--csv")
    [row] = csv.DictReader(io.StringIO(result.out))
    assert (row["month"], row["by"], row["id"]) == ("2026-11", "person", "9a61c0de")
    assert row["name"] == "'=HYPERLINK(1)"
    assert float(row["dollars"]) == 126.21


def test_a_fleet_beyond_a_thousand_agents_has_the_rest_in_one_line_and_in_the_sum(
    signed_in: FakeApi, run: Run
) -> None:
    signed_in.cost_sums = [sample(CostSum, id="server-b", name="server-b", dollars=120.0)]
    signed_in.other_costs = sample(CostSum, id="", name="19,000 others", dollars=7.0)
    shown = run("costs", "--by", "agent")
    assert "19,000 others" in shown.out
    assert "$127.00 in all" in shown.err
    rows = list(csv.DictReader(io.StringIO(run("costs", "--by", "agent", "--csv").out)))
    assert [row["name"] for row in rows] == ["server-b", "19,000 others"]


def test_a_month_without_any_says_so(signed_in: FakeApi, run: Run) -> None:
    signed_in.cost_sums = []
    assert "No transfer ended in 2026-11." in run("costs").out
    assert json.loads(run("costs", "--json").out)["sums"] == []
