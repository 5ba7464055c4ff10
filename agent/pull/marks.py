"""Marks in the destination's directories, for the source to look for: see `agent.files.same_place`."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from agent.errors import HopError, problem_of
from agent.files import disk
from agent.files.listing import Selection
from agent.files.roots import Roots, Tree, is_below
from agent.files.same_place import MarkedPlace, new_mark
from agent.pull.ledger import Ledger
from agent.pull.mover import batches
from events.base import Problem

BATCH_SIZE = 30
"""Directories that go into the ledger together; a tree keeps as many open."""


class Marks:
    """One new mark, in as many directories as are named. The ledger knows them until they are gone again."""

    def __init__(self, roots: Roots, tree: Tree, ledger: Ledger, *, syncs: bool = False) -> None:
        """`tree` is the destination, and stays the caller's. With `syncs`, everything on the disks of the
        marked directories is there to stay; that of the place itself is so already."""
        self._roots = roots
        self._tree = tree
        self._ledger = ledger
        self.name = new_mark()
        self.missing: dict[str, str] = {}
        """Directories that could not be marked, by their location, and why."""
        self._syncs = syncs
        self._devices: set[int] = set()
        """Of disks that are in no need of it."""
        with suppress(OSError):
            self._devices.add(os.fstat(tree.open_directory("")).st_dev)

    def make(self, places: Iterable[str]) -> None:
        """`places`: directories as locations call them, each once. HopError if two are one."""
        for batch in batches(places, BATCH_SIZE):
            self._ledger.marks_begun(batch, self.name)
            made = [(place, times) for place in batch if (times := self._made(place))]
            self._ledger.marks_made(made)

    def _made(self, place: str) -> tuple[int, int] | None:
        """The directory's time before and after."""
        try:
            with self._opened(place) as folder:
                before = os.fstat(folder)
                os.mknod(self.name, stat.S_IFREG | 0o600, dir_fd=folder)
                if self._syncs:
                    self._sync(folder, before.st_dev)
                return before.st_mtime_ns, os.fstat(folder).st_mtime_ns
        except FileExistsError as error:
            raise HopError(_one_directory(place)) from error
        except OSError as error:
            self.missing[place] = problem_of(error, place).message
        except HopError as error:
            self.missing[place] = error.problem.message
        return None

    def _sync(self, folder: int, device: int) -> None:
        if device not in self._devices:
            self._devices.add(device)
            disk.sync_file_system(folder)

    def clear(self) -> None:
        """Remove all, those too that an agent which was killed has left. What the directories' times were
        they are again."""
        for place, name, before, after in self._ledger.marks():
            with suppress(OSError, HopError), self._opened(place) as folder:
                is_as_marked = os.fstat(folder).st_mtime_ns == after
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                if is_as_marked and before is not None:
                    os.utime(folder, ns=(os.fstat(folder).st_atime_ns, before))
        self._ledger.marks_gone()

    @contextmanager
    def _opened(self, place: str) -> Iterator[int]:
        if is_below(place, self._tree.path):
            yield self._tree.open_directory(place[len(self._tree.path.rstrip("/")) :].strip("/"))
            return
        with self._roots.tree(place, writing=True) as tree:
            yield tree.open_directory("")

    def for_listing(self, meant: Selection) -> Selection:
        """The same, with a mark where what is listed is to arrive, or in the first directory above that is
        there. One in which nothing can be written is not marked: what is removed later is asked about by
        itself. Nor is one that may not be written: that is said elsewhere."""
        try:
            place, above, below = self._tree.nearest_place()
        except OSError:
            return meant
        self.make([place])
        return meant if self.missing else replace(meant, arrives=MarkedPlace(self.name, above, below))


def _one_directory(place: str) -> Problem:
    return Problem(
        code="same-place",
        message=f"{place} and another directory of the destination are one under two names, so of two files "
        "one may have replaced the other. Nothing was removed.",
        advice="See which links or mounts lead from one to the other, and move to a place without them.",
        path=place,
    )
