"""Run one host in a process of its own, like an agent, driven by JSON lines on standard input.

python -m tests.bench.lane_host source KEYS DATA ADDRESS   {"allow": {…Serve}, "token": …} → {"port": 1}
python -m tests.bench.lane_host mover KEYS ARCHIVE STATE [ADDRESS]   {"move": {…Move}}     → {"digest": …}

With ADDRESS the mover listens, too, so that the source can dial it; its first line then has the port.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent import interpreter
from agent.config import RootConfig
from agent.errors import HopError
from agent.files.roots import Roots
from agent.identity import lane_certificate
from agent.lane.connector import Connector  # noqa: F401 - an agent that has moved a file before has it loaded
from agent.lane.server import LaneServer
from agent.movers import mover_for
from agent.pull.mover import HostResources
from agent.pull.progress import ProgressCounter
from events.base import Problem
from events.commands import Move, Serve
from events.progress import Connection
from events.views import CredentialsView

ROOT = "/bench"
REGION = "eu-central-1"
KEYS = {"AWS_ACCESS_KEY_ID": "BENCH", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


class SilentObserver:
    """An attempt observer that ignores everything."""

    def on_start(self, way: Connection) -> None: ...

    def on_wait(self, problem: Problem) -> None: ...

    def on_verify(self) -> None: ...


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def source(keys: str, data: str, address: str) -> None:
    """Serve hops from standard input until it ends."""
    roots = Roots([RootConfig(path=ROOT, access="ro", directory=Path(data))])
    host = HostResources(roots, Path(keys))
    server = LaneServer(lane_certificate.load(Path(keys)), host, (address, 0))
    server.listen()
    for line in sys.stdin:
        order = json.loads(line)
        server.allow(Serve.model_validate(order["allow"]), order["token"])
        say(port=server.port)
    server.shut_down()


def mover(keys: str, archive: str, state: str, address: str = "") -> None:
    """Run one Move after another from standard input."""
    roots = Roots([RootConfig(path=ROOT, access="rw", directory=Path(archive))])
    lane = None
    if address:
        lane = LaneServer(
            lane_certificate.ensure(Path(keys)), HostResources(roots, Path(state)), (address, 0)
        )
        lane.listen()
    say(port=lane.port if lane else None)
    for line in sys.stdin:
        order = Move.model_validate(json.loads(line)["move"])
        chosen = mover_for(
            order,
            host=HostResources(roots, Path(state)),
            identities=lane_certificate.ensure(Path(keys)),
            credentials=_credentials,
            lane=lane,
        )
        try:
            outcome = asyncio.run(chosen.move(order, ProgressCounter(), SilentObserver()))
        except HopError as error:
            say(failed=error.problem.message)
        else:
            say(digest=outcome.digest)


def _credentials(_: str, refused: CredentialsView | None = None) -> CredentialsView:
    """Return what the stand-in for S3 accepts, which is anything."""
    if refused:
        raise AssertionError("the stand-in for S3 refuses no credentials")
    return CredentialsView(
        access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        session_token="token",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        region=REGION,
        endpoint=None,
    )


if __name__ == "__main__":
    interpreter.tune()
    {"source": source, "mover": mover}[sys.argv[1]](*sys.argv[2:])
