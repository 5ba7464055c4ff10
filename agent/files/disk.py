"""File operations of Linux that Python does not offer.

Reserve space, punch holes, rename without replacing, sync one file system or directory, replace a file
atomically: fallocate(2), lseek(2), renameat2(2), sync_file_range(2), syncfs(2).
"""

import ctypes
import errno
import os
import stat
import sys
from contextlib import suppress
from enum import IntEnum
from pathlib import Path

InodeId = tuple[int, int]
"""Device and inode."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_sync_file_range = getattr(_libc, "sync_file_range", None)
if _sync_file_range:
    _sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
_renameat2 = getattr(_libc, "renameat2", None)
"""None where the C library has no such function."""
_NOREPLACE = 1
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_SYNC_FILE_RANGE_WRITE = 2
_WRITEBACK_CHUNK = 1 << 20
_BLOCK_BYTES = 512
"""Bytes of one unit of `st_blocks`, whatever the file system's block size is."""
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class FileSystemType(IntEnum):
    """Types of file systems whose behavior is known, as statfs(2) numbers them."""

    EXT4 = 0xEF53  # ext2 and ext3, too
    XFS = 0x58465342
    BTRFS = 0x9123683E
    F2FS = 0xF2F52010
    ZFS = 0x2FC12FC1
    TMPFS = 0x01021994
    OVERLAYFS = 0x794C7630
    NFS = 0x6969


def last_error() -> OSError:
    """Return the error of this thread's last failed call to the C library."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def file_system_type(descriptor: int) -> int:
    """Return the type of a file's file system (`FileSystemType` has some of them); 0 if it is not known."""
    status = (ctypes.c_long * 32)()  # `struct statfs` takes half of it, and begins with the type
    return status[0] if _libc.fstatfs(descriptor, status) == 0 else 0


def preallocate(descriptor: int, size: int) -> None:
    """Set the file's size and reserve its space, where the file system supports that.

    `os.posix_fallocate` would write every block elsewhere. Raises OSError with ENOSPC if the space is not
    available.
    """
    if size and _libc.fallocate(descriptor, 0, 0, size):
        if (error := last_error()).errno not in _UNSUPPORTED:
            raise error
        if free_bytes(descriptor) < size - allocated_bytes(os.fstat(descriptor)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(descriptor, size)


def allocated_bytes(status: os.stat_result) -> int:
    """Return the bytes that a file occupies on its disk."""
    return status.st_blocks * _BLOCK_BYTES


def inode_of(status: os.stat_result) -> InodeId:
    """Return what identifies a file or directory, whatever its path."""
    return status.st_dev, status.st_ino


def free_bytes(place: int | Path) -> int:
    """Return the bytes that may still be written to the file system of a descriptor or path.

    One that says that it has no blocks at all does not know (many FUSE file systems): nothing is too large
    for it then, until it is full. Raises OSError.
    """
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize if status.f_blocks else sys.maxsize


def lacks_inodes(descriptor: int) -> bool:
    """Return whether the file system of this descriptor can hold no further file, whatever its free bytes."""
    status = os.fstatvfs(descriptor)
    return status.f_files > 0 and status.f_favail == 0  # f_files is 0 where inodes are not counted


def rename_new(name: str, directory: int, other: str, other_directory: int) -> bool:
    """Rename unless `other` exists; return whether it was renamed.

    Returns False, too, where the file system cannot do both in one step.
    """
    old, new = os.fsencode(name), os.fsencode(other)
    if _renameat2 is None or _renameat2(directory, old, other_directory, new, _NOREPLACE) == 0:
        return _renameat2 is not None
    if (error := last_error()).errno not in _UNSUPPORTED | {errno.EEXIST}:
        raise error
    return False


def has_default_acl(directory: int) -> bool:
    """Return whether the directory has a default ACL: new files then do not get the requested mode."""
    try:
        return bool(os.getxattr(directory, "system.posix_acl_default"))
    except OSError as error:
        return error.errno not in {errno.ENODATA, errno.EOPNOTSUPP}


def data_ranges(descriptor: int, start: int, length: int) -> list[tuple[int, int]]:
    """Return start and length of each range of data in a part of a file; the rest are holes.

    Returns the whole part where the file system does not know.
    """
    ranges, position, end = [], start, start + length
    try:
        while position < end and (begin := _next_data(descriptor, position)) < end:
            position = min(os.lseek(descriptor, begin, os.SEEK_HOLE), end)
            ranges.append((begin, position - begin))
    except OSError:
        return [(start, length)] if length else []
    return ranges


def _next_data(descriptor: int, position: int) -> int:
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return sys.maxsize


def punch_hole(descriptor: int, start: int, length: int) -> None:
    """Replace a range by zeros, which take no space where the file system supports holes."""
    if length and _libc.fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, start, length):
        if (error := last_error()).errno not in _UNSUPPORTED:
            raise error
        for begin in range(start, start + length, _WRITEBACK_CHUNK):
            os.pwrite(descriptor, bytes(min(_WRITEBACK_CHUNK, start + length - begin)), begin)


def start_writeback(descriptor: int, start: int, length: int) -> None:
    """Start writing a range to the disk without waiting for it; errors are ignored.

    Otherwise the kernel delays writing until much data is waiting or the file is complete.
    """
    if _sync_file_range and length:
        _sync_file_range(descriptor, start, length, _SYNC_FILE_RANGE_WRITE)


def sync_file_system(descriptor: int) -> None:
    """Write everything on the file system of this descriptor to the disk, and wait for it."""
    if _libc.syncfs(descriptor):
        raise last_error()


def is_file_of_one_name(status: os.stat_result) -> bool:
    """Return whether this is a regular file without another hard link."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1  # 0 where it is not counted


def atomic_write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file in one step and sync it to the disk; readers see the old or the new content."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    os.replace(temporary, path)  # noqa: PTH105
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Sync a directory's entries to the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        with suppress(OSError):
            os.close(descriptor)
