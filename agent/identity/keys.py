"""This host's keys, in generations: those in use, and older ones while something still uses them.

A generation is a folder `keys-…` in the state directory; the first one, from the registration, is that
directory itself. The link `keys` points to the one in use. A new generation is complete and on the disk
before the link points to it, and the old one stays until the broker has accepted the new one: at every moment
this host has keys that work.
"""

import os
import shutil
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.errors import HostError
from agent.files.disk import sync_directory
from agent.identity import lane_certificate
from agent.identity.key_files import KeyFileError, read_key_file, require_pair
from agent.identity.lane_certificate import Identity
from agent.quarantine import Quarantine
from events.certificates import fingerprint

CURRENT = "keys"
REPLACE_KEYS = (
    "restore that file from a backup, or register this host again: get a new token and run "
    "`crosshaul agent register --api URL --force`"
)
_STAGED, _LINK = ".keys-new", ".keys-link"
_STAMP = "keys-%Y%m%dT%H%M%S%fZ"
_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
OLD_KEY_RETENTION = timedelta(hours=1)
"""How long an old lane certificate is kept in any case: commands in transit may name it."""


@dataclass(frozen=True)
class Generation:
    """Keys that were created together."""

    folder: Path

    @property
    def device_key(self) -> Path:
        return self.folder / "device.key"

    @property
    def device_certificate(self) -> Path:
        return self.folder / "device.pem"

    @property
    def api_key(self) -> Path:
        return self.folder / "api.key"

    @property
    def lane(self) -> Identity:
        """Return the lane's key and certificate."""
        return lane_certificate.load(self.folder)

    @property
    def is_whole(self) -> bool:
        """Return whether all files for the control plane exist."""
        return all(path.exists() for path in self._device_files)

    def fault(self) -> str | None:
        """Return why the keys for the control plane cannot be used; None if they can."""
        try:
            require_pair(self.device_certificate, self.device_key)
            read_key_file(self.api_key)
        except KeyFileError as error:
            return str(error)
        return None

    def lane_fault(self) -> str | None:
        """Return why the lane's key and certificate cannot be used; None if they can."""
        try:
            require_pair(self.lane.certificate, self.lane.key)
        except KeyFileError as error:
            return str(error)
        return None

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the device certificate. Raises ValueError if it cannot be read."""
        try:
            return fingerprint(read_key_file(self.device_certificate))
        except KeyFileError as error:
            raise ValueError(str(error)) from error

    @property
    def lane_fingerprint(self) -> str | None:
        """Return the fingerprint of the lane certificate; None if there is none."""
        try:
            return fingerprint(read_key_file(self.lane.certificate))
        except (KeyFileError, ValueError):
            return None

    @property
    def made_at(self) -> datetime | None:
        """Return when it was created; None for the first one."""
        try:
            return datetime.strptime(self.folder.name, _STAMP).replace(tzinfo=UTC)
        except ValueError:
            return None

    @property
    def _device_files(self) -> tuple[Path, ...]:
        return self.device_key, self.device_certificate, self.api_key

    def delete_device_files(self) -> None:
        """Delete the keys for the control plane."""
        for path in self._device_files:
            path.unlink(missing_ok=True)

    def delete_lane_files(self) -> None:
        """Delete the lane's key and certificate."""
        for path in (self.lane.key, self.lane.certificate):
            path.unlink(missing_ok=True)


