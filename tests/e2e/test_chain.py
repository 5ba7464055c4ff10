"""A chain from S3 over server-b to server-d, where no hop waits for the whole hop before."""

from pathlib import Path
from typing import Any

import pytest

from infra.local.demo_files import MIB, differences, listing, write_random
from infra.local.environment import until
from tests.e2e.conftest import Fleet

pytestmark = pytest.mark.e2e

SLOW = 4 * MIB
"""Bandwidth limit in bytes per second, at which the small files arrive long before the big one."""
FIRST = ["a/first ü.bin", "a/second.bin"]


def begun(fleet: Fleet, name: str, folder: Path, **options: Any) -> str:
    """Start a chain of two small files and a big one."""
    for small in FIRST:
        write_random(folder / small, 5000)
    write_random(folder / "z big.bin", 64 * MIB)
    s3 = fleet.s3()
    for file in (path for path in folder.rglob("*") if path.is_file()):
        s3.upload_file(str(file), fleet.here.outputs.bucket, f"{name}/{file.relative_to(folder)}")
    return fleet.copy(
        f"s3://{fleet.here.outputs.bucket}/{name}/",
        f"server-b:/primary/{name}/",
        f"server-d:/backup/{name}/",
        shape="chain",
        bandwidth_limit=SLOW,
        **options,
    )


def small_files_pass_on(fleet: Fleet, name: str) -> None:
    there = fleet.folder(f"server-d:/backup/{name}")
    until("the small files to go on", lambda: all((there / small).exists() for small in FIRST))
    assert not (fleet.folder(f"server-b:/primary/{name}") / "z big.bin").exists()


def everything_arrives(fleet: Fleet, chain: str, name: str, folder: Path) -> dict[str, Any]:
    ended = fleet.until_ended(chain)
    assert ended["state"] == "succeeded", ended["problem"]
    for place in ("server-b:/primary", "server-d:/backup"):
        assert differences(listing(folder), listing(fleet.folder(f"{place}/{name}"))) == [], place
    return ended


@pytest.mark.acceptance("chain")
def test_each_file_goes_on_while_the_others_still_come(fleet: Fleet, tmp_path: Path) -> None:
    chain = begun(fleet, "streamed", tmp_path)
    small_files_pass_on(fleet, "streamed")
    everything_arrives(fleet, chain, "streamed", tmp_path)


def test_a_hop_waits_for_the_whole_one_before_if_asked_to(fleet: Fleet, tmp_path: Path) -> None:
    chain = begun(fleet, "whole", tmp_path, chain="whole")
    ended = everything_arrives(fleet, chain, "whole", tmp_path)
    first, second = ended["hops"]
    assert first["ended_at"] <= second["started_at"]


@pytest.mark.parametrize("victim", ["server-b", "server-d"])
def test_an_agent_killed_in_the_middle_of_a_chain_goes_on(fleet: Fleet, tmp_path: Path, victim: str) -> None:
    name = f"chain-killed-{victim}"
    chain = begun(fleet, name, tmp_path)
    small_files_pass_on(fleet, name)

    fleet.agent(victim).kill()
    fleet.start(victim)

    everything_arrives(fleet, chain, name, tmp_path)


def test_a_cancelled_chain_stops_everywhere(fleet: Fleet, tmp_path: Path) -> None:
    chain = begun(fleet, "chain-cancelled", tmp_path)
    small_files_pass_on(fleet, "chain-cancelled")

    cancelled = fleet.api.post(f"/transfers/{chain}/cancel")

    assert [hop["state"] for hop in cancelled["hops"]] == ["cancelled", "cancelled"]
    for agent in ("server-b", "server-d"):
        until("it to hold still", lambda name=agent: fleet.api.get(f"/agents/{name}")["running"] == 0)
    assert not (fleet.folder("server-d:/backup/chain-cancelled") / "z big.bin").exists()
