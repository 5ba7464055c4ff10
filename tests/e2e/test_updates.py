"""Agents are updated in stages: published kits, IoT Jobs, installation, trial and rollback.

Only systemd is replaced: `installed.py` starts what its units would start.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.kit import Kit
from infra.local.demo_files import MIB, differences, listing, write_random
from infra.local.environment import until
from tests.e2e.conftest import Fleet
from tests.e2e.installed import InstalledServer, ServiceManager, installed_server
from tests.e2e.publisher import Publisher

pytestmark = pytest.mark.e2e

NAMES = ("up-1", "up-2", "up-3")
SLOW = 4 * MIB
ENDED = {"succeeded", "failed", "aborted", "cancelled"}


class UpdateHosts:
    """Servers that the install script has installed."""

    def __init__(self, fleet: Fleet, publisher: Publisher) -> None:
        self.fleet, self.publisher = fleet, publisher
        self.managers: dict[str, ServiceManager] = {}
        self.servers: dict[str, InstalledServer] = {}

    def install(self, kit: Kit) -> None:
        script = kit.files[kit.script]
        with ThreadPoolExecutor(len(NAMES)) as pool:
            list(pool.map(lambda name: self._install(name, script), NAMES))
        for name in NAMES:
            until(f"{name} to be online", lambda name=name: self.fleet.status(name) == "online")

    def _install(self, name: str, script: bytes) -> None:
        server = installed_server(
            name, self.fleet.here.home / "servers" / name, {"/data": "rw"}, self.fleet.here.access.host
        )
        body = {"agent_id": name, "tags": {"fleet": "installed"}}
        token = self.fleet.api.post("/agents/enrollments", body)["token"]
        manager = ServiceManager(server, self.publisher.env)
        manager.install(script, self.fleet.here.outputs.api_url, token)
        manager.start_service()
        self.managers[name], self.servers[name] = manager, server

    def versions(self) -> dict[str, str]:
        return {name: self.fleet.api.get(f"/agents/{name}")["version"] for name in NAMES}

    def update(self, version: str, *more: str) -> Any:
        return self.fleet.here.operator.json(
            "agents", "update", "--to", version, "--tag", "fleet=installed", *more
        )

    def shown(self, update_id: str) -> Any:
        return self.fleet.here.operator.json("agents", "updates", "show", update_id)

    def until_ended(self, update_id: str) -> Any:
        def ask() -> bool:
            self.fleet.minute()
            return self.fleet.api.get(f"/updates/{update_id}")["state"] in ENDED

        try:
            until(f"{update_id} to end", ask, interval_s=1)
            return self.shown(update_id)
        except TimeoutError:
            raise AssertionError(self.shown(update_id)) from None

    def stop(self) -> None:
        for manager in self.managers.values():
            manager.stop_service()
        for name in self.managers:
            self.fleet.api.delete(f"/agents/{name}")


@pytest.fixture(scope="module")
def hosts(enrolled: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdateHosts]:
    publisher = Publisher(enrolled, tmp_path_factory.mktemp("kits"))
    made = UpdateHosts(enrolled, publisher)
    try:
        made.install(publisher.publish())
        yield made
    finally:
        made.stop()
        publisher.restore()


@pytest.mark.acceptance("update")
def test_an_update_goes_from_the_canary_to_all_while_a_transfer_goes_on(
    hosts: UpdateHosts, fleet: Fleet
) -> None:
    hosts.publisher.publish("7.1.0")
    source = hosts.servers["up-1"].path("/data/film")
    write_random(source / "film.mov", 64 * MIB)
    moving = fleet.copy("up-1:/data/film/", "server-c:/archive/film/", bandwidth_limit=SLOW)
    fleet.until_moving(moving, "server-c:/archive/film")

    begun = hosts.update("7.1.0", "--canary", "1", "--percent", "50")
    assert [(one["agent_id"], one["stage"]) for one in begun["members"]] == [
        ("up-1", 0),
        ("up-2", 1),
        ("up-3", 2),
    ]
    fleet.minute()
    until("the canary to be updated", lambda: hosts.versions()["up-1"] == "7.1.0")
    assert {hosts.versions()[name] for name in ("up-2", "up-3")} == {"0.1.0"}
    ended = hosts.until_ended(begun["update_id"])
    assert (ended["state"], ended["counts"]) == ("succeeded", {"succeeded": 3}), ended
    assert set(hosts.versions().values()) == {"7.1.0"}

    moved = fleet.until_ended(moving)
    assert moved["state"] == "succeeded", moved["problem"]
    assert differences(listing(source), listing(fleet.folder("server-c:/archive/film"))) == []
    for server in hosts.servers.values():
        assert len(list((server.releases / "releases").iterdir())) == 2
    audited = {one["action"] for one in fleet.api.get("/audit?limit=100")["records"]}
    assert {"update.started", "update.stage-begun", "update.ended"} <= audited


def test_a_power_cut_in_the_middle_costs_nothing_but_time(hosts: UpdateHosts) -> None:
    """The power fails while the new version is installed, and again while it is on trial."""
    hosts.publisher.publish("7.1.1")
    begun = hosts.fleet.here.operator.json("agents", "update", "up-2")
    assert begun["version"] == "7.1.1"
    record = hosts.servers["up-2"].releases / "update.json"
    hosts.fleet.minute()
    for step in ("installing", "trying"):
        until(f"the updater to be {step}", lambda step=step: f'"step": "{step}"' in record.read_text())
        hosts.managers["up-2"].kill()
    ended = hosts.until_ended(begun["update_id"])
    assert ended["state"] == "succeeded", ended
    assert hosts.versions() == {"up-1": "7.1.0", "up-2": "7.1.1", "up-3": "7.1.0"}


def test_a_version_that_does_not_start_returns_by_itself_and_no_other_host_is_touched(
    hosts: UpdateHosts, fleet: Fleet
) -> None:
    had = hosts.versions()
    breaks = {"agent/run.py": ("config = read_config(config_path)", "raise SystemExit(3)")}
    hosts.publisher.publish("7.2.0", broken=breaks)
    begun = hosts.update("7.2.0", "--healthy-within", "15s")
    ended = hosts.until_ended(begun["update_id"])
    assert ended["state"] == "aborted"
    states = {
        one["agent_id"]: (one["state"], (one["problem"] or {}).get("message")) for one in ended["members"]
    }
    assert states["up-1"] == ("returned", "7.2.0 did not report healthy within 15 seconds.")
    assert {states[name][0] for name in ("up-2", "up-3")} == {"cancelled"}
    until("the canary to be back", lambda: fleet.status("up-1") == "online")
    assert hosts.versions() == had
    assert len(list((hosts.servers["up-2"].releases / "releases").iterdir())) <= 2