class Keyring:
    """All generations on this host. Only this class creates, activates and deletes them."""

    def __init__(self, folder: Path, old_key_retention: timedelta = OLD_KEY_RETENTION) -> None:
        self._folder = folder
        self._old_key_retention = old_key_retention

    @property
    def current(self) -> Generation:
        """Return the generation in use."""
        return Generation((self._folder / in_use(self._folder)).resolve())

    @property
    def unproven(self) -> tuple[Generation, Generation] | None:
        """Return the new generation and the one before it, while both exist; otherwise None."""
        complete = [generation for generation in self._all() if generation.is_whole]
        return (complete[-1], complete[-2]) if len(complete) > 1 else None

    @property
    def api_keys(self) -> tuple[str, ...]:
        """Return the API keys that may be valid, the old one first.

        There is one, except while a new generation is unproven. Raises HostError if the file of one cannot be
        used.
        """
        pair = self.unproven
        generations = reversed(pair) if pair else (self.current,)
        try:
            return tuple(read_key_file(generation.api_key) for generation in generations)
        except KeyFileError as error:
            raise HostError(str(error), REPLACE_KEYS) from error

    def named(self, lane_fingerprint: str | None) -> Identity:
        """Return the lane's identity with this fingerprint; the one in use if there is none."""
        if lane_fingerprint:
            for generation in self._all():
                if generation.lane_fingerprint == lane_fingerprint:
                    return generation.lane
        return self.current.lane

    def stage(self) -> Generation:
        """Create an empty folder for a new generation; what an earlier attempt left there is deleted."""
        staged = self._folder / _STAGED
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(mode=0o700)
        return Generation(staged)

    def promote(self, staged: Generation) -> Generation:
        """Make a complete staged generation the newest one; `use` activates it."""
        sync_directory(staged.folder)
        newest = max(
            (generation.made_at for generation in self._all() if generation.made_at), default=_BEFORE
        )
        # the clock may have been set back
        created_at = max(datetime.now(UTC), newest + timedelta(microseconds=1))
        folder = self._folder / created_at.strftime(_STAMP)
        staged.folder.rename(folder)
        sync_directory(self._folder)
        return Generation(folder)

    def use(self, generation: Generation) -> None:
        """Activate a generation, now and after a restart."""
        link = self._folder / _LINK
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(generation.folder, self._folder), target_is_directory=True)
        link.replace(self._folder / CURRENT)
        sync_directory(self._folder)

    def discard_generation(self, generation: Generation) -> None:
        """Delete a new generation that does not work, and return to the one before it."""
        for other in self._all():
            if other.is_whole and other != generation:
                self.use(other)
        shutil.rmtree(generation.folder)

    def fault(self) -> str | None:
        """Return why the keys in use cannot be used for the control plane; None if they can."""
        link = self._folder / CURRENT
        if link.is_symlink() and not link.is_dir():
            return f"{link} leads to {link.resolve()}, which is not a directory of keys"
        return self.current.fault()

    def repair(self) -> None:
        """Before a start, use other keys of this host if those in use are damaged.

        A lane certificate that cannot be used is replaced by a new one, which the Hello announces. Raises
        HostError if no keys for the control plane can be used.
        """
        quarantine, link = Quarantine(self._folder), self._folder / CURRENT
        if link.exists() and not link.is_symlink():
            quarantine.move(link, "it is not a link to the keys in use")
        damaged = self.current
        if fault := self.fault():
            others = [other for other in self._all() if other != damaged and other.fault() is None]
            if not others:
                raise HostError(fault, REPLACE_KEYS)
            self.use(others[-1])
            if damaged.made_at:
                quarantine.move(damaged.folder, fault)
        if fault := self.current.lane_fault():
            for path in (self.current.lane.key, self.current.lane.certificate):
                if path.exists() or path.is_symlink():
                    quarantine.move(path, fault)
            lane_certificate.ensure(self.current.folder)

    def forget_old(self) -> None:
        """Delete the older keys, except lane certificates, once the keys in use have worked."""
        for generation in self._all():
            if generation != self.current:
                generation.delete_device_files()
        sync_directory(self._folder)

    def tidy(self, lanes_in_use: Container[str]) -> None:
        """Delete old lane certificates that no hop uses any more."""
        current_since = self.current.made_at
        if (
            self.unproven
            or current_since is None
            or datetime.now(UTC) - current_since < self._old_key_retention
        ):
            return
        for generation in self._all():
            if generation != self.current and generation.lane_fingerprint not in lanes_in_use:
                generation.delete_lane_files()
                if generation.made_at:
                    shutil.rmtree(generation.folder, ignore_errors=True)

    def _all(self) -> list[Generation]:
        """Return all generations, oldest first."""
        folders = sorted(path for path in self._folder.glob("keys-*") if path.is_dir())
        return [Generation(self._folder.resolve()), *(Generation(path.resolve()) for path in folders)]


def in_use(folder: Path) -> str:
    """Return the name of the folder of the keys in use, relative to the state directory."""
    return CURRENT if (folder / CURRENT).exists() else "."


def forget_all(folder: Path) -> None:
    """Delete every generation after the first."""
    link = folder / CURRENT
    if link.is_symlink() or not link.is_dir():
        link.unlink(missing_ok=True)
    else:
        shutil.rmtree(link, ignore_errors=True)
    for path in [*folder.glob("keys-*"), folder / _STAGED]:
        shutil.rmtree(path, ignore_errors=True)
