"""What updater and agent leave for each other, in three files.

The agent's `update-request` and `update-verdict` lie in its state directory, where it could write anything:
the updater reads them as a stranger's. The updater's record is root's own, and the agent only reads it.
Each is read by a version that is older or newer than the one that wrote it.
"""

import logging
import os
import stat
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from agent.cloud.command_verifier import MAX_MESSAGE_BYTES
from events.base import Message, UpdateId, Version
from events.commands import Update

log = logging.getLogger(__name__)

Step = Literal["installing", "trying", "returning", "kept", "returned", "failed"]
"""The first three are under way."""


class UpdateRecord(Message):
    """update.json: how far the last update is, written before each step."""

    order: Update
    issued: int
    """When the order was signed: an older one is never obeyed again."""
    jti: str
    step: Step = "installing"
    old: str
    """The release to go back to."""
    new: str | None = None
    reason: str = ""
    """Why it was not kept."""

    @property
    def is_under_way(self) -> bool:
        return self.step in {"installing", "trying", "returning"}


class HealthReport(Message):
    """update-verdict: what a new version says of itself."""

    update_id: UpdateId
    version: Version
    healthy: bool
    troubles: tuple[str, ...] = ()


class UpdateFiles:
    """The agent's two files, in its state directory."""

    def __init__(self, state: Path) -> None:
        self.request = state / "update-request"
        self.verdict = state / "update-verdict"
        self.sick = state / "update-sick"


def read_record(path: Path) -> UpdateRecord | None:
    try:
        return UpdateRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:  # root's own: not the agent's to set aside
        log.warning("the updater's record cannot be used", extra={"path": str(path), "reason": str(error)})
        return None


def read_health(path: Path) -> HealthReport | None:
    content = read_untrusted(path)
    try:
        return HealthReport.model_validate_json(content) if content else None
    except ValidationError:
        return None


def read_untrusted(path: Path) -> bytes | None:
    """A plain file of a size that makes sense, and no link to elsewhere; None if it is anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = file.read(MAX_MESSAGE_BYTES + 1)
    return content if len(content) <= MAX_MESSAGE_BYTES else None
