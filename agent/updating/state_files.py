"""The files that updater and agent leave for each other.

The agent's `update-request`, `update-verdict` and `update-sick` are in its state directory, where its account
could write anything: the updater treats them as untrusted. The updater's record is root's own, and the agent
only reads it. Each file may be read by an older or a newer version than the one that wrote it.
"""

import logging
import os
import shutil
import stat
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from agent.cloud.command_verifier import MAX_MESSAGE_BYTES
from events.base import Message, Problem, UpdateId, Version
from events.commands import UpdateAgent

log = logging.getLogger(__name__)

Step = Literal["installing", "trying", "returning", "kept", "returned", "failed"]
"""Steps of an update. The first three are in progress."""


class UpdateRecord(Message):
    """The contents of update.json: the state of the last update, written before each step."""

    order: UpdateAgent
    issued: int
    """When the order was signed: an older order is never accepted again."""
    jti: str
    step: Step = "installing"
    old: str
    """The release to return to."""
    new: str | None = None
    problem: Problem | None = None
    """Why the new release was not kept."""

    @property
    def is_under_way(self) -> bool:
        """Return whether the update is in progress."""
        return self.step in {"installing", "trying", "returning"}


class HealthReport(Message):
    """The contents of update-verdict: what a new version reports about itself."""

    update_id: UpdateId
    version: Version
    healthy: bool
    troubles: dict[str, str] = {}
    """What does not work, by the name of the check that found it."""


class UpdateFiles:
    """Paths of the agent's files in its state directory."""

    def __init__(self, state: Path) -> None:
        self.request = state / "update-request"
        self.verdict = state / "update-verdict"
        self.failing_checks = state / "update-sick"


def read_record(path: Path) -> UpdateRecord | None:
    """Return the updater's record; None if there is none or it cannot be used."""
    try:
        return UpdateRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:  # root's own: not the agent's to set aside
        log.warning("the updater's record cannot be used", extra={"path": str(path), "reason": str(error)})
        return None


def read_health(path: Path) -> HealthReport | None:
    """Return a version's health report; None if there is none or it is invalid."""
    content = read_untrusted(path)
    try:
        return HealthReport.model_validate_json(content) if content else None
    except ValidationError:
        return None


def read_untrusted(path: Path) -> bytes | None:
    """Return the content of a small regular file, not following a link; None if it is anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MAX_MESSAGE_BYTES + 1)
    return content if len(content) <= MAX_MESSAGE_BYTES else None


def delete_untrusted(path: Path) -> None:
    """Delete whatever the agent's account has put there, without following a link."""
    try:
        path.unlink(missing_ok=True)
    except IsADirectoryError:
        shutil.rmtree(path)
