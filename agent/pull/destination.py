"""Write files at the destination: to a temporary file first, then an atomic rename.

A partial file is named `.crosshaul-HOP-…` and is in the directory of the final file, so that the rename is
atomic and the next attempt finds it after a kill. A small file is written to an unnamed temporary file
(`O_TMPFILE`) on ext4: a kill leaves nothing of it.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Container
from contextlib import suppress
from typing import NamedTuple

from agent.errors import PlaceError, SameNameError, problem_of
from agent.files import disk, tmpfile
from agent.files.digests import CHUNK_BYTES, MAX_PACKED_FILE_BYTES, digest_of
from agent.files.listing import READ_FLAGS, FileEntry
from agent.files.owners import local_ids
from agent.files.paths import PARTIAL_PREFIX, is_portable
from agent.files.roots import Roots, Tree
from agent.problems import FILE_ABOVE_IN_THE_WAY, INODES_EXHAUSTED, LINK_WITHOUT_FILE, NAME_NOT_ALLOWED
from agent.pull.comparison import Comparer, Comparison
from agent.pull.file_writer import KEPT_MODE_BITS, apply_metadata, set_mode, survives_umask, write
from agent.pull.job_queue import BigFile
from agent.pull.ledger import Ledger
from agent.pull.source import FileError
from events.base import Problem
from events.options import Options
from events.progress import Loss

_NEW_FILE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL
_PARTIAL_FILE_FLAGS = os.O_RDWR | os.O_NONBLOCK
"""Without waiting for the other end of a pipe that stands in the place of a partial file."""
_NO_LINKS = {errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS}
"""Errors of a file system that does not support hard links, or no more of them."""
_NAME_REFUSED = {errno.EINVAL, errno.ENOENT, errno.EPERM}
"""Errors with which file systems refuse a name: the kernel's own, exFAT and FAT through FUSE."""


class _Directory(NamedTuple):
    """What decides how files are created in a directory; looked up once per directory."""

    path: str | None
    prefers_tmpfile: bool
    has_default_acl: bool


