"""Several servers enroll with one token through broker and API, and exchange files."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.local.demo_files import differences, listing, write_random
from infra.local.environment import until
from infra.local.servers import Server, register
from tests.e2e.conftest import Fleet

pytestmark = pytest.mark.e2e

ROOTS = {"/data": "rw"}
HERE = socket.gethostname().partition(".")[0].lower()


@pytest.fixture
def hosts(fleet: Fleet) -> Iterator[list[Server]]:
    """Yield four servers that are not enrolled, and remove their agents afterwards."""
    made = [fleet.here.server(f"render-{number}", ROOTS) for number in range(4)]
    yield made
    for server in made:
        if running := fleet.here.agents.pop(server.name, None):
            running.stop()
    for agent in fleet.api.get("/agents")["agents"]:
        if agent["agent_id"].startswith("render-"):
            fleet.api.delete(f"/agents/{agent['agent_id']}")


def roll_out(fleet: Fleet, **options: str) -> Any:
    asked = {"--name": "render-{hostname}", "--count": "3", "--tag": "site=ber", **options}
    words = [word for pair in asked.items() for word in pair]
    return fleet.here.operator.json("agents", "rollout", *words)


def shown(fleet: Fleet, rollout: Any) -> Any:
    listed = fleet.here.operator.json("agents", "rollout", "list")["rollouts"]
    return next(one for one in listed if one["rollout_id"] == rollout["rollout_id"])


def join(fleet: Fleet, rollout: Any, server: Server, *more: str) -> None:
    register(server, fleet.here.outputs.api_url, rollout["token"], *more)


def test_three_hosts_join_by_one_line_and_the_fourth_is_refused(fleet: Fleet, hosts: list[Server]) -> None:
    rollout = roll_out(fleet)
    assert rollout["token"] not in rollout["command"]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda one: join(fleet, rollout, one, "--name", one.name), hosts[:3]))
    with pytest.raises(RuntimeError, match="for 3 hosts, which have all joined"):
        join(fleet, rollout, hosts[3], "--name", hosts[3].name)
    assert (shown(fleet, rollout)["used"], shown(fleet, rollout)["state"]) == (3, "used_up")

    for server in hosts[:3]:
        fleet.here.start_agent(server)
    for server in hosts[:3]:
        until(f"{server.name} to be online", lambda name=server.name: fleet.status(name) == "online")
        assert fleet.api.get(f"/agents/{server.name}")["tags"] == {"site": "ber"}
    source, target = hosts[0].path("/data/take-1"), hosts[2].path("/data/take-1")
    write_random(source / "shot.exr", 3_000_000)
    moved = fleet.until_ended(fleet.copy("render-0:/data/take-1/", "render-2:/data/take-1/"))
    assert moved["state"] == "succeeded", moved["problem"]
    assert differences(listing(source), listing(target)) == []

    joined = fleet.api.get("/audit?agent=render-1")["records"]
    assert [one["why"] for one in joined if one["action"] == "agent.registered"] == [
        f"roll-out {rollout['rollout_id']} of {fleet.here.user}"
    ]


def test_a_host_is_named_after_itself_and_no_host_after_another(fleet: Fleet, hosts: list[Server]) -> None:
    rollout = roll_out(fleet, **{"--name": "render-{hostname}-x"})
    with pytest.raises(RuntimeError, match=r"render-\{hostname\}-x, not server-b"):
        join(fleet, rollout, hosts[0], "--name", "server-b")
    assert shown(fleet, rollout)["used"] == 0
    join(fleet, rollout, hosts[0])
    assert fleet.status(f"render-{HERE}-x") == "offline"
    with pytest.raises(RuntimeError, match="already registered"):
        join(fleet, rollout, hosts[1])
    assert shown(fleet, rollout)["used"] == 1


def test_what_was_ended_by_hand_lets_nobody_in(fleet: Fleet, hosts: list[Server]) -> None:
    rollout = roll_out(fleet)
    fleet.here.operator.json("agents", "rollout", "end", rollout["rollout_id"])
    with pytest.raises(RuntimeError, match="was ended by"):
        join(fleet, rollout, hosts[0], "--name", hosts[0].name)
    assert shown(fleet, rollout)["state"] == "ended"
