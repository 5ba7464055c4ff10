"""Two hosts with a lane between them, for tests of movers: real files, real TLS, no cloud."""

import asyncio
import itertools
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from agent.config import RootConfig
from agent.errors import HopError
from agent.files.roots import Roots
from agent.identity import lane_certificate
from agent.identity.keys import Keyring
from agent.lane.limits import LaneLimits
from agent.lane.server import LaneServer
from agent.movers import mover_for
from agent.pull.active_pulls import ActivePulls
from agent.pull.limits import PullLimits
from agent.pull.manifest_outbox import ManifestOutbox
from agent.pull.mover import HopResult, HostResources
from agent.pull.progress import ProgressCounter
from agent.pull.pull import Pull
from events.base import Problem
from events.commands import DirectRoute, LocalRoute, Move, Peer, Relay, Serve
from events.locations import AgentLocation
from events.options import Options
from events.progress import Connection, Progress
from events.views import CredentialsView
from infra.local.processes import free_port
from tests.support.held_progress import Reached, held, pause
from tests.support.network_proxy import NetworkProxy

Dials = Literal["destination", "source", "both", "neither"]
TRANSFER = "abcdefghij0123456789"
TOKEN = "the-hop's-token"
_numbers = itertools.count()

ways = pytest.mark.parametrize("way", ["order", "local"])
"""Runs a test on both routes: over the lane, and on one host. The names are those of methods of `Hosts`."""


def with_lane_limits(**limits: Any) -> pytest.MarkDecorator:
    """Return a mark that gives the lanes of a test's two hosts other limits, through `lane_limits`."""
    return pytest.mark.parametrize("lane_limits", [LaneLimits(**limits)], ids=["limits"])


def closed_port() -> str:
    """Return an address that refuses connections, like one behind a rejecting firewall."""
    return f"127.0.0.1:{free_port()}"


class RecordingObserver:
    """An attempt observer that records what it is told."""

    def __init__(self) -> None:
        self.connections: list[str] = []
        self.congestion_control: str | None = None
        self.verified = False
        self.wait_problems: list[Problem] = []

    def on_start(self, connection: Connection) -> None:
        self.connections.append(str(connection))
        self.congestion_control = connection.congestion_control

    def on_wait(self, problem: Problem) -> None:
        self.wait_problems.append(problem)

    def on_verify(self) -> None:
        self.verified = True


