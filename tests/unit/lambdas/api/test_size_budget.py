"""One budget for sizes: whatever the API accepts can be signed, sent and stored.

All else is refused with advice. Requests are as large as the API takes them, of characters that take the
most room. AWS's limits are enforced for every call (`infra.local.function_hooks.aws_rules`), ours here.
"""

from dataclasses import replace
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from events.base import Problem
from events.requests import MAX_DESTINATIONS
from events.sizes import json_bytes
from events.updates import MAX_AGENTS
from infra.local.function_hooks.aws_rules.limits import IOT_PAYLOAD_BYTES, item_bytes
from lambdas import wiring
from lambdas.domain.sizes import MAX_COMMAND_BYTES, MAX_REQUEST_BYTES
from lambdas.domain.update import JobStatus, ended, staged, why_aborted, with_statuses
from lambdas.store import TABLES
from lambdas.store.updates import UpdateStore
from tests.support.control_plane import REGION, ApiAnswer, ControlPlane, host
from tests.support.fakes import ADA, MORNING
from tests.unit.lambdas.agents.test_update_stages import an_update
from tests.unit.lambdas.domain.test_sizes import SizedFleet

MAX_ROW_BYTES = 300 * 1024
"""Size that no row and no audit record exceeds when it is written: DynamoDB accepts 400 KB, and rows grow."""
FEWER = [phase for phase in Phase if phase is not Phase.shrink]
SIX_BYTES, FOUR_BYTES, TWO_BYTES, ONE_BYTE = "\x01", "🎬", "ü", "x"
"""Characters by what they take in JSON."""

characters = st.sampled_from([SIX_BYTES, FOUR_BYTES, TWO_BYTES, ONE_BYTE, '"', "\\"])


