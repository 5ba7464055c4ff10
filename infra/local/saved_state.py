"""What the embedded cloud saves when it stops, mended before it starts again.

It remembers how far each function has read a table's stream, but not the stream: after a restart the stream
counts from 0 again, and everything up to the remembered position would be passed over. What was in the
stream and not read at the stop is gone; the sweeper finds what depended on it.
"""

import json
from pathlib import Path


def forget_stream_positions(state: Path) -> None:
    """Let every function read its streams from their beginning; `state` is the cloud's STATE_DIR."""
    file = state / "lambda.json"
    if not file.exists():
        return
    saved = json.loads(file.read_text())
    saved["payload"]["dynamodb_stream_positions"]["data"] = {}
    file.write_text(json.dumps(saved))
