"""Repair the state that the embedded cloud saved when it stopped, before it starts again.

It saves how far each function has read a table's stream, but not the stream: after a restart the stream
counts from 0 again, and everything up to the saved position would be skipped. Records that were not read
before the stop are lost; the lease sweeper recovers what depended on them.
"""

import json
from pathlib import Path


def forget_stream_positions(state: Path) -> None:
    """Make every function read its streams from the beginning; `state` is the cloud's STATE_DIR."""
    file = state / "lambda.json"
    if not file.exists():
        return
    saved = json.loads(file.read_text())
    saved["payload"]["dynamodb_stream_positions"]["data"] = {}
    file.write_text(json.dumps(saved))
