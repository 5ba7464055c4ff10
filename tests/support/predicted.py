"""Check that a dry run predicts what the upload then does, for every backend and overwrite mode."""

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from agent.errors import HopError
from agent.pull.mover import HopResult
from events.progress import Progress
from infra.local.demo_files import write_random

SAME = {"same", "half a second", "名前/a [b] #1?"}
"""Names of files that do not change."""
HOUR = 3600 * 10**9
OVERWRITES = ("always", "newer", "never", "fail")

Moves = Callable[..., Awaitable[HopResult]]


@dataclass
class PredictedUpload:
    """An upload of one tree to one backend."""

    folder: Path
    moves: Moves
    """Makes the Move of the folder with these options."""
    there: Callable[[], dict[str, bytes]]
    """Returns the backend's content by name."""
    progress: Callable[[], Progress]


async def is_predicted(upload: PredictedUpload, overwrite: str) -> None:
    """Upload a tree, change it in every way, and check that the second upload does what was predicted."""
    _a_tree(upload.folder)
    await upload.moves()
    _changed(upload.folder)
    before = upload.there()

    preview = (await upload.moves(dry_run=True, overwrite=overwrite)).preview

    assert upload.there() == before, "a dry run writes nothing"
    failed = await _ends(upload.moves, overwrite)
    progress, after = upload.progress(), upload.there()
    assert preview.failed.files == failed
    assert preview.sent.files == len(after.keys() - before.keys())
    replaced = {name for name in before if after[name] != before[name]}
    assert replaced <= set(preview.examples.get("replaced", ()))
    assert not set(preview.examples.get("kept", ())) & SAME
    arrived = progress.files_done - progress.files_unchanged
    assert preview.sent.files + preview.replaced.files == arrived
    if not failed:
        stayed = preview.kept.files + preview.unchanged.files
        assert (stayed, preview.kept.bytes + preview.unchanged.bytes) == (
            progress.files_unchanged,
            progress.bytes_unchanged,
        )


async def _ends(moves: Moves, overwrite: str) -> int:
    """Run the move and return the number of failed files."""
    try:
        await moves(overwrite=overwrite)
    except HopError as error:
        return error.failures_total
    return 0


def _a_tree(folder: Path) -> None:
    for name in ("same", "touched", "aged", "grown", "deep/Köln + Bonn 100%.mov", "名前/a [b] #1?"):
        _written(folder / name, 500, -10 * HOUR)
    _written(folder / "half a second", 500, -10 * HOUR + 200_000_000)


def _changed(folder: Path) -> None:
    """Change files: newer and older, of the same size and another, and new ones."""
    _written(folder / "touched", 500, HOUR)
    _written(folder / "aged", 500, -20 * HOUR)
    _written(folder / "grown", 700, HOUR)
    _written(folder / "deep/Köln + Bonn 100%.mov", 300, -20 * HOUR)
    _written(folder / "deep/new ü", 10, -20 * HOUR)
    _written(folder / "new", 0, 0)


def _written(path: Path, size: int, ago: int) -> None:
    write_random(path, size)
    moment = time.time_ns() // 10**9 * 10**9 + ago
    os.utime(path, ns=(moment, moment))
