"""Every accepted transfer can be sent and stored: sizes are checked when it is created."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from events.commands import Command, CommandEnvelope
from events.requests import TransferRequest
from infra.local.function_hooks.aws_rules.limits import DYNAMODB_ITEM_BYTES, IOT_PAYLOAD_BYTES, item_bytes
from lambdas.domain import problems
from lambdas.domain.errors import LimitError, RefusedError
from lambdas.domain.sizes import MAX_COMMAND_BYTES, MAX_REQUEST_BYTES
from lambdas.ports import allow_all
from lambdas.transfers.dispatcher import Dispatcher
from tests.support.control_plane import ControlPlane
from tests.support.fakes import ADA, an_agent
from tests.support.world import REGION, TABLE, ControlPlaneFixture


class SizedFleet:
    """Issues tokens as long as real ones, and records the size of each message to an agent."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def send_command(self, agent_id: str, command: Command, lifetime: timedelta = timedelta(0)) -> None:
        self.send(agent_id, self.sign(agent_id, command, lifetime))

    def sign(self, agent_id: str, command: Command, lifetime: timedelta = timedelta(0)) -> str:
        claims = {"iss": "crosshaul", "aud": agent_id, "jti": "0" * 32, "iat": 1794000000, "exp": 1794086400}
        text = json.dumps(claims)[:-1] + f', "command": {command.model_dump_json()}}}'
        header = base64.urlsafe_b64encode(b'{"alg":"ES256","typ":"JWT","kid":"' + b"k" * 40 + b'"}')
        return f"{header.decode()}.{base64.urlsafe_b64encode(text.encode()).decode()}.{'s' * 86}"

    def send(self, agent_id: str, token: str) -> None:
        self.sizes.append(len(CommandEnvelope(token=token).model_dump_json()))


@pytest.fixture
def sized(world: ControlPlaneFixture) -> SizedFleet:
    fleet = SizedFleet()
    changing, clock = world.writer, world.clock
    settings = world.dispatcher._settings
    world.stream_handler._dispatcher = Dispatcher(changing, world.agents, fleet, settings, allow_all, clock)
    world.stream_handler._commands = fleet
    return fleet


def long_path(start: str) -> st.SearchStrategy[str]:
    pieces = st.sampled_from(
        ["a" * 200, "ü" * 100, "\x01" * 100, '"' * 200, "\\n" * 90, "🎬" * 50, "\u2028" * 60]
    )
    return st.lists(pieces, max_size=22).map(lambda names: "/".join([start, *names])[:3000] + "/")


patterns = st.lists(
    st.sampled_from(["*.mov", "\x02" * 500, '"' * 900, "ü" * 1000, "{a,b}" * 5]), max_size=12, unique=True
)
requests = st.fixed_dictionaries(
    {
        "source": long_path("/data").map(lambda path: f"a:{path}"),
        "destinations": st.lists(
            st.tuples(st.sampled_from("bcd"), long_path("/archive")).map(":".join),
            min_size=1,
            max_size=12,
            unique=True,
        ),
        "shape": st.sampled_from(["fan_out", "chain"]),
        "options": st.fixed_dictionaries(
            {"include": patterns, "exclude": patterns, "relay": st.sampled_from(["never", "allowed"])}
        ),
    }
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[phase for phase in settings.default.phases if phase.name != "shrink"],
)
@given(body=requests, bulky=st.booleans())
def test_whatever_is_accepted_can_be_sent_and_stored(
    world: ControlPlaneFixture, sized: SizedFleet, body: dict[str, Any], bulky: bool
) -> None:
    more = {"lane_certificate": "c" * 8000, "endpoints": ("e" * 250 + ":4460",) * 16} if bulky else {}
    world.agents.known = {name: an_agent(name, **more) for name in "abcd"}
    try:
        request = TransferRequest.model_validate(body)
    except ValidationError:
        return
    sized.sizes.clear()
    refusal, transfer_id = None, ""
    try:
        transfer_id = world.transfer_service.request_transfer(ADA, request).transfer_id
    except RefusedError as error:  # a 422
        refusal = error.problem
    if refusal is not None:
        assert refusal.advice
        return
    world.stream()
    assert sized.sizes
    assert max(sized.sizes) <= MAX_COMMAND_BYTES < IOT_PAYLOAD_BYTES
    assert world.hop(transfer_id).state == "offered"
    for item in boto3.client("dynamodb", REGION).scan(TableName=TABLE)["Items"]:
        assert item_bytes(item) < DYNAMODB_ITEM_BYTES


def test_too_many_long_destinations_are_refused_with_the_number(world: ControlPlaneFixture) -> None:
    places = [f"b:/archive/{number}/" + "d" * 3900 for number in range(50)]
    with pytest.raises(LimitError) as refused:
        world.request("a:/data/", *places)
    assert f"{MAX_REQUEST_BYTES:,} are the limit" in refused.value.problem.message
    assert refused.value.problem.advice
    assert world.new_rows() == []


def test_a_path_that_is_long_once_it_is_written_as_json_is_refused_with_the_number(
    world: ControlPlaneFixture,
) -> None:
    with pytest.raises(LimitError) as refused:
        world.request("a:/data/" + "\x01" * 4000, "b:/archive/" + "\x01" * 4000)
    assert f"{MAX_COMMAND_BYTES:,} are the limit" in refused.value.problem.message
    assert world.new_rows() == []


