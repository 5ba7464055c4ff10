"""An agent's keys are replaced during a transfer, through broker and API."""

from typing import Any

import pytest

from events.certificates import fingerprint
from events.topics import Topics
from infra.local import functions
from infra.local.demo_files import MIB, differences, listing, write_random
from infra.local.deploy import deploy
from infra.local.environment import until
from tests.e2e.conftest import Fleet

pytestmark = pytest.mark.e2e

SLOW = 4 * MIB
"""Bandwidth limit in bytes per second, slow enough to act during a transfer."""


def certificates(fleet: Fleet, name: str) -> set[str]:
    """Return the agent's active certificates, according to IoT."""
    principals = fleet.here.client("iot").list_thing_principals(
        thingName=Topics(fleet.here.stage).thing(name)
    )["principals"]
    return {arn.rpartition("/")[2] for arn in principals}


def rotated(fleet: Fleet, name: str) -> Any:
    """Wait until the control plane has seen the agent with new keys and return the agent."""

    def ask() -> Any:
        view = fleet.api.get(f"/agents/{name}")
        return None if view["rotation_wanted_at"] else view

    return until(f"{name} to have new keys", ask)


@pytest.mark.parametrize(
    "name", [pytest.param("server-c", marks=pytest.mark.acceptance("rotate")), "server-b"]
)
def test_keys_are_replaced_in_the_middle_of_a_transfer(fleet: Fleet, name: str) -> None:
    source = fleet.folder(f"server-b:/data/rotate-{name}")
    write_random(source / "big.bin", 64 * MIB)
    old, old_lane = fleet.keys(name), (fleet.keys(name) / "lane.pem").read_text()
    had = fingerprint((old / "device.pem").read_text())
    assert certificates(fleet, name) == {had}
    since = fleet.api.get(f"/agents/{name}")["certified_at"]
    moving = fleet.copy(
        f"server-b:/data/rotate-{name}/", f"server-c:/archive/rotate-{name}/", bandwidth_limit=SLOW
    )
    fleet.until_moving(moving, f"server-c:/archive/rotate-{name}")

    fleet.here.operator.json("agents", "rotate", name)

    view = rotated(fleet, name)
    assert view["certified_at"] > since
    now = fingerprint((fleet.keys(name) / "device.pem").read_text())
    assert now != had
    until("the old certificate to go", lambda: certificates(fleet, name) == {now})
    until("the old key to go", lambda: not (old / "device.key").exists())
    ended = fleet.until_ended(moving)
    assert ended["state"] == "succeeded", ended["problem"]
    assert ended["hops"][0]["attempt"] == 1, "nothing was interrupted"
    assert differences(listing(source), listing(fleet.folder(f"server-c:/archive/rotate-{name}"))) == []

    assert (fleet.keys(name) / "lane.pem").read_text() != old_lane
    again = fleet.copy(f"server-b:/data/rotate-{name}/", f"server-c:/archive/again-{name}/")
    assert fleet.until_ended(again)["state"] == "succeeded"


def test_an_agent_killed_while_its_keys_are_replaced_comes_back(fleet: Fleet) -> None:
    before = fleet.keys("server-d")
    fleet.api.post("/agents/server-d/rotate")
    fleet.agent("server-d").kill()
    fleet.start("server-d")
    rotated(fleet, "server-d")
    assert fleet.keys("server-d") != before


def test_the_key_that_signs_commands_is_replaced_and_no_agent_misses_a_command(fleet: Fleet) -> None:
    """Deploy with the next key number: agents trust that key already, and soon the one after it."""
    _, following = fleet.command_keys("server-b")
    deploy(fleet.here.cloud, fleet.here.home, command_key=2)
    functions.warm(fleet.here.cloud)

    write_random(fleet.folder("server-b:/data/rekeyed") / "one.bin", MIB)
    moved = fleet.copy("server-b:/data/rekeyed/", "server-c:/archive/rekeyed/")
    assert fleet.until_ended(moved)["state"] == "succeeded"

    for name in fleet.servers:
        fleet.agent(name).stop()  # so that it reports its command keys at once, not within the hour
        fleet.start(name)
    for name in fleet.servers:
        until(f"{name} to know the next key", lambda name=name: fleet.command_keys(name)[0] == following)
    again = fleet.copy("server-b:/data/rekeyed/", "server-c:/archive/rekeyed-again/")
    assert fleet.until_ended(again)["state"] == "succeeded"
