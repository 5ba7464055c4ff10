"""Publish install kits during tests, and run install commands on servers."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from infra import REPOSITORY
from infra.kit import Kit, make
from infra.local.deploy import stage_signer
from infra.local.processes import free_port
from infra.publish import publish_kit, stage_outputs
from tests.e2e.conftest import Fleet
from tests.e2e.installed import InstalledServer
from tests.support.kits import dependencies, sources

SUDO = """#!/bin/sh
exec "$@" {options}
"""
"""A stand-in for sudo: the script acts on one folder with the rights of this user."""


class Publisher:
    """Publishes kits of the sources with another version, and with what a test breaks."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.folder, self.fleet = folder, fleet
        self.lock = dependencies(folder)
        here = fleet.here
        self.clients = {name: here.client(name) for name in ("s3", "dynamodb", "cloudformation")}
        self.outputs = stage_outputs(self.clients["cloudformation"], here.stage)
        self._found = self._releases()

    def publish(self, version: str | None = None, broken: dict[str, tuple[str, str]] | None = None) -> Kit:
        source = REPOSITORY if version is None else sources(version, self.folder, broken)
        signer = stage_signer(self.fleet.here.home)
        kit = make(self.fleet.here.outputs.console_url, signer.public_keys, self.lock, source)
        publish_kit(self.outputs, self.clients, kit, signer)
        return kit

    def restore(self) -> None:
        """Offer the releases again that were offered before."""
        table = {"TableName": self.outputs["ReleasesTable"]}
        for name in self._releases().keys() - self._found.keys():
            self.clients["dynamodb"].delete_item(**table, Key={"release_id": {"S": name}})
        for row in self._found.values():
            self.clients["dynamodb"].put_item(**table, Item=row)

    def _releases(self) -> dict[str, Any]:
        rows = self.clients["dynamodb"].scan(TableName=self.outputs["ReleasesTable"])["Items"]
        return {row["release_id"]["S"]: row for row in rows}

    @property
    def env(self) -> dict[str, str]:
        """Environment of an installation without a package registry."""
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.folder)}

    def run_line(self, server: InstalledServer, command: str, token: str, *more: str) -> None:
        """Run the command from the console on a server, unchanged; `more` is appended for this host."""
        sudo = server.folder / "bin/sudo"
        sudo.parent.mkdir(parents=True)
        here = ["--prefix", str(server.folder), "--listen", f"127.0.0.1:{free_port()}"]
        sudo.write_text(SUDO.format(options=shlex.join([*here, *more])))
        sudo.chmod(0o755)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=server.folder,
            env=os.environ | self.env | {"PATH": f"{sudo.parent}:{os.environ['PATH']}"},
            input=token,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
