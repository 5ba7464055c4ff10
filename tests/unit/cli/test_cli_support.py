"""Where a transfer's time went, and the file with all that helps to find out why."""

import json
import stat
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.hop_times import hop_times
from events.audit import AuditRecord
from events.states import HopState, TransferState
from events.views import Cost, TimelineEntry, TransferView
from tests.support.fakes import a_person
from tests.support.fakes_api import NOW, ROUTES, TRANSFER, FakeApi, problem, sample, transfer_view
from tests.unit.cli.conftest import Run

HOP = f"{TRANSFER}-0"
ENDED = NOW + timedelta(hours=2)


def entry(what: str, after_s: float, state: HopState | None = None, times: int = 1) -> TimelineEntry:
    """Return an entry so many seconds after the transfer's creation; about its hop if it has a state."""
    at, hop = NOW + timedelta(seconds=after_s), HOP if state else None
    return TimelineEntry(at=at, times=times, what=what, by=a_person("ana"), hop_id=hop, state=state)


def ended(*timeline: TimelineEntry, **changes: Any) -> TransferView:
    changes = {"created_at": NOW, "ended_at": ENDED, "approval": None, **changes}
    return transfer_view(TransferState.SUCCEEDED, 1, timeline=timeline, **changes)


TIMELINE = [
    entry("requested", 0),
    entry("approved", 600),
    entry("hop 1 offered to server-c", 612, HopState.OFFERED),
    entry("hop 1 started (direct)", 613, HopState.RUNNING),
    entry("paused", 4213),
    entry("resumed", 4273),
    entry("hop 1 offered to server-c", 4274, HopState.OFFERED),
    entry("hop 1 started (direct)", 4275, HopState.RUNNING),
    entry("hop 1 has arrived, is being read back", 7000, HopState.VERIFYING),
    entry("hop 1 succeeded", 7200, HopState.SUCCEEDED),
]


def test_the_times_of_a_hop_are_those_between_its_entries(signed_in: FakeApi, run: Run) -> None:
    signed_in.stories[TRANSFER] = [ended(*TIMELINE[5:], timeline_next="5")]
    signed_in.older_entries = TIMELINE[:5]  # in pages of two
    result = run("show", TRANSFER, "--trace")
    assert result.code == 0
    times = [" ".join(line.split()) for line in result.out.splitlines()]
    expected = [
        "waiting for approval 10 min 8%",
        "queued 13 s 0%",
        "offered 2 s 0%",
        "moving 1 h 45 min 88%",
        "paused 1 min 1%",
        "verifying 3 min 20 s 3%",
    ]
    assert times[times.index(expected[0]) :] == expected
    seconds = json.loads(run("show", TRANSFER, "--trace", "--json").out)["hops"][0]["seconds"]
    assert sum(seconds.values()) == 7200
    assert run("show", TRANSFER, "--trace", "--watch").code != 0


def test_a_hop_that_still_waits_waits_until_now(signed_in: FakeApi, run: Run) -> None:
    waiting = {"state": TransferState.AWAITING_APPROVAL, "ended_at": None}
    signed_in.stories[TRANSFER] = [ended(entry("requested", 0)).model_copy(update=waiting)]
    assert "waiting for approval" in run("show", TRANSFER, "--trace").out


def test_repeated_steps_are_said_to_be_counted_as_one(signed_in: FakeApi, run: Run) -> None:
    again = entry("hop 1 queued again", 900, HopState.QUEUED, times=41)
    signed_in.stories[TRANSFER] = [ended(entry("requested", 0), again)]
    assert "40 repeated steps counted as one" in run("show", TRANSFER, "--trace").out


@given(st.lists(st.tuples(st.sampled_from(HopState), st.integers(0, 10**6)), max_size=30))
def test_no_second_is_lost_or_counted_twice(steps: list[tuple[HopState, int]]) -> None:
    timeline, at, open_s = [entry("requested", 0)], 0, 0
    previous = HopState.QUEUED
    for state, seconds in steps:
        at += seconds
        open_s += 0 if previous in {HopState.SUCCEEDED, HopState.FAILED, HopState.CANCELLED} else seconds
        timeline.append(entry("hop 1 changed", at, state))
        previous = state
    view = ended(*timeline)
    [times] = hop_times(view, timeline, NOW + timedelta(seconds=at))
    assert times.total == pytest.approx(open_s)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(file: Path) -> dict[str, Any]:
    with zipfile.ZipFile(file) as bundle:
        return {name: json.loads(bundle.read(name)) for name in bundle.namelist() if name.endswith(".json")}


