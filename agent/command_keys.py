"""The keys that commands to this host must be signed with, and their replacement.

There are two, the current signing key and the next one, so that no command is signed with a key that an agent
does not know. A replacement must itself be signed with one of them. Root's updater trusts keys of its own
(`agent.updating.pinned_keys`): the agent passes it the same command.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agent.cloud.command_verifier import CommandVerifier
from agent.errors import HostError
from agent.files.disk import atomic_write
from agent.identity.registration import SECRET, Files, Registration, amend
from agent.updating import pinned_keys
from agent.updating.state_files import UpdateFiles
from events.base import KeyId
from events.commands import CommandEnvelope, Trust

log = logging.getLogger(__name__)

_MAX_KEYS, _MAX_KID = 8, 200
REPEAT_INTERVAL_S = 3600.0
"""Seconds after which the keys are reported again: the control plane may have lost the report."""


class CommandKeySet(NamedTuple):
    """Ids (`kid`) of the keys that are trusted on this host."""

    own: tuple[KeyId, ...]
    """Ids of the keys that the agent trusts."""
    roots: tuple[KeyId, ...] | None
    """Ids of the keys that root's updater trusts; None if root has pinned no keys."""


class CommandKeys:
    """The keys of this host's agent, and what of them was reported."""

    def __init__(
        self,
        registration: Registration,
        files: Files,
        config: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Load the keys of the registration.

        `config` is the path of agent.toml; the keys pinned by root are in the same directory.
        """
        self._registration = registration
        self._files = files
        self._config = config
        self._update_files = UpdateFiles(files.folder)
        self._clock = clock
        self._reported: CommandKeySet | None = None
        self._report_again_at = clock()
        self.verifier = CommandVerifier(registration.agent_id, registration.verification_keys)

    def replace(self, command: Trust, token: str) -> None:
        """Trust these keys, now and after a restart.

        If they cannot be saved, the control plane sends them again. Raises TrustError if none of them can be
        used.
        """
        keys = tuple(key.model_dump() for key in command.keys)
        self.verifier.trust(keys)
        try:
            registration = amend(self._files, self._registration, verification_keys=keys)
            self._submit_to_updater(keys, token)
        except OSError as error:
            log.warning("keys not saved", extra={"reason": str(error)})
            return
        self._registration = registration
        log.info("keys replaced", extra={"keys": " ".join(self.verifier.keys)})

    def changed(self) -> CommandKeySet | None:
        """Return the trusted keys if they are to be reported; None if they were reported recently."""
        keys = CommandKeySet(_kids(self._registration.verification_keys), self._pinned_kids())
        if keys == self._reported and self._clock() < self._report_again_at:
            return None
        self._reported, self._report_again_at = keys, self._clock() + REPEAT_INTERVAL_S
        return keys

    def _submit_to_updater(self, keys: Iterable[Mapping[str, Any]], token: str) -> None:
        """Pass the signed replacement to root's updater.

        Not while an update waits there: the control plane sends the keys again.
        """
        pinned = self._pinned_kids()
        if pinned is not None and set(pinned) != set(_kids(keys)) and not self._update_files.request.exists():
            atomic_write(
                self._update_files.request, CommandEnvelope(token=token).model_dump_json().encode(), SECRET
            )

    def _pinned_kids(self) -> tuple[KeyId, ...] | None:
        """Return the ids of the pinned keys; None if root has pinned no usable key.

        In that case root's updater installs nothing.
        """
        try:
            return _kids(pinned_keys.trusted(self._config).verification_keys)
        except HostError:
            return None


def _kids(keys: Iterable[Mapping[str, Any]]) -> tuple[KeyId, ...]:
    """Return the keys' ids, cut to as many and as long as a heartbeat takes."""
    return tuple(str(key.get("kid") or "?")[:_MAX_KID] for key in keys)[:_MAX_KEYS]
