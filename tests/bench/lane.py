"""Crosshaul's lane between two hosts, one process each: what agents do once they have their commands.

Both hosts are started before the clock, like agents, and like sshd for the tools that use it. The clock runs
from the Move command to the result: connecting, both handshakes, listing, comparing, bytes, digests and
ledger. What API, tables and broker add is measured by `system.py`.
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from agent.identity import lane_certificate
from events.commands import DirectRoute, Move, Peer, Serve
from events.locations import AgentLocation
from events.options import Options
from tests.bench.lane_host import ROOT
from tests.bench.tools import FailedError, Job, RunningTool, Tool, ToolSession

TRANSFER = "abcdefghij0123456789"
HOP = f"{TRANSFER}-0"
TOKEN = "the-hop's-token"
TIMEOUT_S = 30.0
_DISCARD_PORT = 9
"""A port on which nothing listens."""


class LaneHost:
    """A running process of `lane_host`."""

    def __init__(self, argv: list[str], log: Any) -> None:
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def tell(self, **words: object) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(words).encode() + b"\n")
            self._process.stdin.flush()

    def receive(self, timeout_s: float) -> dict[str, Any]:
        """Return the host's next line.

        Raises:
            FailedError: The host has ended.
            TimeoutError: It printed nothing for `timeout_s` seconds.
        """
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            raise TimeoutError(f"it was not done after {timeout_s:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise FailedError(f"the host ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        if self.alive():
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with suppress(BrokenPipeError):
                    stream.close()


class RunningHop:
    """A running hop; the destination's process keeps running after it."""

    def __init__(self, host: LaneHost) -> None:
        self._host = host
        self.pid = host.pid

    def wait(self, seconds: float) -> None:
        try:
            answer = self._host.receive(seconds)
        except TimeoutError:
            self._host.kill()
            raise
        if "failed" in answer:
            raise FailedError(answer["failed"])

    def kill(self) -> None:
        self._host.kill()


class LaneSession:
    def __init__(self, job: Job, *, source_dials: bool) -> None:
        """`source_dials`: nothing listens where the source is said to be, so only the source can connect."""
        self.command = (
            "a hop over the lane, both agents running (python -m tests.bench.lane_host source|mover)"
            + (", where only the source can dial" if source_dials else "")
        )
        self._job = job
        self._source_dials = source_dials
        self._own_endpoints: tuple[str, ...] = ()
        folders = [job.scratch / name for name in ("b", "c", "state")]
        for folder in folders:
            folder.mkdir()
        self._b, self._c = lane_certificate.ensure(folders[0]), lane_certificate.ensure(folders[1])
        self._log = job.scratch / "tool.log"
        serving = host_command("source", folders[0], job.source, job.address)
        self._source = LaneHost(job.at_far(serving), self._log)
        self._destination = self._new_destination()
        self._order = self._ordered(_DISCARD_PORT if source_dials else self._served())
        self.far, self.near = [self._source.pid], [self._destination.pid]
        self._attempt = 0

    def start(self) -> RunningTool:
        if not self._destination.alive():
            self._destination = self._new_destination()
        self._attempt += 1
        order = self._order.model_copy(update={"attempt": self._attempt})
        if self._source_dials:  # from the moment on at which it hears of the hop
            route = order.route.model_copy(update={"own_endpoints": self._own_endpoints})
            order = order.model_copy(update={"route": route})
            self._served()
        self._destination.tell(move=order.model_dump(mode="json"))
        return RunningHop(self._destination)

    def close(self) -> None:
        for host in (self._destination, self._source):
            host.kill()

    def _new_destination(self) -> LaneHost:
        scratch = self._job.scratch
        listen = [self._job.near_address] if self._source_dials else []
        pulling = host_command("mover", scratch / "c", self._job.destination, scratch / "state", *listen)
        host = LaneHost(pulling, self._log)
        if port := host.receive(TIMEOUT_S)["port"]:
            self._own_endpoints = (f"{self._job.near_address}:{port}",)
        return host

    def _served(self) -> int:
        """Return the source's port once it serves the hop."""
        serve = Serve(
            transfer_id=TRANSFER,
            hop_id=HOP,
            attempt=1,
            path=f"{ROOT}/",
            peer=Peer(agent_id="server-c", certificate=self._c.certificate.read_text()),
            endpoints=self._own_endpoints,
            until=datetime.now(UTC) + timedelta(days=1),
        )
        self._source.tell(allow=serve.model_dump(mode="json"), token=TOKEN)
        return int(self._source.receive(TIMEOUT_S)["port"])

    def _ordered(self, port: int) -> Move:
        return Move(
            transfer_id=TRANSFER,
            hop_id=HOP,
            attempt=1,
            source=AgentLocation(agent_id="server-b", path=f"{ROOT}/"),
            destination=AgentLocation(agent_id="server-c", path=f"{ROOT}/"),
            route=DirectRoute(
                source=Peer(agent_id="server-b", certificate=self._b.certificate.read_text()),
                endpoints=(f"{self._job.address}:{self._job.dial(port)}",),
                hop_token=TOKEN,
            ),
            options=Options(),
        )


def host_command(*words: object) -> list[str]:
    return [sys.executable, "-m", "tests.bench.lane_host", *map(str, words)]


@contextmanager
def _prepare(job: Job, *, source_dials: bool = False) -> Iterator[ToolSession]:
    session = LaneSession(job, source_dials=source_dials)
    try:
        yield session
    finally:
        session.close()


LANE = Tool("lane", _prepare)
LANE_DIALED = Tool("lane-source-dials", partial(_prepare, source_dials=True), lines_only=True)
