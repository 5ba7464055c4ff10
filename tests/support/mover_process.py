"""Run the destination of a hop in a process of its own, which a test can kill.

    python -m tests.support.mover_process FOLDER

with the command on standard input. Prints when it moves, and exits with 0 once everything is complete.
"""

import asyncio
import sys
from pathlib import Path

from agent.config import RootConfig
from agent.files.roots import Roots
from agent.identity import lane_certificate
from agent.movers import mover_for
from agent.pull.mover import HostResources
from agent.pull.progress import ProgressCounter
from events.commands import Move
from tests.support.hosts import RecordingObserver
from tests.support.issued_keys import IssuedKeys


async def move(folder: Path, order: Move) -> None:
    roots = Roots([RootConfig(path="/archive", access="rw", directory=folder / "archive")])
    mover = mover_for(
        order,
        host=HostResources(roots, folder / "state"),
        identities=lane_certificate.load(folder / "c-keys"),
        credentials=IssuedKeys(),
    )
    print("moves", flush=True)
    await mover.move(order, ProgressCounter(), RecordingObserver())


if __name__ == "__main__":
    asyncio.run(move(Path(sys.argv[1]), Move.model_validate_json(sys.stdin.read())))