@st.composite
def paths(draw: st.DrawFn, start: str, longest: int = 4096) -> str:
    """Return a path of up to `longest` bytes whose names are as long as a name may be."""
    letter = draw(characters)
    name = letter * (250 // len(letter.encode()))
    room = draw(st.sampled_from([40, 1000, longest])) - len(start.encode()) - 1
    names = [name] * (room // (len(name.encode()) + 1))
    return "/".join([start, *names]) + "/"


@st.composite
def transfers(draw: st.DrawFn) -> dict[str, Any]:
    source = draw(
        st.one_of(
            paths("/data").map("server-b:{}".format),
            paths("videos", 1000).map("s3://media/{}".format),
        )
    )
    count = draw(st.sampled_from([1, 2, 20, MAX_DESTINATIONS]))
    below = draw(paths("/primary"))
    ends = [f"server-c:{below[:-1]}/{number}/" for number in range(count)]
    patterns = st.lists(characters.map(lambda one: one * 1000), max_size=8)
    windows = [{"start": f"{hour:02d}:00", "end": f"{hour:02d}:30"} for hour in range(20)]
    options = {"include": draw(patterns), "exclude": draw(patterns), "bandwidth_windows": windows}
    return {"source": source, "destinations": ends, "shape": "fan_out", "options": options}


@st.composite
def templates(draw: st.DrawFn) -> dict[str, Any]:
    asked = draw(transfers())
    return {
        "name": "new-videos",
        "description": draw(characters) * 1000,
        "trigger": {"bucket": "media", "prefix": draw(paths("videos", 1000))},
        "destinations": asked["destinations"],
        "options": asked["options"],
    }


tags = st.builds(
    lambda one: {f"{number:02d}{'k' * 62}": one * 128 for number in range(20)},
    characters,
)
hosts = st.fixed_dictionaries(
    {
        "hostname": st.just("h" * 253),
        "endpoints": st.just([f"{'e' * 240}{number:02d}:4460" for number in range(16)]),
        "roots": st.tuples(st.sampled_from([1, 4, 64]), paths("/data")).map(
            lambda root: [{"path": f"{root[1][:-9]}/{number}", "access": "rw"} for number in range(root[0])]
        ),
    }
)


def is_accepted(answer: ApiAnswer) -> bool:
    """Return whether a request was accepted; it must be refused with advice otherwise."""
    assert answer.status < 500, answer.text
    if answer.status >= 400:
        assert answer.status in {413, 422}, answer.text
        assert answer.body["advice"]
    return answer.status < 400


def largest_row() -> int:
    """Return the size of the largest row of all tables, in bytes."""
    client = boto3.client("dynamodb", REGION)
    sizes = [0]
    for name in TABLES:
        pages = client.get_paginator("scan").paginate(TableName=name.replace("_", "-"))
        sizes += [item_bytes(item) for page in pages for item in page["Items"]]
    return max(sizes)


@pytest.fixture
def two(here: ControlPlane) -> ControlPlane:
    for name in ("server-b", "server-c"):
        here.join(name)
    return here


@settings(max_examples=12, suppress_health_check=list(HealthCheck), phases=FEWER)
@given(body=transfers())
def test_an_accepted_transfer_fits_into_messages_and_rows(two: ControlPlane, body: dict[str, Any]) -> None:
    answer = two.post("/transfers", body)
    if is_accepted(answer):
        fleet = SizedFleet()
        two.fleet.sign, two.fleet.send = fleet.sign, fleet.send  # type: ignore[method-assign]
        wiring.dispatcher().offer_ready(wiring.transfer_service().load(answer.body["transfer_id"]))
        assert max(fleet.sizes) <= MAX_COMMAND_BYTES < IOT_PAYLOAD_BYTES
        assert two.post(f"/transfers/{answer.body['transfer_id']}/cancel").status == 202
    assert largest_row() <= MAX_ROW_BYTES


@settings(max_examples=8, suppress_health_check=list(HealthCheck), phases=FEWER)
@given(body=templates(), changed=templates())
def test_an_accepted_template_and_its_change_fit_into_rows(
    two: ControlPlane, body: dict[str, Any], changed: dict[str, Any]
) -> None:
    """The audit has a template before and after its change."""
    answer = two.post("/templates", body)
    if is_accepted(answer):
        version = str(answer.body["version"])
        is_accepted(two.call("PUT", "/templates/new-videos", changed, headers={"If-Match": version}))
        assert two.call("DELETE", "/templates/new-videos").status == 204
    assert largest_row() <= MAX_ROW_BYTES


@settings(max_examples=8, suppress_health_check=list(HealthCheck), phases=FEWER)
@given(described=hosts, tags=tags)
def test_a_registered_host_and_its_change_fit_into_rows(
    here: ControlPlane, described: dict[str, Any], tags: dict[str, str]
) -> None:
    enrolled = here.post("/agents/enrollments", {"agent_id": "server-b", "tags": tags})
    assert enrolled.status == 201, enrolled.text
    answer = here.post("/agents/register", host(enrolled.body["token"], **described), role=None)
    if is_accepted(answer):
        assert here.call("PATCH", "/agents/server-b", {"tags": tags}).status == 200
        assert here.call("DELETE", "/agents/server-b").status == 204
    assert largest_row() <= MAX_ROW_BYTES


def test_the_limits_of_what_is_asked_for_keep_the_rows_below_theirs() -> None:
    """A template's change is recorded with both; the rest of a record is less than 40 KiB."""
    assert 2 * MAX_REQUEST_BYTES + 40 * 1024 <= MAX_ROW_BYTES


@pytest.mark.parametrize("letter", [FOUR_BYTES, "\u2028", ONE_BYTE])
def test_an_update_of_a_thousand_agents_that_fails_everywhere_can_be_stored(
    here: ControlPlane, letter: str
) -> None:
    """Each failed for a reason of a thousand characters, or was cancelled because of one."""
    names = [f"{number:03d}{'n' * 60}" for number in range(MAX_AGENTS)]
    begun = replace(an_update(names), release="r" * 1000, script="s" * 2000)
    assert staged(names, 1, (10,)) == {member.agent_id: member.stage for member in begun.members}
    members = tuple(replace(member, before="9" * 40) for member in begun.members)
    failing = replace(begun, members=members, stage=begun.stages)
    job = JobStatus("FAILED", Problem(code="update-failed", message=letter * 1000, advice=letter * 1000))
    failed = with_statuses(failing, dict.fromkeys(names, job), dict.fromkeys(names, "0.1.0"))
    assert all(member.problem and member.problem.message.endswith("…") for member in failed.members)

    canary = with_statuses(replace(begun, members=members), {names[0]: job}, dict.fromkeys(names, "0.1.0"))
    aborted = ended(canary, "aborted", why_aborted(canary), ADA, MORNING)
    store = UpdateStore("updates-table", REGION)
    for number, update in enumerate((failed, aborted)):
        store.create_update(replace(update, update_id=f"{number:012x}"), lambda _: None)
        assert json_bytes(update) <= MAX_ROW_BYTES
    assert 250_000 < largest_row() <= MAX_ROW_BYTES


def test_a_reason_of_a_small_update_is_kept_whole() -> None:
    update = an_update([f"server-{number}" for number in range(100)])
    problem = Problem(code="update-failed", message="ü" * 200, advice="Look into its log.")
    failed = with_statuses(update, {"server-0": JobStatus("FAILED", problem)}, {"server-0": "0.1.0"})
    assert failed.members[0].problem == problem
