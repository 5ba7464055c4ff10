"""A remote of a host's own rclone, offered by its administrator, works; no other does."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from agent.files.digests import RANGE_BYTES
from events.problem_type import ProblemType
from infra.local.demo_files import MIB, differences, listing, write_random
from infra.local.environment import until
from lambdas.domain.problems import READ_ONLY, REMOTE_UNKNOWN, ROUTE_UNSUPPORTED
from tests.e2e.api import ApiRefusal
from tests.e2e.conftest import Fleet
from tests.e2e.console import picture, visit

pytestmark = pytest.mark.e2e

CONFIGURATION = """
[store]
type = alias
remote = {far}

[partner]
type = alias
remote = {far}/partner

[private]
type = alias
remote = {far}
"""
OFFERED = """
[[remotes]]
name = "store"
access = "ro"

[[remotes]]
name = "partner"
access = "rw"
"""


@pytest.fixture
def far(fleet: Fleet, tmp_path: Path) -> Iterator[Path]:
    """Yield the folder of server-b's remote; the agent picks it up without a restart."""
    far, described = tmp_path / "far", tmp_path / "rclone.conf"
    (far / "partner").mkdir(parents=True)
    described.write_text(CONFIGURATION.format(far=far))
    config = fleet.servers["server-b"].config
    plain = config.read_text()
    config.write_text(f'rclone_config = "{described}"\n{plain}{OFFERED}')
    fleet.agent("server-b").process.send_signal(signal.SIGHUP)
    until("the remotes to be told of", lambda: offered(fleet) == ["store", "partner"])
    yield far
    config.write_text(plain)
    fleet.agent("server-b").process.send_signal(signal.SIGHUP)


def offered(fleet: Fleet) -> list[str]:
    return [one["name"] for one in fleet.api.get("/agents/server-b")["capabilities"]["remotes"]]


def rclones_of(parent: int) -> list[Path]:
    """Return the rclone processes below a parent, from /proc."""
    found = [path.parent for path in Path("/proc").glob("[0-9]*/stat") if parent_of(path.parent) == parent]
    return [path for path in found if is_rclone(path)]


def parent_of(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def is_rclone(process: Path) -> bool:
    try:
        return b"rclone" in (process / "cmdline").read_bytes()
    except OSError:
        return False


def test_from_a_remote_to_two_servers_and_to_a_remote(fleet: Fleet, far: Path) -> None:
    write_random(far / "in/big.mov", RANGE_BYTES + MIB)
    write_random(far / "in/Köln + Bonn/100%.txt", 1000)
    places = ["server-b:/primary/far/", "server-c:/archive/far/"]

    transfer = fleet.copy("server-b:store:in/", *places, shape="chain")

    done = fleet.until_ended(transfer)
    assert done["state"] == "succeeded", done["problem"]
    assert [hop["route"] for hop in done["hops"]] == ["remote", "direct"]
    for location in places:
        assert differences(listing(far / "in"), listing(fleet.folder(location))) == []

    back = fleet.copy("server-b:/primary/far/", "server-b:partner:back/")
    assert fleet.until_ended(back)["state"] == "succeeded"
    assert differences(listing(far / "in"), listing(far / "partner/back")) == []


def test_its_directories_are_browsed_on_the_command_line_and_in_the_console(
    page: Page, fleet: Fleet, far: Path
) -> None:
    write_random(far / "2026/Köln + Bonn/one.bin", 1000)
    assert "Köln + Bonn/" in fleet.here.operator.try_("browse", "server-b:store:2026").stdout
    visit(page, fleet, "transfers/new")
    page.get_by_role("button", name="Source: agent or S3").click()
    page.get_by_role("option", name="server-b:store:").click()
    page.get_by_role("button", name="Browse").first.click()
    dialog = page.get_by_role("dialog")
    for name in ("2026", "Köln + Bonn"):
        dialog.get_by_text(name, exact=True).click()
    expect(dialog).to_contain_text("one.bin")
    dialog.get_by_role("button", name=re.compile("^Use")).click()
    expect(page.get_by_label("Source: path")).to_have_value("store:2026/Köln + Bonn/")

    page.get_by_role("button", name="Destination: agent or S3").click()
    expect(page.get_by_role("option", name="server-b:store:")).to_be_disabled()
    page.get_by_role("option", name="server-b").first.click()
    page.get_by_label("Destination: path").fill("/primary/browsed/")
    picture(page, "new-transfer-remote")
    page.get_by_role("button", name="Start transfer").click()

    expect(page.get_by_text("Succeeded").first).to_be_visible()
    assert fleet.folder("server-b:/primary/browsed/one.bin").exists()


@pytest.mark.parametrize(
    ("remote", "path", "code"),
    [("store", "/not/there", "path-missing"), ("private", "/", "remote-unknown")],
)
def test_a_directory_that_is_not_there_or_not_offered_is_said(
    fleet: Fleet, far: Path, remote: str, path: str, code: str
) -> None:
    with pytest.raises(ApiRefusal) as caught:
        fleet.api.post("/agents/server-b/browse", {"remote": remote, "path": path})
    assert caught.value.problem["type"] == f"urn:crosshaul:problem:{code}"


def test_an_agent_that_is_killed_goes_on_in_the_middle_of_a_file(fleet: Fleet, far: Path) -> None:
    write_random(far / "long/big.mov", 8 * RANGE_BYTES)
    transfer = fleet.copy(
        "server-b:store:long/", "server-b:/primary/long/", bandwidth_limit=RANGE_BYTES, streams=1
    )
    fleet.until_moving(transfer, "server-b:/primary/long")
    agent = fleet.agent("server-b").process
    rclones = rclones_of(agent.pid)
    assert rclones
    agent.kill()  # the agent alone
    agent.wait()
    until("its rclone to end with it", lambda: not any(map(is_rclone, rclones)))
    fleet.start("server-b")
    done = fleet.until_ended(transfer)
    assert done["state"] == "succeeded", done["problem"]
    assert differences(listing(far / "long"), listing(fleet.folder("server-b:/primary/long"))) == []


@pytest.mark.parametrize(
    ("source", "destination", "problem_type"),
    [
        ("server-b:private:in/", "server-b:/primary/x/", REMOTE_UNKNOWN),
        ("server-c:store:in/", "server-c:/archive/x/", REMOTE_UNKNOWN),
        ("server-b:/data/", "server-b:store:x/", READ_ONLY),
        ("server-b:store:in/", "server-c:/archive/x/", ROUTE_UNSUPPORTED),
    ],
)
def test_what_is_not_offered_is_refused(
    fleet: Fleet, far: Path, source: str, destination: str, problem_type: ProblemType
) -> None:
    with pytest.raises(ApiRefusal) as caught:
        fleet.copy(source, destination)
    assert caught.value.problem["type"] == f"urn:crosshaul:problem:{problem_type.code}"
    assert caught.value.problem["advice"]