def test_the_support_file_has_what_is_known_and_only_its_owner_reads_it(
    signed_in: FakeApi, run: Run, here: Path
) -> None:
    signed_in.stories[TRANSFER] = [ended(*TIMELINE[5:], timeline_next="5")]
    signed_in.older_entries = TIMELINE[:5]
    signed_in.audit = [sample(AuditRecord, transfer_id=TRANSFER, policies=("four-eyes",))]
    result = run("support", TRANSFER)
    assert result.code == 0
    file = here / f"crosshaul-support-{TRANSFER}.zip"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = contents(file)
    assert len(found["timeline.json"]) == len(TIMELINE)
    assert found["transfer.json"]["transfer_id"] == TRANSFER
    assert found["times.json"][0]["seconds"]["running"] > 6000
    assert [agent["agent_id"] for agent in found["agents.json"]] == ["server-b"]
    assert found["audit.json"][0]["policies"] == ["four-eyes"]
    assert found["versions.json"]["control_plane"]["version"] == "0.1.0"
    assert list(found["missing.json"]) == ["agent server-c"], "removed since then"
    assert "1 part could not be collected" in result.err
    packed = json.dumps(found)
    sent = [headers.get("authorization", "") for *_, headers in signed_in.asked]
    tokens = [header.removeprefix("Bearer ") for header in sent if header]
    assert tokens
    assert not any(secret in packed for secret in (*tokens, "refresh-1"))


def test_without_the_right_to_read_the_audit_the_rest_is_there(
    signed_in: FakeApi, run: Run, here: Path
) -> None:
    signed_in.stories[TRANSFER] = [ended(*TIMELINE)]
    refusal = ("GET", "/audit", lambda *_: (403, problem(403, "Only administrators read the audit.")))
    signed_in.routes = [refusal, *ROUTES]
    assert run("support", TRANSFER, "-o", "case.zip").code == 0
    found = contents(here / "case.zip")
    assert found["audit.json"] is None
    assert found["missing.json"]["audit"] == "Only administrators read the audit."


def test_nothing_is_overwritten_and_an_unknown_transfer_leaves_no_file(
    signed_in: FakeApi, run: Run, here: Path
) -> None:
    (here / "mine.zip").write_text("precious")
    signed_in.stories[TRANSFER] = [ended(*TIMELINE)]
    assert "exists already" in run("support", TRANSFER, "-o", "mine.zip").err
    assert (here / "mine.zip").read_text() == "precious"
    assert "cannot write" in run("support", TRANSFER, "-o", "none/such.zip").err
    assert run("support", "x" * 20, "-o", "other.zip").code != 0
    assert not (here / "other.zip").exists()


def test_show_says_what_a_transfer_costs(signed_in: FakeApi, run: Run) -> None:
    cost = {
        "dollars": 92.161,
        "requests": 0.004,
        "egress": 92.157,
        "relay": 0.0,
        "storage_a_month": 0.0,
        "final": False,
        "prices_as_of": "2025-06",
    }
    signed_in.stories[TRANSFER] = [ended(*TIMELINE, cost=Cost(**cost))]
    text = " ".join(run("show", TRANSFER).out.split())
    assert "costs at most $92.16 (S3 requests less than $0.01, out of AWS $92.16), by list prices" in text
    signed_in.stories[TRANSFER] = [ended(*TIMELINE, cost=Cost(**{**cost, "final": True}))]
    assert "cost at most $92.16" in run("show", TRANSFER).out
    cents = {**cost, "dollars": 0.004, "egress": 0.0}
    signed_in.stories[TRANSFER] = [ended(*TIMELINE, cost=Cost(**cents))]
    text = " ".join(run("show", TRANSFER).out.split())
    assert "costs less than $0.01 (S3 requests less than $0.01), by list prices" in text
    free = {**cost, "dollars": 0.0, "requests": 0.0, "egress": 0.0}
    signed_in.stories[TRANSFER] = [ended(*TIMELINE, cost=Cost(**free))]
    assert "at most" not in run("show", TRANSFER).out
