"""Compare what the source has with the destination: by size and time, by digest, by what the hop has written.

Nothing is written at the destination here.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple, TypeVar

from agent.bounded_set import BoundedSet
from agent.files import disk, kept_times
from agent.files.digests import read_digest
from agent.files.kept_times import KeptTimes
from agent.files.listing import MAX_NUMBER, READ_FLAGS, FileEntry, stored_ns
from agent.files.paths import new_probe
from agent.files.roots import Tree
from agent.pull.file_writer import KEPT_MODE_BITS, set_mode
from agent.pull.ledger import Ledger
from agent.pull.provisional_times import is_provisional
from events.options import Options

_NS_PER_S = 10**9
_COARSEST_UNIT_NS = 2 * _NS_PER_S
"""The largest unit in which a file system counts its times: FAT's."""
_FIRST_COMMON_NS, _LAST_COMMON_NS = 0, (2**31 - 1) * _NS_PER_S
"""Times in ns, from 1970 to 2038, that every file system can hold, or whose loss would be seen at once."""
_KEEP_MODES = {
    disk.FileSystemType.EXT4,
    disk.FileSystemType.XFS,
    disk.FileSystemType.BTRFS,
    disk.FileSystemType.F2FS,
    disk.FileSystemType.ZFS,
    disk.FileSystemType.TMPFS,
    disk.FileSystemType.OVERLAYFS,
    disk.FileSystemType.NFS,
}
"""Types of file systems that keep every mode: nothing has to be tried there."""
_Tried = TypeVar("_Tried")
_PROBE_FLAGS = os.O_WRONLY | os.O_TMPFILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL


def _is_same_second(entry: FileEntry, found: os.stat_result) -> bool:
    return entry.mtime_ns // _NS_PER_S == found.st_mtime_ns // _NS_PER_S


class Comparison(StrEnum):
    """How an entry of the source compares with the destination, and so what to do with it."""

    IDENTICAL = "identical"
    """The destination has it already."""
    ALREADY_SENT = "already-sent"
    """This hop has written it in an earlier pass or attempt."""
    SKIP = "skip"
    """The destination has another file, which the `overwrite` option keeps."""
    REFUSED = "refused"
    """The destination has another file, with which the `overwrite` option lets the hop fail."""
    NEEDS_CHECKSUM = "needs-checksum"
    """Only the digest can tell."""
    MISSING = "missing"
    """The destination does not have it."""
    DIFFERENT = "different"
    """The destination has another file, which is replaced."""


class _Place(NamedTuple):
    """A directory of the destination, and its file system."""

    path: str
    device: int
    """The number of its device; -1 if it does not exist."""
    keeps_modes: bool


