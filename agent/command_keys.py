"""The keys whose commands this host obeys, and how others take their place: one of them has signed that.

There are two, the one that signs now and the one that will be next, so that no command is signed by a key
that an agent has not heard of. Root's updater obeys keys of its own (`agent.updating.pinned_keys`): the same
letter is shown to it, and says to it what it says here.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agent.cloud.command_verifier import CommandVerifier
from agent.errors import HostError
from agent.files.disk import atomic_write
from agent.identity.registration import SECRET, Files, Registration
from agent.updating import pinned_keys
from agent.updating.state_files import UpdateFiles
from events.base import KeyId
from events.commands import CommandEnvelope, Trust

log = logging.getLogger(__name__)

_MAX_KEYS, _MAX_KID = 8, 200
REPEAT_INTERVAL_S = 3600.0
"""Seconds after which it is said again which keys they are: whoever listens may have others by now."""


class CommandKeySet(NamedTuple):
    """Whose commands are obeyed, by their `kid`."""

    own: tuple[KeyId, ...]
    roots: tuple[KeyId, ...] | None
    """None where root updates nothing."""


class CommandKeys:
    def __init__(
        self,
        registration: Registration,
        files: Files,
        config: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`config`: agent.toml, beside which root's keys are, if it has pinned any."""
        self._registration = registration
        self._files = files
        self._config = config
        self._notes = UpdateFiles(files.folder)
        self._clock = clock
        self._said: CommandKeySet | None = None
        self._say_again = clock()
        self.verifier = CommandVerifier(registration.agent_id, registration.verification_keys)

    def replace(self, command: Trust, token: str) -> None:
        """From now on, and after the next start. TrustError if these are no keys; what could not be written
        down will be ordered again."""
        keys = tuple(key.model_dump() for key in command.keys)
        self.verifier.trust(keys)
        known = self._registration.model_copy(update={"verification_keys": keys})
        try:
            atomic_write(self._files.record, known.model_dump_json(indent=2).encode(), SECRET)
            self._show_root(keys, token)
        except OSError as error:
            log.warning("keys not kept", extra={"reason": str(error)})
            return
        self._registration = known
        log.info("keys replaced", extra={"keys": " ".join(self.verifier.keys)})

    def changed(self) -> CommandKeySet | None:
        """The keys that are obeyed here; None while that was said."""
        keys = CommandKeySet(_kids(self._registration.verification_keys), self._pinned())
        if keys == self._said and self._clock() < self._say_again:
            return None
        self._said, self._say_again = keys, self._clock() + REPEAT_INTERVAL_S
        return keys

    def _show_root(self, keys: Iterable[Mapping[str, Any]], token: str) -> None:
        """An update's order that waits there goes first: the keys come again."""
        roots = self._pinned()
        if roots is not None and set(roots) != set(_kids(keys)) and not self._notes.request.exists():
            atomic_write(self._notes.request, CommandEnvelope(token=token).model_dump_json().encode(), SECRET)

    def _pinned(self) -> tuple[KeyId, ...] | None:
        """None where root has pinned nothing that it could use, and so updates nothing."""
        try:
            return _kids(pinned_keys.trusted(self._config).verification_keys)
        except HostError:
            return None


def _kids(keys: Iterable[Mapping[str, Any]]) -> tuple[KeyId, ...]:
    """As many and as long as a heartbeat takes."""
    return tuple(str(key.get("kid") or "?")[:_MAX_KID] for key in keys)[:_MAX_KEYS]
