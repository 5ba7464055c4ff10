"""How things come to stand at the destination: beside their place first, under their name once whole.

A half-done file is called `.crosshaul-HOP-…` and lies in the directory of what it becomes, so that the
rename at the end is atomic and can be found again after a kill. A small one has no name at all before it is
whole, where the file system has such files: a kill leaves nothing of it.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from agent.errors import PlaceError, SameNameError, display_path
from agent.files import disk
from agent.files.digests import CHUNK_BYTES, MAX_PACKED_FILE_BYTES, digest_of, read_digest
from agent.files.listing import READ_FLAGS, FileEntry
from agent.files.owners import local_ids
from agent.files.roots import Tree
from agent.pull.file_writer import KEPT_MODE_BITS, TmpfileWriter, apply_metadata, write
from agent.pull.job_queue import BigFile
from agent.pull.ledger import Ledger
from agent.pull.source import FileError
from events.base import Problem
from events.options import Options

PARTIAL_PREFIX = ".crosshaul-"
_NEW_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_NS_PER_S = 10**9
_NO_LINKS = {errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS}
"""The file system knows of no second name, or of no more."""

MAX_REMEMBERED_DIRECTORIES = 10_000
"""Directories that are remembered to be new."""


Comparison = Literal["identical", "already_sent", "skip", "needs_checksum", "missing", "different"]
"""What stands there: the very same; the same, brought by this hop; something to be left; something that only
its digest can tell; nothing; something to be replaced."""


class Destination:
    """One hop's destination, for one thread."""

    def __init__(self, tree: Tree, hop_id: str, options: Options, ledger: Ledger) -> None:
        self._tree = tree
        self._hop_id = hop_id
        self._options = options
        self._ledger = ledger
        self._new_directories: set[str] = set()
        """Directories made just now: nothing stands in them, which need not be looked up."""
        self._tmpfile_writer = TmpfileWriter(tree, self._partial_name)

    def close(self) -> None:
        self._tree.close()

    def name(self, path: str) -> str:
        return self._tree.name(path)

    def compare(self, entry: FileEntry) -> Comparison:
        """What is to become of a file or link. FileError, OSError if it cannot stand there."""
        if entry.path.rpartition("/")[0] in self._new_directories and self._options.overwrite in {
            "always",
            "newer",
        }:
            return "missing"
        try:
            found = self._tree.stat_exact(entry.path)
        except FileNotFoundError:
            return "missing"
        except NotADirectoryError as error:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if self._is_identical(entry, found):
            return self._compare_identical(entry)
        if self._options.compare == "checksum" and _same_size(entry, found):
            return "needs_checksum"
        return self._resolve_overwrite(entry, found)

    def free_bytes(self) -> int:
        """Bytes that may still be written here, before anything was. OSError."""
        return disk.free_bytes(self._tree.nearest_existing())

    def bytes_needed(self, entry: FileEntry, comparison: Comparison) -> int:
        """Bytes that a file takes here, less what it replaces and what is half there. A sparse one may need
        hardly any."""
        size = 0 if entry.sparse else entry.size
        if comparison == "different":
            size -= self._allocated_bytes(lambda: self._tree.stat(entry.path))
        if entry.size > MAX_PACKED_FILE_BYTES:
            size -= self._allocated_bytes(
                lambda: self._tree.stat_beside(entry.path, self._partial_name(entry.path))
            )
        return size

    @staticmethod
    def _allocated_bytes(stat_file: Callable[[], os.stat_result]) -> int:
        """By a thing that goes when it has no other name."""
        try:
            found = stat_file()
        except OSError:
            return 0
        return disk.allocated_bytes(found) if found.st_nlink == 1 else 0

    def resolve_conflict(self, entry: FileEntry) -> Comparison:
        """What is to become of a file whose digest is another. FileError, OSError."""
        return self._resolve_overwrite(entry, self._tree.stat(entry.path))

    def digest(self, entry: FileEntry) -> bytes:
        """Of what stands there. OSError."""
        descriptor = self._tree.open(entry.path, READ_FLAGS)
        try:
            return read_digest(descriptor, entry.size)
        finally:
            os.close(descriptor)

    def apply_metadata(self, entry: FileEntry) -> None:
        """Times and mode, of a file whose bytes are right. OSError."""
        descriptor = self._tree.open(entry.path, READ_FLAGS)
        try:
            self._apply_metadata(descriptor, entry)
        finally:
            os.close(descriptor)

    def apply_owner(self, entry: FileEntry) -> None:
        """Give what stands there to whom it is to belong, if that was asked for. OSError."""
        if owner := self._owner(entry):
            self._tree.change_owner(entry.path, *owner)

    def _owner(self, entry: FileEntry) -> tuple[int, int] | None:
        if entry.owner is None or self._options.owner == "agent":
            return None
        return local_ids(entry.owner, by_name=self._options.owner == "names")

    def _apply_metadata(self, descriptor: int, entry: FileEntry, *, has_mode: bool = False) -> None:
        """Times and mode, then whom it is to belong to: what is given away may be touched no more."""
        apply_metadata(descriptor, entry, has_mode=has_mode)
        if owner := self._owner(entry):
            os.fchown(descriptor, *owner)

    def check_directory(self, entry: FileEntry) -> None:
        """Nothing is done. OSError if there cannot be such a directory."""
        with suppress(FileNotFoundError):
            self._tree.open_directory(entry.path)

    def make_directory(self, entry: FileEntry) -> None:
        """The directory; its times come when everything is in it."""
        try:
            self._tree.open_directory(entry.path)
            made = False
        except FileNotFoundError:
            self._tree.make_directory(entry.path)
            made = True
            self._remember_new(entry.path)
        self._ledger.add_directory(entry, made=made)

    def _remember_new(self, path: str) -> None:
        if len(self._new_directories) >= MAX_REMEMBERED_DIRECTORIES:
            self._new_directories.clear()
        self._new_directories.add(path)

    def link(self, entry: FileEntry) -> None:
        self._tree.open_parent(entry.path)
        self._tree.link(entry.path, entry.target)
        self.apply_owner(entry)
        self._ledger.add_link(entry.path, entry.target)

    def hard_link(self, entry: FileEntry) -> None:
        """For a file that stands. FileError if it does not, OSError."""
        self._tree.open_parent(entry.path)
        if not self._may_hard_link(entry):
            raise FileError(_link_target_missing(self.name(entry.path), self.name(entry.target)))
        try:
            self._tree.hard_link(entry.path, entry.target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._copy(entry)
        digest = self._ledger.digest(entry.target)
        if digest is None:
            self._ledger.add_unchanged([entry])
        else:
            self._ledger.complete(entry, digest)

    def _may_hard_link(self, entry: FileEntry) -> bool:
        """Does the file that `entry` is another name of stand here? For `move` size and time are no proof."""
        if self._options.move and not self._ledger.is_present(entry.target):
            return False
        return self.is_present(entry._replace(path=entry.target))

    def is_present(self, entry: FileEntry) -> bool:
        """Is there a file of that size and time? OSError."""
        try:
            return self._is_identical(entry, self._tree.stat(entry.path))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _copy(self, entry: FileEntry) -> None:
        """Where a file has one name only."""
        partial = self._partial_name(entry.path)
        source = self._tree.open(entry.target, os.O_RDONLY)
        try:
            descriptor = self._open_partial(entry.path, partial, _NEW_FILE_FLAGS)
            with os.fdopen(os.dup(source), "rb") as reader, os.fdopen(descriptor, "wb") as writer:
                shutil.copyfileobj(reader, writer, CHUNK_BYTES)
                writer.flush()
                self._apply_metadata(descriptor, entry)
        finally:
            os.close(source)
        self._tree.rename_new(partial, entry.path)

    def write_small(self, entry: FileEntry, data: memoryview) -> None:
        """A whole file at once. What an earlier attempt may have left beside has to become it, or it would
        stay; and of a file that may not be opened once more nobody heard that it is whole."""
        folder, name = self._tree.open_parent(entry.path)
        is_free = not self._ledger.had_files and entry.mode & stat.S_IWUSR and entry.owner is None
        if not (is_free and self._tmpfile_writer.write(entry, data, folder, name)):
            self._write_partial(entry, data, folder, name)

    def _write_partial(self, entry: FileEntry, data: memoryview, folder: int, name: str) -> None:
        partial = self._partial_name(entry.path)
        descriptor, has_mode = self._create_partial(entry, folder, partial)
        try:
            write(descriptor, data, 0)
            self._apply_metadata(descriptor, entry, has_mode=has_mode)
        finally:
            os.close(descriptor)
        if not disk.rename_new(partial, folder, name, folder):
            self._tree.rename_over(partial, entry.path)

    def _create_partial(self, entry: FileEntry, folder: int, partial: str) -> tuple[int, bool]:
        """A new file, and whether it has its mode already: a system call less for each of many."""
        flags = _NEW_FILE_FLAGS | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(partial, flags, entry.mode & KEPT_MODE_BITS, dir_fd=folder)
        except FileExistsError:  # left by an earlier attempt
            return self._open_partial(entry.path, partial, _NEW_FILE_FLAGS), False
        return descriptor, self._tmpfile_writer.keeps_mode(entry, folder)

    def open(self, file: BigFile) -> None:
        """Its half-done file: that of an earlier attempt if there is one, else a new one with room enough."""
        entry = file.entry
        self._tree.open_parent(entry.path)
        partial = self._partial_name(entry.path)
        self._ledger.begin_files([entry])
        try:
            file.descriptor = self._open_partial(entry.path, partial, os.O_RDWR)
            file.is_new, file.recorded = False, self._ledger.pieces(entry.path)
        except FileNotFoundError:
            file.descriptor = self._open_partial(entry.path, partial, os.O_RDWR | os.O_CREAT)
        if entry.sparse:
            os.ftruncate(file.descriptor, entry.size)
        else:
            disk.preallocate(file.descriptor, entry.size)

    def _open_partial(self, path: str, partial: str, flags: int) -> int:
        """A half-done file, which may have its mode already: then a kill came just before it was whole."""
        try:
            return self._tree.open_beside(path, partial, flags, 0o600)
        except PermissionError:
            with suppress(OSError):
                self._tree.make_writable(path, partial)
                return self._tree.open_beside(path, partial, flags, 0o600)
            raise

    def write(self, file: BigFile, data: memoryview, start: int) -> None:
        """Holes stay holes where nothing was written before."""
        if file.entry.sparse and file.is_new and not data.tobytes().strip(b"\0"):
            return
        write(file.descriptor, data, start)

    def punch_hole(self, file: BigFile, start: int, length: int) -> None:
        """Zeros come next: nothing to do where nothing was written before. OSError."""
        if not file.is_new:
            disk.punch_hole(file.descriptor, start, length)

    def complete(self, file: BigFile, digest: bytes) -> None:
        """All its bytes are there: on the disk first, then under its name."""
        self._apply_metadata(file.descriptor, file.entry)
        os.fsync(file.descriptor)
        self._tree.rename_new(self._partial_name(file.entry.path), file.entry.path)
        self._ledger.complete(file.entry, digest)

    def drop(self, path: str) -> None:
        """Whatever is half-done of a file goes."""
        try:
            self._tree.unlink_beside(path, self._partial_name(path))
        except (SameNameError, PlaceError):  # then there never was, or it is somewhere else
            pass
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                raise
        self._ledger.drop(path)

    def invalidate(self, entry: FileEntry) -> None:
        """What an earlier attempt brought of this does not count: it cannot stand here now."""
        if self._ledger.had_files:
            with suppress(OSError):
                self.drop(entry.path)
        self._ledger.invalidate(entry.path)

    def drop_all(self) -> None:
        """Whatever is half-done of the hop."""
        for entry in list(self._ledger.partial_files()):
            self.drop(entry.path)

    def link_target(self, path: str) -> str:
        """The target of a link that stands there. OSError."""
        return self._tree.readlink(path)

    def read_back(self, path: str, size: int) -> bytes | None:
        """The digest of what stands there, read from the disk; None when it is not there, or not as long."""
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

    def remove(self, path: str) -> None:
        """A file that turned out not to be what was sent."""
        with suppress(FileNotFoundError, NotADirectoryError, PlaceError):  # then it is somewhere else
            self._tree.unlink(path)
        self._ledger.drop(path)

    def finalize(self) -> None:
        """Times and modes of directories; then everything is made to survive a power cut."""
        try:
            for entry, _ in self._ledger.directories():
                self._tree.set_times(entry.path, entry.mtime_ns, entry.mode & KEPT_MODE_BITS)
                self.apply_owner(entry)
        finally:
            self._sync()

    def _sync(self) -> None:
        try:
            disk.sync_file_system(self._tree.open_directory(""))
        except NotADirectoryError:
            descriptor = self._tree.open("", os.O_RDONLY)
            try:
                disk.sync_file_system(descriptor)
            finally:
                os.close(descriptor)

    def _partial_name(self, path: str) -> str:
        """The name of a half-done file, in the directory of the whole one."""
        name_digest = digest_of(os.fsencode(path.rpartition("/")[2]))[:8].hex()
        return f"{PARTIAL_PREFIX}{self._hop_id}-{name_digest}"

    @staticmethod
    def _is_identical(entry: FileEntry, found: os.stat_result) -> bool:
        """Size and time are the same; some file systems keep whole seconds only."""
        if not _same_size(entry, found):
            return False
        matches_coarsely = (
            found.st_mtime_ns % _NS_PER_S == 0
            and found.st_mtime_ns == entry.mtime_ns // _NS_PER_S * _NS_PER_S
        )
        return matches_coarsely or found.st_mtime_ns == entry.mtime_ns

    def _compare_identical(self, entry: FileEntry) -> Comparison:
        known = self._ledger.earlier_state(entry)
        if known is None and (self._options.compare == "checksum" or self._options.move):
            return "needs_checksum"
        if known == "done" and self._options.move and not self._ledger.completed_this_run(entry.path):
            return "needs_checksum"
        if known == "begun":  # killed between the rename and the ledger
            digest = self.read_back(entry.path, entry.size)
            if digest is None:
                return "different"
            self._ledger.complete(entry, digest)
        return "already_sent" if known else "identical"

    def _resolve_overwrite(self, entry: FileEntry, found: os.stat_result) -> Comparison:
        match self._options.overwrite:
            case "always":
                return "different"
            case "newer":
                return "different" if entry.mtime_ns > found.st_mtime_ns else "skip"
            case "never":
                return "skip"
            case "fail":
                raise FileError(_destination_exists(self.name(entry.path)))


def _same_size(entry: FileEntry, found: os.stat_result) -> bool:
    return entry.kind == "f" and stat.S_ISREG(found.st_mode) and found.st_size == entry.size


def _link_target_missing(path: str, first: str) -> Problem:
    return Problem(
        code="link-without-file",
        message=f"{display_path(path)} is another name of {display_path(first)}, which is not there.",
        advice="See what is wrong with that one, then retry.",
        path=display_path(path),
    )


def _destination_exists(path: str) -> Problem:
    return Problem(
        code="destination-exists",
        message=f"{display_path(path)} is there already and differs from what was to be written.",
        advice="Move it away, or choose another --overwrite.",
        path=display_path(path),
    )
