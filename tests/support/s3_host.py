"""A host, server-b with /data, that pushes to an S3 server of the test."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from agent.config import RootConfig
from agent.errors import HopError
from agent.files.roots import Roots
from agent.pull.mover import HopResult, HostResources
from agent.pull.progress import ProgressCounter
from agent.s3.push import S3Push
from events.commands import Move, S3Route
from events.locations import AgentLocation, S3Location
from events.options import Options
from events.progress import Progress
from tests.support.held_progress import Reached, held
from tests.support.hosts import TRANSFER, RecordingObserver
from tests.support.issued_keys import IssuedKeys
from tests.support.s3_server import S3Server

HOP = f"{TRANSFER}-0"
SESSION = f"arn:aws:sts::123456789012:assumed-role/crosshaul-objects/server-b-{HOP}"
"""Who S3 takes this hop's requests to come from."""


class S3Host:
    """server-b, and a bucket."""

    def __init__(self, folder: Path, server: S3Server) -> None:
        self.data, self.state, self.server = folder / "data", folder / "agent", server
        for each in (self.data, self.state):
            each.mkdir()
        self.progress_counter, self.observer = ProgressCounter(), RecordingObserver()
        self.issued = IssuedKeys()

    def order(self, source: str = "/data/t/", prefix: str = "kept/", **options: Any) -> Move:
        return Move(
            transfer_id=TRANSFER,
            hop_id=HOP,
            attempt=1,
            source=AgentLocation(agent_id="server-b", path=source),
            destination=S3Location(bucket=self.server.bucket, prefix=prefix),
            route=S3Route(region="eu-central-1", endpoint=self.server.url),
            options=Options(**options),
        )

    def mover(self) -> S3Push:
        return S3Push(resources(self.data, self.state), self.issued)

    async def push(self, order: Move, progress: ProgressCounter | None = None) -> HopResult:
        self.progress_counter, self.observer = progress or ProgressCounter(), RecordingObserver()
        return await self.mover().move(order, self.progress_counter, self.observer)

    async def fails(self, order: Move) -> HopError:
        with pytest.raises(HopError) as caught:
            await self.push(order)
        return caught.value

    def held(self, order: Move, reached: Reached) -> AbstractAsyncContextManager[asyncio.Task[HopResult]]:
        """Run the push, held once `reached` until the end of the block, and return its task."""
        return held(lambda progress: self.push(order, progress), reached)

    def progress(self) -> Progress:
        return self.progress_counter.snapshot()

    def objects(self) -> dict[str, bytes]:
        return {key: stored.data for key, stored in self.server.objects.items()}

    def sent(self) -> dict[str, bytes]:
        """Return what /data/t has, by the keys of a push to kept/."""
        top = self.data / "t"
        return {
            f"kept/{path.relative_to(top)}": path.read_bytes() for path in top.rglob("*") if path.is_file()
        }


def resources(data: Path, state: Path) -> HostResources:
    return HostResources(Roots([RootConfig(path="/data", access="rw", directory=data)]), state)