class Hosts:
    """server-b has /data to read, server-c has /archive to write; a network proxy lies between them.

    Through it the host that `dials` reaches the other; the reverse direction exists only if both dial.
    """

    def __init__(
        self, folder: Path, dials: Dials = "destination", lane_limits: LaneLimits = LaneLimits()
    ) -> None:
        self.data, self.archive = folder / "data", folder / "archive"
        self.state = folder / "state"
        keys = folder / "b-keys", folder / "c-keys"
        for each in (self.data, self.archive, self.state, *keys):
            each.mkdir()
        self.b, self.c = lane_certificate.ensure(keys[0]), lane_certificate.ensure(keys[1])
        self.ring = Keyring(keys[0])
        self.roots = Roots([RootConfig(path="/archive", access="rw", directory=self.archive)])
        self.sources = Roots([RootConfig(path="/data", access="ro", directory=self.data)])
        self.lane_limits = lane_limits
        self.pull_limits = PullLimits()
        """The limits of hops that start from now on."""
        self.relay: Relay | None = None
        self.active_pulls = ActivePulls()
        """The active pulls of server-b."""
        self.server = self.source_server()
        self.server.listen()
        self.destination_server = LaneServer(
            self.c, HostResources(self.roots, self.state), ("127.0.0.1", 0), limits=lane_limits
        )
        self.destination_server.listen()
        self.dials = dials
        to_c = dials == "source"
        self.proxy = (
            NetworkProxy(self.destination_server.port, "to target")
            if to_c
            else NetworkProxy(self.server.port, "from target")
        )
        self.b_endpoints: tuple[str, ...] = (closed_port(),)
        self.c_endpoints: tuple[str, ...] = (closed_port(),)
        if dials in {"destination", "both"}:
            self.b_endpoints = (self.proxy.endpoint,)
        if dials == "source":
            self.c_endpoints = (self.proxy.endpoint,)
        if dials == "both":
            self.c_endpoints = (f"127.0.0.1:{self.destination_server.port}",)
        self.observer = RecordingObserver()
        self.progress_counter = ProgressCounter()
        self.manifests: ManifestOutbox | None = None

    def credentials(self, hop_id: str) -> CredentialsView:
        """Return S3 credentials of both agents; hosts that reach each other need none."""
        raise AssertionError(f"{hop_id} wants S3 credentials")

    def source_server(self) -> LaneServer:
        return LaneServer(
            self.ring,
            HostResources(self.sources, self.state, active_pulls=self.active_pulls),
            ("127.0.0.1", 0),
            credentials=self.credentials,
            limits=self.lane_limits,
        )

    def close(self) -> None:
        self.proxy.close()
        self.server.shut_down()
        self.destination_server.shut_down()

    @property
    def expected_connection(self) -> str:
        """The route that the last hop reported."""
        dialer = "server-b" if self.dials == "source" else "server-c"
        return f"direct, {dialer} dialed {self.proxy.endpoint}"

    def order(
        self,
        source: str,
        destination: str,
        *,
        attempt: int = 1,
        own: str | None = None,
        previous_hop: str | None = None,
        selection: tuple[str, ...] | None = None,
        **options: Any,
    ) -> Move:
        """Return a Move of a new hop, which the source serves with its `own` lane certificate."""
        hop = f"{TRANSFER}-{next(_numbers)}"
        asked = Options(**options)
        self.serve(hop, source, asked, selection, own=own, previous_hop=previous_hop)
        return Move(
            transfer_id=TRANSFER,
            hop_id=hop,
            attempt=attempt,
            source=AgentLocation(agent_id="server-b", path=source),
            destination=AgentLocation(agent_id="server-c", path=destination),
            route=DirectRoute(
                source=Peer(agent_id="server-b", certificate=self.b.certificate.read_text()),
                endpoints=self.b_endpoints,
                own_endpoints=self.c_endpoints,
                hop_token=TOKEN,
                relay=self.relay,
            ),
            options=asked,
            selection=selection,
            previous_hop=previous_hop,
        )

    def open_source(self) -> None:
        """Let the source's agent write to its root, too."""
        self.sources.reload([RootConfig(path="/data", access="rw", directory=self.data)])

    def release(self, order: Move) -> None:
        """Tell the source that the hop is over."""
        self.server.revoke(order.hop_id)

    def serve(
        self,
        hop: str,
        source: str,
        options: Options | None = None,
        selection: tuple[str, ...] | None = None,
        *,
        own: str | None = None,
        previous_hop: str | None = None,
        attempt: int = 1,
    ) -> None:
        serve = Serve(
            transfer_id=TRANSFER,
            hop_id=hop,
            attempt=attempt,
            path=source,
            peer=Peer(agent_id="server-c", certificate=self.c.certificate.read_text()),
            endpoints=self.c_endpoints,
            until=datetime.now(UTC) + timedelta(hours=1),
            options=options or Options(),
            selection=selection,
            own_certificate=own,
            relay=self.relay,
            previous_hop=previous_hop,
        )
        self.server.allow(serve, TOKEN)

    def local(self, source: str, destination: str, **options: Any) -> Move:
        """Return a Move within one host."""
        return self.order(source, destination, **options).model_copy(update={"route": LocalRoute()})

    def mover(self, order: Move, no_progress_timeout_s: float | None = None) -> Pull:
        limits = self.pull_limits
        if no_progress_timeout_s is not None:
            limits = replace(limits, no_progress_timeout_s=no_progress_timeout_s)
        both = Roots([*self.roots._roots, *self.sources._roots])
        mover = mover_for(
            order,
            host=HostResources(both, self.state, manifests=self.manifests, active_pulls=self.active_pulls),
            identities=self.c,
            credentials=self.credentials,
            lane=self.destination_server,
            limits=limits,
        )
        assert isinstance(mover, Pull)
        return mover

    async def move(
        self, order: Move, no_progress_timeout_s: float | None = None, progress: ProgressCounter | None = None
    ) -> HopResult:
        self.progress_counter, self.observer = progress or ProgressCounter(), RecordingObserver()
        return await self.mover(order, no_progress_timeout_s).move(
            order, self.progress_counter, self.observer
        )

    def begin(self, order: Move) -> asyncio.Task[HopResult]:
        self.progress_counter, self.observer = ProgressCounter(), RecordingObserver()
        return asyncio.create_task(self.mover(order).move(order, self.progress_counter, self.observer))

    def held(
        self, order: Move, reached: Reached, no_progress_timeout_s: float | None = None
    ) -> AbstractAsyncContextManager[asyncio.Task[HopResult]]:
        """Run the move, held once `reached` until the end of the block, and return its task."""
        return held(lambda progress: self.move(order, no_progress_timeout_s, progress), reached)

    async def fails(self, order: Move, no_progress_timeout_s: float | None = None) -> HopError:
        try:
            await self.move(order, no_progress_timeout_s)
        except HopError as error:
            return error
        raise AssertionError("it succeeded")

    async def moves_until(self, order: Move, reached: Reached) -> None:
        """Run the move and pause it once `reached`."""
        async with self.held(order, reached) as moving:
            await pause(moving)
        with pytest.raises(asyncio.CancelledError):
            await moving

    @property
    def progress(self) -> Progress:
        return self.progress_counter.snapshot()
