"""Run one host of a lane in a process of its own, like an agent, driven by JSON lines on standard input.

python -m tests.bench.lane_host source KEYS DATA ADDRESS        {"allow": {…Serve}, "token": …} → {"port": 1}
python -m tests.bench.lane_host destination KEYS ARCHIVE STATE  {"move": {…Move}}         → {"digest": …}
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

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

ROOT = "/bench"


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


def destination(keys: str, archive: str, state: str) -> None:
    """Run one Move after another from standard input."""
    roots = Roots([RootConfig(path=ROOT, access="rw", directory=Path(archive))])
    say(ready=True)
    for line in sys.stdin:
        order = Move.model_validate(json.loads(line)["move"])
        mover = mover_for(
            order,
            host=HostResources(roots, Path(state)),
            identities=lane_certificate.load(Path(keys)),
            credentials=_no_credentials,
        )
        try:
            outcome = asyncio.run(mover.move(order, ProgressCounter(), SilentObserver()))
        except HopError as error:
            say(failed=error.problem.message)
        else:
            say(digest=outcome.digest)


def _no_credentials(_: str) -> Any:
    raise AssertionError("nothing here goes to S3")


if __name__ == "__main__":
    interpreter.tune()
    {"source": source, "destination": destination}[sys.argv[1]](*sys.argv[2:])
