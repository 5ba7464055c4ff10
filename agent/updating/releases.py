"""The releases on a host, and the links that say which of them is run.

`current` is what the service starts; `proven` is the newest that has reported healthy, and what the updater
itself is started from. Apart from a trial both are the same. Only root may write here.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from agent.files.disk import sync_directory

MAX_RELEASES = 2


@dataclass(frozen=True)
class Releases:
    """/opt/crosshaul, as the installing script lays it out."""

    folder: Path

    @classmethod
    def here(cls) -> "Releases | None":
        """Those that this very program belongs to; None where it was not installed by the script."""
        own = Path(sys.prefix).parent
        return cls(own.parent) if own.name == "releases" else None

    @property
    def record(self) -> Path:
        """How far the last update is."""
        return self.folder / "update.json"

    @property
    def lock(self) -> Path:
        return self.folder / "update.lock"

    @property
    def current(self) -> str | None:
        return self._named("current")

    @property
    def proven(self) -> str | None:
        return self._named("proven")

    def run_from_now_on(self, release: str) -> None:
        """The service's next start is of this one."""
        self._point("current", release)

    def trust(self, release: str) -> None:
        self._point("proven", release)

    def drop(self, release: str | None) -> None:
        """Remove a release, unless it is in use."""
        if release and release not in {self.current, self.proven}:
            shutil.rmtree(self.folder / "releases" / release, ignore_errors=True)

    def prune(self) -> None:
        """Keep the newest two, and whatever is in use."""
        names = sorted(path.name for path in (self.folder / "releases").iterdir() if path.is_dir())
        for name in names[:-MAX_RELEASES]:
            self.drop(name)

    def _named(self, link: str) -> str | None:
        try:
            return (self.folder / link).readlink().name
        except OSError:
            return None

    def _point(self, link: str, release: str) -> None:
        """At no moment is there no link."""
        beside = self.folder / f"{link}.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(self.folder / "releases" / release, target_is_directory=True)
        os.replace(beside, self.folder / link)  # noqa: PTH105 - one call, so that a test may end it there
        sync_directory(self.folder)