class Comparer:
    """Compares with the destination of a hop. For one thread."""

    def __init__(self, tree: Tree, options: Options, ledger: Ledger, *, just_written: bool = False) -> None:
        """Use `tree`, the destination, without closing it.

        `just_written`: that its files were written has started the hop. One that looks unchanged may be
        another version of the same second then, whatever the two clocks say about its age.
        """
        self._just_written = just_written
        self._tree = tree
        self._options = options
        self._ledger = ledger
        self._new_directories: BoundedSet[str] = BoundedSet()
        self._kept_times: dict[int, KeptTimes | None] = {}
        """By device number: what its file system keeps of a time; None if that is not known."""
        self._keeps_mode: dict[tuple[int, int], bool] = {}
        """By device number and mode: whether a file keeps that mode."""
        self._place: _Place | None = None
        """The directory whose file system was looked up last."""

    def add_new_directory(self, path: str) -> None:
        """Remember a directory that was just created: it is empty, so its files need no lookup."""
        self._new_directories.add(path)

    def compare(self, entry: FileEntry) -> Comparison:
        """Compare a file or link with the destination. Raises OSError if it cannot be written."""
        if entry.path.rpartition("/")[0] in self._new_directories and self._options.overwrite in {
            "always",
            "newer",
        }:
            return Comparison.MISSING
        try:
            found = self._tree.stat_exact(entry.path)
        except FileNotFoundError:
            return Comparison.MISSING
        except NotADirectoryError as error:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if self._may_be_earlier_version(entry, found):
            return Comparison.NEEDS_CHECKSUM
        if entry.kind == "l":
            if self._is_same_link(entry, found):
                is_own = self._ledger.is_link(entry.path)
                return Comparison.ALREADY_SENT if is_own else Comparison.IDENTICAL
        elif self._is_identical(entry, found):
            return self._compare_identical(entry)
        if self._options.compare == "checksum" and _same_size(entry, found):
            return Comparison.NEEDS_CHECKSUM
        return self._resolve_overwrite(entry, found)

    def resolve_conflict(self, entry: FileEntry) -> Comparison:
        """Return what to do with a file whose digest differs, by `overwrite`. Raises OSError."""
        return self._resolve_overwrite(entry, self._tree.stat(entry.path))

    def digest(self, entry: FileEntry) -> bytes:
        """Return the digest of the file at the destination. Raises OSError."""
        descriptor = self._tree.open(entry.path, READ_FLAGS)
        try:
            return read_digest(descriptor, entry.size)
        finally:
            os.close(descriptor)

    def check_directory(self, entry: FileEntry) -> None:
        """Raise OSError if such a directory cannot be created; create nothing."""
        with suppress(FileNotFoundError):
            self._tree.open_directory(entry.path)

    def may_hard_link(self, entry: FileEntry) -> bool:
        """Return whether the link's target is present; for `move`, size and time alone do not prove it."""
        if self._options.move and not self._ledger.is_present(entry.target):
            return False
        target = entry._replace(path=entry.target)
        return self.is_present(target) or self._was_just_written(target)

    def _was_just_written(self, entry: FileEntry) -> bool:
        """Return whether this run wrote the file, whatever the disk has made of its time. Raises OSError."""
        if not self._ledger.completed_this_run(entry.path):
            return False
        try:
            return _same_size(entry, self._tree.stat(entry.path))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def is_present(self, entry: FileEntry) -> bool:
        """Return whether the destination has a file of that size and time, or such a link. Raises OSError."""
        try:
            found = self._tree.stat(entry.path)
            return self._is_same_link(entry, found) if entry.kind == "l" else self._is_identical(entry, found)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def read_back(self, path: str, size: int) -> bytes | None:
        """Return the digest of a file as the disk has it; None if it is missing or of another size."""
        try:
            descriptor = self._tree.open(path, READ_FLAGS)
        except OSError:
            return None
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            found = os.fstat(descriptor)
            has_size = stat.S_ISREG(found.st_mode) and found.st_size == size
            return read_digest(descriptor, size) if has_size else None
        finally:
            os.close(descriptor)

    def _is_same_link(self, entry: FileEntry, found: os.stat_result) -> bool:
        return stat.S_ISLNK(found.st_mode) and self._tree.readlink(entry.path) == entry.target

    def _is_identical(self, entry: FileEntry, found: os.stat_result) -> bool:
        """Return whether size and time are equal, the time as the destination's file system keeps it."""
        if not _same_size(entry, found):
            return False
        mtime_ns = stored_ns(found.st_mtime_ns)
        matches_coarsely = mtime_ns % _NS_PER_S == 0 and mtime_ns == entry.mtime_ns // _NS_PER_S * _NS_PER_S
        if matches_coarsely or mtime_ns == entry.mtime_ns:
            return True
        is_common = _FIRST_COMMON_NS <= entry.mtime_ns <= _LAST_COMMON_NS
        if is_common and abs(mtime_ns - entry.mtime_ns) >= _COARSEST_UNIT_NS:
            return False
        kept = self._times_kept_beside(entry.path, found.st_dev)
        if kept is not None and stored_ns(kept.kept(entry.mtime_ns)) == mtime_ns:
            return True
        return not is_common and self._time_kept_exactly(entry) == mtime_ns

    def _time_kept_exactly(self, entry: FileEntry) -> int | None:
        """Return what the disk makes of a file's own time: some round unusual ones in a way of their own."""

        def set_time(descriptor: int) -> int:
            os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
            return stored_ns(os.fstat(descriptor).st_mtime_ns)

        with suppress(OSError, OverflowError):
            return self._try_beside(entry.path, set_time)
        return None

    def loses_time(self, entry: FileEntry) -> bool:
        """Return whether the destination's disk cannot hold the file's time, not even to its coarse unit."""
        if _FIRST_COMMON_NS <= entry.mtime_ns <= _LAST_COMMON_NS:
            return False
        if abs(entry.mtime_ns) == MAX_NUMBER:  # the source listed the last time that fits
            return True
        device = self._place_of(entry.path).device
        if device < 0:
            return False
        kept = self._times_kept_beside(entry.path, device)
        return kept is not None and abs(kept.kept(entry.mtime_ns) - entry.mtime_ns) > _COARSEST_UNIT_NS

    def loses_mode(self, entry: FileEntry) -> bool:
        """Return whether the destination's disk cannot hold the file's mode, like FAT and exFAT."""
        place = self._place_of(entry.path)
        if place.keeps_modes:
            return False
        mode = entry.mode & KEPT_MODE_BITS

        key = place.device, mode
        if key not in self._keeps_mode:
            self._keeps_mode[key] = True
            with suppress(OSError):
                self._keeps_mode[key] = self._try_beside(
                    entry.path, lambda descriptor: set_mode(descriptor, mode)
                )
        return not self._keeps_mode[key]

    def _place_of(self, path: str) -> _Place:
        """Look up the directory of a file, unless it was looked up last."""
        directory = path.rpartition("/")[0]
        if self._place is None or self._place.path != directory:
            self._place = self._look_up(path, directory)
        return self._place

    def _look_up(self, path: str, directory: str) -> _Place:
        try:
            descriptor = self._tree.open_beside(path, ".", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return _Place(directory, -1, keeps_modes=True)
        try:
            keeps_modes = disk.file_system_type(descriptor) in _KEEP_MODES
            return _Place(directory, os.fstat(descriptor).st_dev, keeps_modes)
        finally:
            os.close(descriptor)

    def _times_kept_beside(self, path: str, device: int) -> KeptTimes | None:
        """Return what the file system of a file keeps of its time, as tried once with a file beside it."""
        if device not in self._kept_times:
            with suppress(OSError, OverflowError):
                self._kept_times[device] = None
                self._kept_times[device] = self._try_beside(path, kept_times.probe)
        return self._kept_times[device]

    def _try_beside(self, path: str, attempt: Callable[[int], _Tried]) -> _Tried:
        """Try with a file that has no name, or else only for a moment: a dry run shows nothing.

        Raises OSError, or HopError if the state directory takes no more.
        """
        unnamed, named = _PROBE_FLAGS
        try:
            descriptor = self._tree.open_beside(path, ".", unnamed, 0o600)
        except OSError:
            if self._options.dry_run:
                raise
            name = new_probe(self._ledger.hop_id)
            self._ledger.partial_directories.add(self._tree.name(path).rpartition("/")[0] or "/")
            descriptor = self._tree.open_beside(path, name, named, 0o600)
            self._tree.unlink_beside(path, name)
        try:
            return attempt(descriptor)
        finally:
            os.close(descriptor)

    @staticmethod
    def _may_be_earlier_version(entry: FileEntry, found: os.stat_result) -> bool:
        """Return whether size and time are equal, and were read before their second was over."""
        return (
            is_provisional(found.st_mtime_ns) and _same_size(entry, found) and _is_same_second(entry, found)
        )

    def _compare_identical(self, entry: FileEntry) -> Comparison:
        known = self._ledger.earlier_state(entry)
        may_be_replaced = self._just_written and self._options.overwrite != "never"
        proves_nothing = self._options.compare == "checksum" or self._options.move or may_be_replaced
        if known is None and proves_nothing:
            return Comparison.NEEDS_CHECKSUM
        if known == "done" and self._options.move and not self._ledger.completed_this_run(entry.path):
            return Comparison.NEEDS_CHECKSUM
        if known and not self._ledger.is_same_version(entry):  # written since, with its time put back
            return Comparison.NEEDS_CHECKSUM
        if known == "begun":  # killed between the rename and the ledger
            digest = self.read_back(entry.path, entry.size)
            if digest is None:
                return Comparison.DIFFERENT
            self._ledger.complete(entry, digest)
        return Comparison.ALREADY_SENT if known else Comparison.IDENTICAL

    def _resolve_overwrite(self, entry: FileEntry, found: os.stat_result) -> Comparison:
        match self._options.overwrite:
            case "always":
                return Comparison.DIFFERENT
            case "newer":
                is_newer = entry.mtime_ns > found.st_mtime_ns or self._may_be_earlier_version(entry, found)
                is_version = self._just_written and _same_size(entry, found) and _is_same_second(entry, found)
                return Comparison.DIFFERENT if is_newer or is_version else Comparison.SKIP
            case "never":
                return Comparison.SKIP
            case "fail":
                return Comparison.REFUSED


def _same_size(entry: FileEntry, found: os.stat_result) -> bool:
    return entry.kind == "f" and stat.S_ISREG(found.st_mode) and found.st_size == entry.size
