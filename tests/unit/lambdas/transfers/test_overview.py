"""Totals of today and of the last 30 days, for the console's first page."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from botocore.client import BaseClient

from lambdas.store.transfer_totals import totals

RAW = {"source": "server-b:/data/raw/", "destinations": ["server-c:/primary/"]}


@pytest.fixture
def fleet(here):
    here.join("server-b")
    here.join("server-c")
    return here


def asked(fleet) -> str:
    answer = fleet.post("/transfers", RAW)
    assert answer.status == 202, answer.text
    return answer.body["transfer_id"]


def test_before_anything_was_moved_everything_is_nought(fleet):
    answer = fleet.get("/overview", role="viewer")
    assert answer.status == 200
    assert answer.body["month"]["transfers"] == answer.body["today"]["bytes_moved"] == 0
    assert answer.body["today"]["complete"] is True


def test_what_was_asked_for_is_counted_by_what_became_of_it(fleet):
    asked(fleet)
    fleet.post(f"/transfers/{asked(fleet)}/cancel")
    month = fleet.get("/overview").body["month"]
    assert (month["transfers"], month["succeeded"], month["failed"]) == (2, 0, 0)


def test_a_dry_run_moves_nothing_and_is_not_counted(fleet):
    asked(fleet)
    rehearsed = fleet.post("/transfers", {**RAW, "options": {"dry_run": True}})
    assert rehearsed.body["dry_run"] is True
    month = fleet.get("/overview").body["month"]
    assert (month["transfers"], month["complete"]) == (1, True)


def test_today_begins_where_the_caller_s_day_begins(fleet):
    asked(fleet)
    from lambdas import adapters

    now = adapters.clock()
    before, after = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()
    counted = [fleet.get("/overview", midnight=each).body["today"]["transfers"] for each in (before, after)]
    assert counted == [1, 0]
    assert fleet.get("/overview", midnight="yesterday").status == 400


def test_only_the_newest_are_counted_and_marked_incomplete(fleet):
    for _ in range(3):
        asked(fleet)
    until = datetime.now(UTC) + timedelta(minutes=1)
    [month] = totals((until - timedelta(days=30),), until, max_counted=2)
    assert (month.transfers, month.complete) == (2, False)


def test_it_costs_no_scan_and_a_fixed_number_of_reads(fleet, monkeypatch):
    counted: Counter[str] = Counter()
    really = BaseClient._make_api_call

    def counting(self, operation, arguments):
        counted[operation] += 1
        return really(self, operation, arguments)

    asked(fleet)
    monkeypatch.setattr(BaseClient, "_make_api_call", counting)
    fleet.get("/overview")
    assert counted["Scan"] == 0
    assert counted["Query"] <= 2
    assert counted["BatchGetItem"] <= 2
