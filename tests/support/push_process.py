"""Run a push to S3 in a process of its own, which a test can kill.

    python -m tests.support.push_process DATA STATE

with the command on standard input. Exits with 0 once everything is complete.
"""

import asyncio
import sys
from pathlib import Path

from agent.pull.progress import ProgressCounter
from agent.s3.push import S3Push
from events.commands import Move
from tests.support.hosts import RecordingObserver
from tests.support.issued_keys import IssuedKeys
from tests.support.s3_host import resources

if __name__ == "__main__":
    push = S3Push(resources(Path(sys.argv[1]), Path(sys.argv[2])), IssuedKeys())
    order = Move.model_validate_json(sys.stdin.read())
    asyncio.run(push.move(order, ProgressCounter(), RecordingObserver()))