def test_a_command_that_has_become_too_large_fails_its_hop_and_stops_no_other(
    world: ControlPlaneFixture, sized: SizedFleet
) -> None:
    """Certificates and addresses grow while a transfer waits."""
    bulky = world.request("a:/data/" + "x/" * 1900, "b:/archive/" + "\x01" * 2600)
    other = world.request("c:/data/", "d:/archive/")
    world.agents.known["b"] = an_agent("b", lane_certificate="\x01" * 8000)
    world.stream()
    hop = world.hop(bulky)
    assert hop.problem is not None
    assert (hop.state, hop.problem.code) == ("failed", problems.LIMIT.code)
    assert world.hop(other).state == "offered"
    assert max(sized.sizes) < IOT_PAYLOAD_BYTES


LONG_KEY = {"bucket": "media", "prefix": "\x01" * 1000 + "/"}
LONG_PATH = "server-b:/data/" + "\x01" * 4000 + "/"
LONG_PATHS = [f"server-b:/data/{number}/{'d' * 3900}/" for number in range(50)]


@pytest.mark.parametrize(
    "body",
    [
        {"trigger": LONG_KEY, "destinations": ["server-a:/data/", LONG_PATH], "shape": "chain"},
        {"trigger": {"bucket": "media"}, "destinations": LONG_PATHS},
    ],
)
def test_a_template_that_could_never_be_sent_is_refused_when_it_is_saved(
    here: ControlPlane, body: dict[str, Any]
) -> None:
    answer = here.post("/templates", {"name": "new-videos", **body})
    assert answer.problem == problems.LIMIT
    assert "are the limit" in answer.body["detail"]
    assert answer.body["advice"]


ODD_TIMES = [
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00",
    "9999-12-31T23:59:59.999999+00:00", "0999-06-01T00:00:00Z", "-9999999999999", "253402300800000",
]  # fmt: skip


@pytest.mark.parametrize("at", ODD_TIMES)
@pytest.mark.parametrize(
    "ask",
    [
        lambda here, at: here.get("/overview", midnight=at),
        lambda here, at: here.get("/transfers", since=at),
        lambda here, at: here.get("/transfers", until=at),
        lambda here, at: here.get("/audit", since=at),
        lambda here, at: here.get("/audit", until=at),
        lambda here, at: here.post("/policies/test", {"transfer": TRANSFER, "at": at}),
    ],
    ids=["midnight", "since", "until", "audit since", "audit until", "policy"],
)
def test_no_time_at_the_ends_of_the_calendar_breaks_a_route(
    here: ControlPlane, at: str, ask: Callable[[ControlPlane, str], Any]
) -> None:
    answer = ask(here, at)
    assert answer.status < 500, answer.text
    if answer.status >= 400:
        assert answer.body["detail"]
        assert answer.body["advice"]


TRANSFER = {"source": "server-a:/data/", "destinations": ["server-b:/data/"]}


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"bandwidth_windows": [{"start": "08:00+02:00", "end": "18:00"}]}, "bandwidth_windows.0.start"),
        ({"bandwidth_windows": [{"start": "08:00", "end": "18:00Z"}]}, "bandwidth_windows.0.end"),
        ({"bandwidth_windows": [{"start": 3600, "end": "18:00"}]}, "bandwidth_windows.0.start"),
        ({"bandwidth_limit": 2**63}, "bandwidth_limit"),
        ({"bandwidth_limit": 10**400}, "bandwidth_limit"),
        ({"exclude": ["*a" * 40]}, "exclude.0"),
        ({"exclude": ["x" * 1000 + str(n) for n in range(9)]}, "options"),
    ],
)
def test_options_that_would_break_a_hop_are_refused_with_their_place(
    here: ControlPlane, options: dict[str, Any], place: str
) -> None:
    answer = here.post("/transfers", {**TRANSFER, "options": options})
    assert answer.status == 422
    assert answer.body["errors"][0]["at"].endswith(place)
    assert answer.body["errors"][0]["message"]
    assert answer.body["advice"]


POLICY = "permit (principal, action, resource);"


@pytest.mark.parametrize("number", [2**63, 10**40, 10**400])
def test_numbers_that_no_table_holds_are_refused(here: ControlPlane, number: int) -> None:
    asked = [
        here.post("/policies/test", {"transfer": TRANSFER, "size": number}),
        here.call("PUT", "/policies/mine", {"text": POLICY, "why": "why not"}, version=str(number)),
        here.call("PUT", "/templates/new-videos", {}, version=str(number)),
    ]
    for answer in asked:
        assert 400 <= answer.status < 500, answer.text
        assert answer.body["advice"]


def test_what_an_older_version_took_is_still_shown(world: ControlPlaneFixture, sized: SizedFleet) -> None:
    """Rows from before the limits existed do not break a list."""
    transfer_id = world.request("a:/data/", "b:/archive/")
    options = {
        "exclude": ["*a" * 40],
        "bandwidth_windows": [{"start": "08:00+02:00", "end": "18:00Z"}],
        "bandwidth_limit": 2**70,
    }
    boto3.client("dynamodb", REGION).update_item(
        TableName=TABLE,
        Key={"transfer_id": {"S": transfer_id}, "part": {"S": "transfer"}},
        UpdateExpression="SET #o = :o",
        ExpressionAttributeNames={"#o": "options"},
        ExpressionAttributeValues={":o": {"S": json.dumps(options)}},
    )
    shown = world.transfer_service.get(transfer_id).options
    assert shown.exclude == ("*a" * 40,)
    assert shown.bandwidth_windows[0].start.tzinfo is None
    world.stream()
    assert world.hop(transfer_id).state == "offered"
