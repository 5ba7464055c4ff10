"""List the files of a push to a remote for rclone."""

import threading
from typing import IO

from agent.files.listing import FileEntry
from agent.problems import LINK_NOT_FOR_REMOTE, NAME_NOT_UTF8
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.mover import HostResources
from agent.pull.progress import ProgressCounter
from agent.pull.pushed_files import PushedFiles
from agent.rclone.backend import Backend
from agent.rclone.names import from_rclone, is_utf8, to_rclone
from events.base import Problem
from events.commands import Move
from events.locations import base_name, inner_path


class UploadList:
    """The files of one push, by the names that rclone has for them."""

    def __init__(
        self,
        host: HostResources,
        backend: Backend,
        command: Move,
        ledger: Ledger,
        failures: Failures,
        stopped: threading.Event,
    ) -> None:
        self.files = PushedFiles(host.roots, command, ledger, failures, stopped, self._refuse)
        self._backend = backend

    @property
    def single_name(self) -> str | None:
        """Return the name of the source at the destination, if it is a single file."""
        return base_name(self._backend.location) if self.files.is_single else None

    @property
    def target(self) -> str:
        """Return the target directory in rclone's syntax.

        For a single file, it is the directory that will contain the file.
        """
        path = inner_path(self._backend.location)
        return self._backend.rclone_directory(path.rpartition("/")[0] if self.files.is_single else path)

    def write(self, names: IO[bytes], progress: ProgressCounter) -> None:
        """Write one name a line in rclone's encoding, as `--files-from-raw` expects them.

        Raises:
            HopError: the source cannot be listed.
            PullStoppedError: the attempt was stopped.
        """
        for batch in self.files.record(progress):
            names.writelines(self._list_line(entry) for entry in batch)

    def path_below_root(self, path: str) -> str:
        """Return where a file of the source will be, as a path below the backend's root."""
        return (
            inner_path(self._backend.location)
            if self.files.is_single
            else self._backend.path_below_root(path)
        )

    def path_of(self, name: str) -> str:
        """Return the source path of the file that rclone calls `name`."""
        return "" if self.files.is_single else from_rclone(name)

    def _list_line(self, entry: FileEntry) -> bytes:
        return to_rclone(self.files.name_of(entry)).encode() + b"\n"

    def _refuse(self, name: str, entry: FileEntry) -> Problem | None:
        if entry.kind == "l":
            return LINK_NOT_FOR_REMOTE.problem(
                path=name, backend=f"the remote {self._backend.location.remote}"
            )
        return None if is_utf8(entry.path) else NAME_NOT_UTF8.problem(path=name)