class Destination:
    """The destination of a hop, for one thread."""

    def __init__(
        self, tree: Tree, hop_id: str, options: Options, ledger: Ledger, *, just_written: bool = False
    ) -> None:
        """Use `tree` and close it at the end. `just_written`: see `Comparer`."""
        self._tree = tree
        self._hop_id = hop_id
        self._options = options
        self._ledger = ledger
        self.comparer = Comparer(tree, options, ledger, just_written=just_written)
        self._directory = _Directory(None, prefers_tmpfile=False, has_default_acl=True)
        """The directory of the small file that was written last."""
        self._recorded_directory: str | None = None
        """The directory that was last recorded as having a partial file."""
        self._may_link_tmpfiles = True
        """False once that failed: a security module may forbid it."""

    def close(self) -> None:
        self._tree.close()

    def name(self, path: str) -> str:
        return self._tree.name(path)

    def free_bytes(self) -> int:
        """Return the free bytes of the destination's file system. Raises OSError."""
        return disk.free_bytes(self._tree.nearest_existing())

    def entry_problem(self, error: OSError, path: str) -> Problem:
        """Return the problem to report for an error at an entry; a file above it is reported as that."""
        place = self.name(path)
        if isinstance(error, PlaceError | SameNameError):
            return self.problem_of(error, place)
        if error.errno in _NAME_REFUSED and not is_portable(path):
            return NAME_NOT_ALLOWED.problem(path=place)
        if error.errno not in {errno.ENOTDIR, errno.EEXIST}:
            return self.problem_of(error, place)
        is_blocked = error.errno == errno.ENOTDIR
        with suppress(OSError):
            is_blocked = not self._exists(path)
        return FILE_ABOVE_IN_THE_WAY.problem(path=place) if is_blocked else self.problem_of(error, place)

    def _exists(self, path: str) -> bool:
        """Return whether an entry has this name; a file at the destination itself is none of its entries."""
        try:
            return stat.S_ISDIR(self._tree.stat(path).st_mode) or path != ""
        except (FileNotFoundError, NotADirectoryError, PlaceError):
            return False

    def problem_of(self, error: OSError, place: str) -> Problem:
        """Return the problem to report for an error at a place of the destination."""
        with suppress(OSError):
            if error.errno == errno.ENOSPC and disk.lacks_inodes(self._tree.nearest_existing()):
                return INODES_EXHAUSTED.problem(path=place)
        return problem_of(error, place)

    def bytes_needed(self, entry: FileEntry, comparison: Comparison) -> int:
        """Return the bytes that a file needs, less those of the file it replaces and of its partial file.

        A sparse file counts as 0, since it may need hardly any.
        """
        size = 0 if entry.sparse else entry.size
        if comparison is Comparison.DIFFERENT:
            size -= self._allocated_bytes(lambda: self._tree.stat(entry.path))
        if entry.size > MAX_PACKED_FILE_BYTES:
            size -= self._allocated_bytes(
                lambda: self._tree.stat_beside(entry.path, self._partial_name(entry.path))
            )
        return size

    @staticmethod
    def _allocated_bytes(stat_file: Callable[[], os.stat_result]) -> int:
        """Return the bytes that removing a file frees: 0 if it is missing or has another hard link."""
        try:
            found = stat_file()
        except OSError:
            return 0
        return disk.allocated_bytes(found) if found.st_nlink == 1 else 0

    def apply_metadata(self, entry: FileEntry) -> None:
        """Set times, mode and owner of a file whose bytes are identical. Raises OSError.

        Nothing is set that is so already: the file may be a name of the source's file, for which that would
        be a change.
        """
        descriptor = self._tree.open(entry.path, READ_FLAGS)
        try:
            found = os.fstat(descriptor)
            if (found.st_mtime_ns, stat.S_IMODE(found.st_mode)) == (entry.mtime_ns, entry.mode):
                self.apply_owner(entry)
            else:
                self._apply_metadata(descriptor, entry)
        finally:
            os.close(descriptor)

    def apply_owner(self, entry: FileEntry) -> None:
        """Set the owner of a file at the destination, if the options ask for it. Raises OSError."""
        if owner := self._owner(entry):
            self._tree.change_owner(entry.path, *owner)

    def _owner(self, entry: FileEntry) -> tuple[int, int] | None:
        if entry.owner is None or self._options.owner == "agent":
            return None
        return local_ids(entry.owner, by_name=self._options.owner == "names")

    def _apply_metadata(self, descriptor: int, entry: FileEntry, *, has_mode: bool = False) -> None:
        """Set times and mode, then the owner, after which the agent may no longer change the file."""
        apply_metadata(descriptor, entry, has_mode=has_mode)
        if owner := self._owner(entry):
            os.fchown(descriptor, *owner)

    def losses(self, entry: FileEntry) -> tuple[Loss, ...]:
        """Return what of an entry will not be kept, by what the source says and by its mode and time."""
        found: list[Loss] = [*entry.lost]
        if entry.kind == "f" and entry.mode & (stat.S_ISUID | stat.S_ISGID):
            found.append("setid")
        if entry.kind == "d" and entry.mode & stat.S_IRWXU != stat.S_IRWXU:
            found.append("mode")
        if entry.kind == "f" and self.comparer.loses_mode(entry):
            found.append("mode")
        if entry.kind == "f" and self.comparer.loses_time(entry):
            found.append("time")
        return tuple(found)

    def make_directory(self, entry: FileEntry) -> None:
        """Create the directory; `finalize` sets its times after all files are written."""
        try:
            self._tree.open_directory(entry.path)
            made = False
        except FileNotFoundError:
            self._tree.make_directory(entry.path)
            made = True
            self.comparer.add_new_directory(entry.path)
        self._ledger.add_directory(entry, made=made)

    def link(self, entry: FileEntry) -> None:
        self._tree.open_parent(entry.path)
        self._tree.link(entry.path, entry.target, self._new_partial_name(entry.path))
        self.apply_owner(entry)
        self._ledger.add_link(entry.path, entry.target)

    def hard_link(self, entry: FileEntry) -> None:
        """Create a hard link to a file at the destination. Raises FileError if that is missing, OSError."""
        self._tree.open_parent(entry.path)
        if not self.comparer.may_hard_link(entry):
            raise FileError(
                LINK_WITHOUT_FILE.problem(path=self.name(entry.path), first=self.name(entry.target))
            )
        try:
            self._tree.hard_link(entry.path, entry.target, self._new_partial_name(entry.path))
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._copy(entry)
        digest = self._ledger.digest(entry.target)
        if digest is None:
            self._ledger.outcomes.record_unchanged([entry])
        else:
            self._ledger.complete(entry, digest)

    def _copy(self, entry: FileEntry) -> None:
        """Copy the target, on a file system without hard links."""
        partial = self._new_partial_name(entry.path)
        source = self._tree.open(entry.target, READ_FLAGS)
        try:
            descriptor = self._open_new(entry.path, partial)
            with os.fdopen(os.dup(source), "rb") as reader, os.fdopen(descriptor, "wb") as writer:
                shutil.copyfileobj(reader, writer, CHUNK_BYTES)
                writer.flush()
                self._apply_metadata(descriptor, entry)
        finally:
            os.close(source)
        self._tree.rename_new(partial, entry.path)

    def write_small(self, entry: FileEntry, data: memoryview) -> None:
        """Write a whole file and rename it.

        An unnamed temporary file is not used in two cases: an earlier attempt may have left a partial file,
        which would stay behind; and a file that the agent cannot open again for writing would cause no
        close event for programs that watch the directory.
        """
        folder, name = self._tree.open_parent(entry.path)
        is_free = not self._ledger.had_files and entry.mode & stat.S_IWUSR and entry.owner is None
        if not (is_free and self._write_unnamed(entry, data, folder, name)):
            self._write_partial(entry, data, folder, name)

    def _write_unnamed(self, entry: FileEntry, data: memoryview, folder: int, name: str) -> bool:
        """Write a file without a temporary name; return False if that is slow or not possible there."""
        if not (self._may_link_tmpfiles and self._look_up(entry.path, folder).prefers_tmpfile):
            return False

        def fill(descriptor: int) -> None:
            write(descriptor, data, 0)
            apply_metadata(descriptor, entry, has_mode=self._keeps_mode(entry, folder))

        mode = entry.mode & KEPT_MODE_BITS
        linked_name = tmpfile.write(folder, name, lambda: self._new_partial_name(entry.path), mode, fill)
        if linked_name is None:
            self._may_link_tmpfiles = False
            return False
        if linked_name != name:
            self._tree.rename_over(linked_name, entry.path)
        return True

    def _keeps_mode(self, entry: FileEntry, folder: int) -> bool:
        """Return whether a file that is created with its mode gets that mode unchanged."""
        return survives_umask(entry) and not self._look_up(entry.path, folder).has_default_acl

    def _look_up(self, path: str, folder: int) -> "_Directory":
        parent = path.rpartition("/")[0]
        if parent != self._directory.path:
            self._directory = _Directory(parent, tmpfile.is_faster(folder), disk.has_default_acl(folder))
        return self._directory

    def _write_partial(self, entry: FileEntry, data: memoryview, folder: int, name: str) -> None:
        partial = self._new_partial_name(entry.path)
        self._tree.require_kept_name(folder, partial, name)
        descriptor, has_mode = self._create_partial(entry, folder, partial)
        try:
            write(descriptor, data, 0)
            self._apply_metadata(descriptor, entry, has_mode=has_mode)
        finally:
            os.close(descriptor)
        if not disk.rename_new(partial, folder, name, folder):
            self._tree.rename_over(partial, entry.path)

    def _create_partial(self, entry: FileEntry, folder: int, partial: str) -> tuple[int, bool]:
        """Create a partial file; return it, and whether it has its final mode, which saves a system call."""
        flags, mode = _NEW_FILE_FLAGS | os.O_NOFOLLOW | os.O_CLOEXEC, entry.mode & KEPT_MODE_BITS
        try:
            descriptor = os.open(partial, flags, mode, dir_fd=folder)
        except FileExistsError:  # left by an earlier attempt
            os.unlink(partial, dir_fd=folder)
            descriptor = os.open(partial, flags, mode, dir_fd=folder)
        return descriptor, self._keeps_mode(entry, folder)

    def open(self, file: BigFile) -> None:
        """Open the partial file of an earlier attempt, or a new one, and preallocate its full size.

        What an earlier attempt has recorded no range of is not used: anyone who may write into the directory
        can have put it there.
        """
        entry = file.entry
        folder, name = self._tree.open_parent(entry.path)
        partial = self._new_partial_name(entry.path)
        self._tree.require_kept_name(folder, partial, name)  # now: it may take hours until the rename
        self._ledger.begin_files([entry])
        pieces = self._ledger.pieces(entry.path)
        earlier = self._open_earlier(entry.path, partial) if pieces else None
        if earlier is None:
            file.descriptor = self._open_new(entry.path, partial)
        else:
            file.descriptor = earlier
            file.resume(pieces)
        if entry.sparse:
            os.ftruncate(file.descriptor, entry.size)
        else:
            disk.preallocate(file.descriptor, entry.size)

    def _open_new(self, path: str, partial: str) -> int:
        """Create a partial file, in place of whatever has its name.

        That may be another name of a delivered file, if a kill came between a hard link and its rename, or a
        link or pipe of another user: nothing may be written to it.
        """
        try:
            return self._tree.open_beside(path, partial, _NEW_FILE_FLAGS, 0o600)
        except FileExistsError:
            self._tree.unlink_beside(path, partial)
            return self._tree.open_beside(path, partial, _NEW_FILE_FLAGS, 0o600)

    def _open_earlier(self, path: str, partial: str) -> int | None:
        """Open the partial file of an earlier attempt; None if that is not there, or not a file of one name.

        Make it writable if a kill came after it had got its final mode.
        """
        try:
            try:
                descriptor = self._tree.open_beside(path, partial, _PARTIAL_FILE_FLAGS)
            except PermissionError:
                self._tree.make_writable(path, partial)
                descriptor = self._tree.open_beside(path, partial, _PARTIAL_FILE_FLAGS)
        except OSError:  # it is gone, a link, a directory, a socket, or of another user
            return None
        if disk.is_file_of_one_name(os.fstat(descriptor)):
            return descriptor
        os.close(descriptor)
        return None

    def write_range(self, file: BigFile, data: memoryview, start: int) -> None:
        """Write bytes of a big file; zeros of a sparse file stay holes if its partial file is new."""
        if file.entry.sparse and file.is_new and not data.tobytes().strip(b"\0"):
            return
        write(file.descriptor, data, start)

    def punch_hole(self, file: BigFile, start: int, length: int) -> None:
        """Make a range read as zeros; a new partial file has a hole there already. Raises OSError."""
        if not file.is_new:
            disk.punch_hole(file.descriptor, start, length)

    def complete(self, file: BigFile, digest: bytes) -> None:
        """Sync a fully written file to the disk, then rename it to its final name."""
        self._apply_metadata(file.descriptor, file.entry)
        os.fsync(file.descriptor)
        self._tree.rename_new(self._partial_name(file.entry.path), file.entry.path)
        self._ledger.complete(file.entry, digest)

    def discard_file(self, path: str) -> None:
        """Remove the partial file and the ledger's record of a file."""
        try:
            self._tree.unlink_beside(path, self._partial_name(path))
        except (SameNameError, PlaceError):  # then it was never written, or not in this directory
            pass
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                raise
        self._ledger.forget_file(path)

    def invalidate(self, entry: FileEntry) -> None:
        """Forget what an earlier attempt wrote of a file that now cannot be written."""
        if self._ledger.had_files:
            with suppress(OSError):
                self.discard_file(entry.path)
        self._ledger.invalidate(entry.path)

    def drop_all(self, roots: Roots) -> None:
        """Remove all partial files of the hop, also those that the ledger does not know."""
        for entry in list(self._ledger.partial_files()):
            self.discard_file(entry.path)
        if self._ledger.is_resumed:
            self._ledger.partial_directories.sweep(roots, self._hop_id, self._tree)

    def remove(self, path: str) -> None:
        """Remove a file whose content is not what was sent."""
        with suppress(FileNotFoundError, NotADirectoryError, PlaceError):  # then it is not in this directory
            self._tree.unlink(path)
        self._ledger.forget_file(path)

    def finish_directory(self, entry: FileEntry) -> tuple[Loss, ...]:
        """Set time, mode and owner of a directory that gets no more files. Raises OSError.

        Returns what is not kept, apart from `losses`.

        A directory that belongs to another user keeps its time and mode: that is no reason for a hop to fail
        that could write into it. Every directory keeps its setgid bit, which what is made in it inherits. One
        that an earlier attempt recorded and that is gone is forgotten.
        """
        try:
            descriptor = self._tree.open_directory(entry.path)
        except FileNotFoundError:
            self._ledger.invalidate(entry.path)
            return ()
        found = stat.S_IMODE(os.fstat(descriptor).st_mode)
        mode = entry.mode & KEPT_MODE_BITS | stat.S_IRWXU | found & (stat.S_ISUID | stat.S_ISGID)
        lost: list[Loss] = []
        if mode != found and not set_mode(descriptor, mode) and entry.mode & stat.S_IRWXU == stat.S_IRWXU:
            lost.append("mode")
        try:
            os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
        except PermissionError:
            lost.append("time")
        self.apply_owner(entry)
        if entry.mode & ~mode & (stat.S_ISUID | stat.S_ISGID):
            lost.append("setid")
        return tuple(lost)

    def restore_times(self, directories: Container[str]) -> None:
        """Set the times of these directories again, after something was removed from them. Raises OSError."""
        for entry, _ in self._ledger.directories():
            if entry.path in directories:
                self.finish_directory(entry)

    def finalize(self) -> None:
        """Sync the file system. Raises OSError."""
        try:
            disk.sync_file_system(self._tree.open_directory(""))
        except NotADirectoryError:
            descriptor = self._tree.open("", os.O_RDONLY)
            try:
                disk.sync_file_system(descriptor)
            finally:
                os.close(descriptor)

    def _new_partial_name(self, path: str) -> str:
        """Return the name of a file's partial file, which is about to be created; record its directory."""
        directory = self._tree.name(path).rpartition("/")[0]
        if directory != self._recorded_directory:
            self._ledger.partial_directories.add(directory or "/")
            self._recorded_directory = directory
        return self._partial_name(path)

    def _partial_name(self, path: str) -> str:
        """Return the name of a file's partial file, which is in the same directory."""
        name_digest = digest_of(os.fsencode(path.rpartition("/")[2]))[:8].hex()
        return f"{PARTIAL_PREFIX}{self._hop_id}-{name_digest}"
