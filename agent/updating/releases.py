"""The releases on a host, and the links that select one of them.

`current` is what the service starts; `proven` is the newest that has reported healthy, from which the updater
itself is started. Except during a trial both are the same. Only root may write here.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from agent.files.disk import sync_directory

MAX_RELEASES = 2
"""Releases that are kept on the disk, apart from those in use."""


@dataclass(frozen=True)
class Releases:
    """The folder /opt/crosshaul, as the installing script creates it."""

    folder: Path

    @classmethod
    def here(cls) -> "Releases | None":
        """Return the releases that this program belongs to; None if the script did not install it."""
        release = Path(sys.prefix).parent
        return cls(release.parent) if release.name == "releases" else None

    @property
    def record(self) -> Path:
        """Return the path of the last update's record."""
        return self.folder / "update.json"

    @property
    def lock(self) -> Path:
        """Return the path of the updater's lock."""
        return self.folder / "update.lock"

    @property
    def current(self) -> str | None:
        """Return the release that the service starts."""
        return self._target_of("current")

    @property
    def proven(self) -> str | None:
        """Return the newest release that has reported healthy."""
        return self._target_of("proven")

    def path(self, release: str) -> Path:
        """Return the directory of a release."""
        return self.folder / "releases" / release

    def run_from_now_on(self, release: str) -> None:
        """Start this release at the service's next start."""
        self._set_link("current", release)

    def trust(self, release: str) -> None:
        """Mark a release as proven."""
        self._set_link("proven", release)

    def delete_release(self, release: str | None) -> None:
        """Delete a release, unless it is in use."""
        if release and release not in {self.current, self.proven}:
            shutil.rmtree(self.path(release), ignore_errors=True)

    def prune(self) -> None:
        """Delete all releases but the newest two and those in use."""
        names = sorted(path.name for path in (self.folder / "releases").iterdir() if path.is_dir())
        for name in names[:-MAX_RELEASES]:
            self.delete_release(name)

    def _target_of(self, link: str) -> str | None:
        try:
            return (self.folder / link).readlink().name
        except OSError:
            return None

    def _set_link(self, link: str, release: str) -> None:
        """Replace a link in one step: it exists at every moment."""
        temporary = self.folder / f"{link}.new"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(self.path(release), target_is_directory=True)
        os.replace(temporary, self.folder / link)  # noqa: PTH105 - a single call, which a test interrupts
        sync_directory(self.folder)
