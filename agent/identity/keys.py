"""This host's keys, in generations: those in use, and those before them as long as something goes by them.

A generation is a folder `keys-…` in the state directory; the first one, from registering, is that directory
itself. The link `keys` names the one in use. A new one is made whole, on the disk, before it is named, and
the old one stays until the broker has taken the new one: whenever this host stops, it has keys that work.
"""

import os
import shutil
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.files.disk import sync_directory
from agent.identity import lane_certificate
from agent.identity.lane_certificate import Identity
from agent.quarantine import Quarantine
from events.certificates import fingerprint

CURRENT = "keys"
_STAGED, _LINK = ".keys-new", ".keys-link"
_STAMP = "keys-%Y%m%dT%H%M%S%fZ"
_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
OLD_KEY_RETENTION = timedelta(hours=1)
"""How long an old lane certificate is kept in any case: commands that name it may still be under way."""


@dataclass(frozen=True)
class Generation:
    """Keys that were made together."""

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
        return lane_certificate.load(self.folder)

    @property
    def is_whole(self) -> bool:
        return all(path.exists() for path in self._device)

    @property
    def is_damaged(self) -> bool:
        """Is something of it missing, empty, or not what it should be? OSError if that cannot be told now."""
        try:
            return not (self.fingerprint and all(path.read_text().strip() for path in self._device))
        except (FileNotFoundError, ValueError):
            return True

    @property
    def fingerprint(self) -> str:
        """Of the device certificate."""
        return fingerprint(self.device_certificate.read_text())

    @property
    def lane_fingerprint(self) -> str | None:
        try:
            return fingerprint(self.lane.certificate.read_text())
        except (FileNotFoundError, ValueError):
            return None

    @property
    def made_at(self) -> datetime | None:
        """None for the first one."""
        try:
            return datetime.strptime(self.folder.name, _STAMP).replace(tzinfo=UTC)
        except ValueError:
            return None

    @property
    def _device(self) -> tuple[Path, ...]:
        return self.device_key, self.device_certificate, self.api_key

    def forget_device(self) -> None:
        for path in self._device:
            path.unlink(missing_ok=True)

    def forget_lane(self) -> None:
        for path in (self.lane.key, self.lane.certificate):
            path.unlink(missing_ok=True)


class Keyring:
    """All generations on this host; the only one who makes, names and forgets them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def current(self) -> Generation:
        return Generation((self._folder / in_use(self._folder)).resolve())

    @property
    def unproven(self) -> tuple[Generation, Generation] | None:
        """The new generation and the one before it, as long as the old one is there to go back to."""
        whole = [one for one in self._all() if one.is_whole]
        return (whole[-1], whole[-2]) if len(whole) > 1 else None

    @property
    def api_keys(self) -> tuple[str, ...]:
        """Those that may be good: one, but for the while that a new one is unproven; the old one first."""
        pair = self.unproven
        known = reversed(pair) if pair else (self.current,)
        return tuple(one.api_key.read_text().strip() for one in known)

    def named(self, lane_fingerprint: str | None) -> Identity:
        """The lane's certificate with this fingerprint; the one in use if there is none such."""
        if lane_fingerprint:
            for one in self._all():
                if one.lane_fingerprint == lane_fingerprint:
                    return one.lane
        return self.current.lane

    def stage(self) -> Generation:
        """An empty folder for a new generation; what a try before has left there is gone."""
        staged = self._folder / _STAGED
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(mode=0o700)
        return Generation(staged)

    def add(self, staged: Generation) -> Generation:
        """A staged generation, complete, becomes the newest; use() names it."""
        sync_directory(staged.folder)
        newest = max((one.made_at for one in self._all() if one.made_at), default=_BEFORE)
        stamp = max(datetime.now(UTC), newest + timedelta(microseconds=1))  # clocks may be set back
        place = self._folder / stamp.strftime(_STAMP)
        staged.folder.rename(place)
        sync_directory(self._folder)
        return Generation(place)

    def use(self, generation: Generation) -> None:
        """From now on, and after a restart."""
        link = self._folder / _LINK
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(generation.folder, self._folder), target_is_directory=True)
        link.replace(self._folder / CURRENT)
        sync_directory(self._folder)

    def drop(self, generation: Generation) -> None:
        """A new generation that does not work: back to the one before it."""
        for old in (one for one in self._all() if one.is_whole and one != generation):
            self.use(old)
        shutil.rmtree(generation.folder)

    def repair(self) -> None:
        """Before a start: where the keys in use are damaged and others are not, go back to those."""
        damaged = self.current
        if not damaged.is_damaged or damaged.made_at is None:
            return
        others = [one for one in self._all() if one.is_whole and one != damaged and not one.is_damaged]
        if others:
            self.use(others[-1])
            Quarantine(self._folder).move(damaged.folder, "keys in it are missing or cannot be read")

    def forget_old(self) -> None:
        """The one in use has worked: whatever opened a door before is removed, but for lane certificates."""
        for one in self._all():
            if one != self.current:
                one.forget_device()
        sync_directory(self._folder)

    def tidy(self, lanes_in_use: Container[str]) -> None:
        """Remove old lane certificates that no hop goes by any more."""
        since = self.current.made_at
        if self.unproven or since is None or datetime.now(UTC) - since < OLD_KEY_RETENTION:
            return
        for one in self._all():
            if one != self.current and one.lane_fingerprint not in lanes_in_use:
                one.forget_lane()
                if one.made_at:
                    shutil.rmtree(one.folder, ignore_errors=True)

    def _all(self) -> list[Generation]:
        """From the oldest to the newest."""
        later = sorted(path for path in self._folder.glob("keys-*") if path.is_dir())
        return [Generation(self._folder.resolve()), *(Generation(path.resolve()) for path in later)]


def in_use(folder: Path) -> str:
    """The folder of the keys in use, within the state directory."""
    return CURRENT if (folder / CURRENT).exists() else "."


def forget_all(folder: Path) -> None:
    """Every generation after the first."""
    (folder / CURRENT).unlink(missing_ok=True)
    for path in [*folder.glob("keys-*"), folder / _STAGED]:
        shutil.rmtree(path, ignore_errors=True)
