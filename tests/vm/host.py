"""A virtual machine with Crosshaul's agent, an agent beside it on this machine, and the control plane."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.kit import LOCK
from infra.kit import make as make_kit
from infra.local.deploy import stage_signer
from infra.local.environment import Environment, until
from infra.local.servers import Server
from infra.publish import publish_kit, stage_outputs
from infra.release_key import ReleaseSigner
from tests.e2e.api import SignedInApi
from tests.support.kits import sources
from tests.vm import file_listing
from tests.vm.machine import Machine

STORY_TIMEOUT_S = 3600
"""Seconds for one thing to happen: in software emulation on a busy machine, an update took half an hour."""
LISTING = Path(file_listing.__file__)
ENDED = {"succeeded", "failed", "partially_failed", "cancelled"}


@dataclass
class Host:
    """The agent `name` in a virtual machine."""

    machine: Machine
    here: Environment
    neighbor: Server
    """The agent's server on this machine."""
    folder: Path
    """For what is published."""
    ports: tuple[int, ...]
    """Ports of this machine that the virtual one has on its own loopback."""

    @property
    def name(self) -> str:
        return self.machine.image.family.suite

    @cached_property
    def api(self) -> SignedInApi:
        return SignedInApi.signed_in(self.here, self.here.user, self.here.password)

    def forward_ports(self) -> None:
        units = " ".join(f"to-host@{port}.socket" for port in self.ports)
        self.machine.run(f"systemctl enable --quiet --now {units}")

    def view(self) -> Any:
        return self.api.get(f"/agents/{self.name}")

    def until_online(self, version: str | None = None) -> None:
        def is_online() -> bool:
            view = self.view()
            return view["status"] == "online" and version in {None, view["version"]}

        until(f"{self.name} to be online", is_online, STORY_TIMEOUT_S, interval_s=1)

    def log_of(self, unit: str) -> str:
        return self.machine.run(f"journalctl --no-pager -o cat -u {unit}")

    def files(self, folder: str) -> dict[str, str]:
        """Return kind, mode, owner and content of what is below a folder of the virtual machine."""
        found: dict[str, str] = json.loads(self.machine.python(LISTING, folder))
        return found

    def contents(self, folder: str) -> dict[str, str]:
        """Return the digest by path of each file below a folder of the virtual machine."""
        return _contents(self.files(folder), folder)

    def contents_here(self, location: str) -> dict[str, str]:
        """Return the digest by path of each file of the neighbor."""
        folder = str(self.neighbor.path(location))
        return _contents(file_listing.listing(folder), folder)

    def copy(self, source: str, destination: str, **options: Any) -> str:
        body = {"source": source, "destinations": [destination], "shape": "fan_out", "options": options}
        return str(self.api.post("/transfers", body)["transfer_id"])

    def until_moved(self, transfer_id: str) -> Any:
        """Wait until the transfer has ended; it must have succeeded."""

        def ended() -> Any:
            found = self.api.get(f"/transfers/{transfer_id}")
            return found if found["state"] in ENDED else None

        found = until(f"{transfer_id} to end", ended, STORY_TIMEOUT_S, interval_s=1)
        assert found["state"] == "succeeded", json.dumps(found)
        return found

    def publish(
        self,
        version: str,
        broken: Mapping[str, tuple[str, str]] | None = None,
        signer: ReleaseSigner | None = None,
    ) -> None:
        """Publish the sources as another version, with something broken, or signed by somebody else."""
        clients = {name: self.here.client(name) for name in ("s3", "dynamodb", "cloudformation")}
        outputs = stage_outputs(clients["cloudformation"], self.here.stage)
        own = stage_signer(self.here.home)
        kit = make_kit(
            self.here.outputs.console_url, own.public_keys, LOCK, sources(version, self.folder, broken)
        )
        publish_kit(outputs, clients, kit, signer or own)

    def update(self, version: str, *more: str) -> Any:
        """Update the agent, and return the update once it has ended."""
        begun = self.here.operator.json("agents", "update", "--to", version, self.name, *more)
        minute = self.each_minute

        def ended() -> Any:
            self.here.client("lambda").invoke(FunctionName=minute, Payload=b"{}")
            found = self.api.get(f"/updates/{begun['update_id']}")
            return found if found["state"] in {"succeeded", "failed", "aborted", "cancelled"} else None

        until(f"the update to {version} to end", ended, STORY_TIMEOUT_S, interval_s=2)
        return self.here.operator.json("agents", "updates", "show", begun["update_id"])

    @cached_property
    def each_minute(self) -> str:
        pages = self.here.client("lambda").get_paginator("list_functions").paginate()
        names = [str(one["FunctionName"]) for page in pages for one in page["Functions"]]
        [name] = [
            one for one in names if re.match(rf"Crosshaul-{self.here.stage}-Functions\w*OnSchedule", one)
        ]
        return name


def _contents(found: Mapping[str, str], folder: str) -> dict[str, str]:
    return {
        path.removeprefix(folder): what.rpartition(" ")[2]
        for path, what in found.items()
        if what.startswith("-")
    }
