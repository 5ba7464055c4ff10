"""Interrupted transfers resume: pause, cancel, offline agent, killed agent, control plane unavailable."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from infra.local import cloud as embedded
from infra.local import functions
from infra.local.demo_files import MIB, differences, listing, write_random
from infra.local.environment import StageAccess, until
from tests.e2e.conftest import Fleet

pytestmark = pytest.mark.e2e

SLOW = 8 * MIB
"""Bandwidth limit in bytes per second, slow enough to interrupt a transfer halfway."""


def big_file(fleet: Fleet, name: str, size: int = 64 * MIB) -> Path:
    folder = fleet.folder(f"server-b:/data/{name}")
    write_random(folder / "big file.bin", size)
    write_random(folder / "small ü.bin", 1000)
    return folder


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if ".crosshaul" in path.name]


def arrived(fleet: Fleet, ended: dict[str, Any], source: Path, place: str) -> None:
    """Check that all files arrived and no partial files are left."""
    assert ended["state"] == "succeeded", ended["problem"]
    destination = fleet.folder(place)
    assert differences(listing(source), listing(destination)) == []
    assert leftovers(destination) == []


def test_pause_and_resume(fleet: Fleet) -> None:
    source = big_file(fleet, "pause")
    moving = fleet.copy("server-b:/data/pause/", "server-c:/archive/pause/", bandwidth_limit=SLOW)
    fleet.until_moving(moving, "server-c:/archive/pause")

    paused = fleet.api.post(f"/transfers/{moving}/pause")
    assert paused["state"] == "paused"
    until("the agent to hold still", lambda: fleet.api.get("/agents/server-c")["running"] == 0)
    assert not (fleet.folder("server-c:/archive/pause") / "big file.bin").exists()

    fleet.api.post(f"/transfers/{moving}/resume")
    ended = fleet.until_ended(moving)
    assert ended["state"] == "succeeded", ended["problem"]
    assert differences(listing(source), listing(fleet.folder("server-c:/archive/pause"))) == []


@pytest.mark.acceptance("cancel")
def test_cancel_leaves_nothing_half_done(fleet: Fleet) -> None:
    big_file(fleet, "cancel")
    moving = fleet.copy("server-b:/data/cancel/", "server-c:/archive/cancel/", bandwidth_limit=SLOW)
    fleet.until_moving(moving, "server-c:/archive/cancel")

    cancelled = fleet.api.post(f"/transfers/{moving}/cancel")

    assert cancelled["state"] == "cancelled"
    destination = fleet.folder("server-c:/archive/cancel")
    until("the half-done file to go", lambda: not leftovers(destination))
    assert not (destination / "big file.bin").exists()
    assert fleet.transfer(moving)["state"] == "cancelled"


def test_an_agent_that_is_away_gets_its_transfer_when_it_comes(fleet: Fleet) -> None:
    source = big_file(fleet, "away", MIB)
    fleet.stop("server-d")
    waiting = fleet.copy("server-b:/data/away/", "server-d:/backup/away/")
    assert fleet.until_state(waiting, "queued")["hops"][0]["state"] == "queued"

    fleet.start("server-d")

    ended = fleet.until_ended(waiting)
    assert ended["state"] == "succeeded", ended["problem"]
    assert differences(listing(source), listing(fleet.folder("server-d:/backup/away"))) == []


@pytest.mark.parametrize("victim", ["server-c", "server-b"])
def test_an_agent_killed_in_the_middle_goes_on_when_it_is_back(fleet: Fleet, victim: str) -> None:
    name = f"killed-{victim}"
    source = big_file(fleet, name)
    moving = fleet.copy(f"server-b:/data/{name}/", f"server-c:/archive/{name}/", bandwidth_limit=SLOW)
    fleet.until_moving(moving, f"server-c:/archive/{name}")

    fleet.agent(victim).kill()
    fleet.start(victim)

    ended = fleet.until_ended(moving)
    arrived(fleet, ended, source, f"server-c:/archive/{name}")


@pytest.mark.parametrize("victim", ["server-c", "server-b"])
def test_a_source_that_nobody_can_dial_dials_and_a_kill_changes_nothing(fleet: Fleet, victim: str) -> None:
    name = f"walled-{victim}"
    source = big_file(fleet, name)
    with fleet.walled("server-b"):
        moving = fleet.copy(f"server-b:/data/{name}/", f"server-c:/archive/{name}/", bandwidth_limit=SLOW)
        fleet.until_moving(moving, f"server-c:/archive/{name}")
        [hop] = fleet.transfer(moving)["hops"]
        [address] = fleet.api.get("/agents/server-c")["endpoints"]
        connection = hop["connection"]
        assert connection.pop("congestion_control"), "the kernel says by which algorithm it sends"
        assert connection == {"kind": "direct", "dialed_by": "server-b", "address": address}

        fleet.agent(victim).kill()
        fleet.start(victim)

        ended = fleet.until_ended(moving)
    arrived(fleet, ended, source, f"server-c:/archive/{name}")


def waits(transfer: dict[str, Any]) -> list[float]:
    """Return how many seconds passed from each return to the queue to the next offer."""
    seconds, queued_at = [], None
    for entry in transfer["timeline"]:
        at = datetime.fromisoformat(entry["at"])
        if "queued again" in entry["what"]:
            queued_at = at
        elif "offered" in entry["what"] and queued_at:
            seconds.append((at - queued_at).total_seconds())
            queued_at = None
    return seconds


def test_two_agents_that_cannot_dial_each_other_say_so_and_go_on_when_one_can(fleet: Fleet) -> None:
    source = big_file(fleet, "apart", MIB)
    with fleet.walled("server-b"):
        with fleet.walled("server-c"):
            moving = fleet.copy("server-b:/data/apart/", "server-c:/archive/apart/")
            addresses = [
                fleet.api.get(f"/agents/{name}")["endpoints"][0] for name in ("server-b", "server-c")
            ]

            def both_answered() -> bool:
                problem = fleet.transfer(moving)["hops"][0]["problem"] or {"message": ""}
                return all(f"{one}: connection refused" in problem["message"] for one in addresses)

            until("both sides' answers to be reported", both_answered)
            with fleet.without_sweeps():
                seen = len(waits(fleet.transfer(moving)))
                until("a retry to start when it is due", lambda: len(waits(fleet.transfer(moving))) > seen)
                until("its own function to have started it", lambda: f"{moving}-0" in fleet.log_of("OnRetry"))
            assert waits(fleet.transfer(moving))[0] >= 10
        ended = fleet.until_ended(moving)
    assert ended["state"] == "succeeded", ended["problem"]
    assert differences(listing(source), listing(fleet.folder("server-c:/archive/apart"))) == []


@pytest.mark.acceptance("relay")
def test_two_agents_that_cannot_dial_each_other_go_by_the_relay_bucket_and_a_kill_leaves_nothing(
    fleet: Fleet,
) -> None:
    source = big_file(fleet, "relayed", 40 * MIB)
    place = "server-c:/archive/relayed"
    with fleet.walled("server-b"), fleet.walled("server-c"):
        moving = fleet.copy("server-b:/data/relayed/", f"{place}/", relay="allowed", bandwidth_limit=SLOW)
        fleet.until_moving(moving, place)
        fleet.agent("server-c").kill()  # its connections stay open
        fleet.start("server-c")
        ended = fleet.until_ended(moving)
        arrived(fleet, ended, source, place)
        connection = ended["hops"][0]["connection"]
        assert {name: value for name, value in connection.items() if value} == {"kind": "relay"}
        assert "relay" in fleet.here.operator.try_("show", moving).stdout
        s3 = fleet.s3()
        bucket = fleet.here.outputs.relay_bucket
        until("the bucket to be empty", lambda: not s3.list_objects_v2(Bucket=bucket).get("Contents"))


def test_the_control_plane_may_go_away_in_the_middle(fleet: Fleet) -> None:
    source = big_file(fleet, "cloudless")
    destination = fleet.folder("server-c:/archive/cloudless")
    moving = fleet.copy("server-b:/data/cloudless/", "server-c:/archive/cloudless/", bandwidth_limit=SLOW)
    fleet.until_moving(moving, "server-c:/archive/cloudless")

    embedded.stop(fleet.here.cloud)
    until(
        "the files to arrive all the same", lambda: differences(listing(source), listing(destination)) == []
    )
    fleet.here.access = StageAccess(cloud=embedded.start(fleet.here.home))
    functions.warm(fleet.here.cloud)

    ended = fleet.until_ended(moving)
    assert ended["state"] == "succeeded", ended["problem"]

    next_one = fleet.copy("server-b:/data/cloudless/", "server-d:/backup/cloudless/")
    assert fleet.until_ended(next_one)["state"] == "succeeded"
