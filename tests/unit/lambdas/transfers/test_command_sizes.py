"""The largest allowed transfers fit into a signature, an IoT Core message, an event and a row."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from moto import mock_aws

from agent.cloud.command_verifier import CommandVerifier
from agent.config import LaneConfig
from events.commands import Move, Serve
from events.filters import MAX_FILTER_LENGTH
from events.locations import AgentLocation, S3Location
from events.options import BandwidthWindow, Options
from events.reports import Capabilities, Succeeded
from infra.local.function_hooks.aws_rules.limits import IOT_PAYLOAD_BYTES
from lambdas.domain.errors import LimitError
from lambdas.domain.plan import MAX_SELECTED, MAX_SELECTED_BYTES, TransferSpec
from lambdas.domain.sizes import MAX_COMMAND_BYTES
from tests.support.control_plane import host
from tests.support.fakes import MORNING, an_agent
from tests.support.fakes_aws import FakeBroker, FakeKms
from tests.support.world import ControlPlaneFixture
from tests.unit.lambdas.aws.test_command_publisher import a_fleet

FIRST, SECOND, THIRD = (letter * 63 for letter in "abc")
ADDRESSES = tuple(f"{number:02}{'h' * 252}:65535" for number in range(16))
CERTIFICATE = ("x" * 64 + "\n") * 126
SOURCE, DESTINATION = ("/data/" + "d" * 4089, "/archive/" + "d" * 4086)
"""Paths of 4,095 bytes, and a slash."""


@pytest.fixture
def broker():
    return FakeBroker()


@pytest.fixture
def large(broker):
    """Register agents with the longest names, most addresses and largest certificates; sign for real."""
    with mock_aws():
        world = ControlPlaneFixture(a_fleet(FakeKms(), broker))
        about: dict[str, Any] = {"endpoints": ADDRESSES, "lane_certificate": CERTIFICATE}
        about["capabilities"] = Capabilities(streaming=True)
        world.agents.known = {name: an_agent(name, **about) for name in (FIRST, SECOND, THIRD)}
        yield world


def commands(world: ControlPlaneFixture, broker: FakeBroker) -> list[Any]:
    """Return the commands that the agents verify from the published messages."""
    keys, now = world.fleet.verification_keys(), MORNING.timestamp()
    return [
        CommandVerifier(sent["topic"].split("/")[3].rpartition(":")[2], keys, clock=lambda: now)
        .verify(sent["payload"])[0]
        .command
        for sent in broker.published
    ]


def sizes(broker: FakeBroker) -> list[int]:
    return [len(sent["payload"]) for sent in broker.published]


def largest(request: Callable[[Options], str]) -> tuple[str, Options]:
    """Create the largest transfer that is not refused for its size; return its id and options."""
    for filters in range(MAX_FILTER_LENGTH // 128, -1, -1):
        options = options_with(filters)
        with suppress(LimitError):
            return request(options), options
    raise AssertionError("refused without filters, too")


def options_with(filters: int) -> Options:
    """Return options with a relay, bandwidth windows, and this number of filters."""
    about = {"start": "00:00", "end": "23:59:59.999999", "zone": "America/Argentina/ComodRivadavia"}
    window = BandwidthWindow.model_validate({"days": ("mon", "tue"), "limit": 2**50, **about})
    include = tuple(f"{number:03}".ljust(120, "f") for number in range(filters))
    return Options(relay="allowed", bandwidth_windows=(window,) * 5, include=include)


def test_the_largest_chain_that_can_be_asked_for_reaches_its_agents(
    large: ControlPlaneFixture, broker: FakeBroker
):
    places = [f"{name}:{DESTINATION}/" for name in (SECOND, THIRD)]
    transfer_id, options = largest(
        lambda options: large.request(f"{FIRST}:{SOURCE}/", *places, shape="chain", options=options)
    )
    large.stream()
    large.report(Succeeded, large.hop(transfer_id))
    large.stream()

    serve, move, *_, second_serve, second_move = commands(large, broker)
    assert (type(serve), type(move)) == (type(second_serve), type(second_move)) == (Serve, Move)
    assert move.options == second_move.options == options
    assert move.route.relay == serve.relay is not None
    assert MAX_COMMAND_BYTES / 2 < max(sizes(broker)) <= IOT_PAYLOAD_BYTES


def test_the_most_objects_that_a_template_gathers_reach_both_agents_of_a_chain(
    large: ControlPlaneFixture, broker: FakeBroker
):
    places = tuple(AgentLocation(agent_id=name, path=f"/archive/{'d' * 200}/") for name in (FIRST, SECOND))
    spec = TransferSpec(
        source=S3Location(bucket="media", prefix="p" * 400 + "/"),
        destinations=places,
        shape="chain",
        options=Options(relay="allowed"),
        selection=tuple(
            f"{number:02}".ljust(MAX_SELECTED_BYTES // MAX_SELECTED - 2, "k") for number in range(80)
        ),
    )
    transfer_id = large.transfer_service.create_from_template(spec, "new-videos", "batch 1", lambda *_: None)
    large.stream()
    large.report(Succeeded, large.hop(transfer_id))
    large.stream()

    moves = [one for one in commands(large, broker) if isinstance(one, Move)]
    assert [(one.route.kind, one.selection) for one in moves] == [
        ("s3", spec.selection),
        ("direct", spec.selection),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"endpoints": [f"{'h' * 300}:4460"]},
        {"endpoints": ["ü.example.org:4460"]},
        {"endpoints": ["10.0.0.2:4460"] * 17},
        {"lane_certificate": CERTIFICATE * 2},
        {"lane_certificate": "\x01" * 8000},
    ],
)
def test_no_agent_brings_what_would_fill_the_commands_to_others(here, change):
    assert here.post("/agents/register", host(here.token("server-b"), **change), role=None).status == 422


@pytest.mark.parametrize("advertise", [["10.0.0.2:4460"] * 17, ["ü.example.org:4460"]])
def test_a_hosts_own_configuration_is_refused(advertise):
    with pytest.raises(ValueError, match=r"at most 16|in ASCII"):
        LaneConfig.model_validate({"advertise": advertise})
