"""What Linux can do with files and Python does not offer: reserve room, make holes, name only what is not
there, sync one file system or directory, write all of a file or nothing.

fallocate(2), fstatfs(2), linkat(2), lseek(2), open(2), renameat2(2), sync_file_range(2), syncfs(2).
"""

import ctypes
import errno
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_libc.linkat.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
_sync_file_range = getattr(_libc, "sync_file_range", None)
if _sync_file_range:
    _sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
_renameat2 = getattr(_libc, "renameat2", None)
"""Some C libraries have none."""
_NOREPLACE = 1
_TMPFILE_FLAGS = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC
_REOPEN_FLAGS = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_AT_EMPTY_PATH = 0x1000
_EXT4, _TMPFS = 0xEF53, 0x01021994
"""Of statfs(2)."""
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_SYNC_FILE_RANGE_WRITE = 2
_WRITEBACK_CHUNK = 1 << 20
_BLOCK_BYTES = 512
"""Of `st_blocks`, whatever the file system's own are."""
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def preallocate(descriptor: int, size: int) -> None:
    """Give the file its size, and the room for it where the file system can promise room; ENOSPC if there
    is not enough. `os.posix_fallocate` would write every block where it cannot."""
    if size and _libc.fallocate(descriptor, 0, 0, size):
        number = ctypes.get_errno()
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number))
        if free_bytes(descriptor) < size - allocated_bytes(os.fstat(descriptor)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(descriptor, size)


def allocated_bytes(found: os.stat_result) -> int:
    """Bytes that a file takes on its disk."""
    return found.st_blocks * _BLOCK_BYTES


def free_bytes(descriptor: int) -> int:
    """Bytes that may still be written to the file system of this descriptor."""
    found = os.fstatvfs(descriptor)
    return found.f_bavail * found.f_frsize


def rename_new(name: str, folder: int, other: str, other_folder: int) -> bool:
    """Rename, if nothing is called `other` there: was it so? False, too, where that cannot be had in one."""
    old, new = os.fsencode(name), os.fsencode(other)
    if _renameat2 is None or _renameat2(folder, old, other_folder, new, _NOREPLACE) == 0:
        return _renameat2 is not None
    number = ctypes.get_errno()
    if number not in _UNSUPPORTED | {errno.EEXIST}:
        raise OSError(number, os.strerror(number))
    return False


def prefers_tmpfile(folder: int) -> bool:
    """Does the file system there have less to do for a first name than for another? Ext4 has a quarter less,
    XFS and Btrfs hardly, and ZFS waits for its disks."""
    found = (ctypes.c_long * 32)()  # `struct statfs` takes half of it, and begins with the type
    return _libc.fstatfs(folder, found) == 0 and found[0] in {_EXT4, _TMPFS}


def has_default_acl(folder: int) -> bool:
    """Has this directory an access control list for what is made in it? Such files do not get the mode that
    they are made with."""
    try:
        return bool(os.getxattr(folder, "system.posix_acl_default"))
    except OSError as error:
        return error.errno not in {errno.ENODATA, errno.EOPNOTSUPP}


def open_tmpfile(folder: int, mode: int) -> int | None:
    """A new file there that has no name: gone once it is closed, unless it was given one. None where that
    cannot be had: whoever tries with a name hears why, if that fails, too."""
    try:
        return os.open(".", _TMPFILE_FLAGS, mode, dir_fd=folder)
    except OSError:
        return None


def link_tmpfile(descriptor: int, name: str, folder: int) -> bool:
    """Give a file without a name its name, if nothing is called so there: was it so?"""
    try:
        _link(descriptor, name, folder)
    except FileExistsError:
        return False
    return True


def _link(descriptor: int, name: str, folder: int) -> None:
    if _libc.linkat(descriptor, b"", folder, os.fsencode(name), _AT_EMPTY_PATH) == 0:
        return
    number = ctypes.get_errno()
    if number != errno.ENOENT:
        raise OSError(number, os.strerror(number))
    # older kernels let only root do so
    os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=folder)


def notify_close_write(name: str, folder: int) -> None:
    """Let whoever watches the directory hear of a file that was named so what is heard of one that is copied
    there: it was closed after writing."""
    with suppress(OSError):  # taken away at once: whoever did so has heard of it
        os.close(os.open(name, _REOPEN_FLAGS, dir_fd=folder))


def data_ranges(descriptor: int, start: int, length: int) -> list[tuple[int, int]]:
    """Start and length of what is data in a range of a file; what lies between is holes, and reads as zeros.
    All of it where the file system does not know."""
    parts, position, end = [], start, start + length
    try:
        while position < end and (begin := _next_data(descriptor, position)) < end:
            position = min(os.lseek(descriptor, begin, os.SEEK_HOLE), end)
            parts.append((begin, position - begin))
    except OSError:
        return [(start, length)] if length else []
    return parts


def _next_data(descriptor: int, position: int) -> int:
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return sys.maxsize


def punch_hole(descriptor: int, start: int, length: int) -> None:
    """Zeros from there on, which take no room where the file system can have it so."""
    if length and _libc.fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, start, length):
        number = ctypes.get_errno()
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number))
        for begin in range(start, start + length, _WRITEBACK_CHUNK):
            os.pwrite(descriptor, bytes(min(_WRITEBACK_CHUNK, start + length - begin)), begin)


def start_writeback(descriptor: int, start: int, length: int) -> None:
    """Let the disk begin with this part, and do not wait for it: otherwise it rests until much is waiting, or
    until the file is complete. Only a hint: nothing is said of success."""
    if _sync_file_range and length:
        _sync_file_range(descriptor, start, length, _SYNC_FILE_RANGE_WRITE)


def sync_file_system(descriptor: int) -> None:
    """Until this returns, a power cut may take what was written to the file system of this descriptor."""
    if _libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mount_points() -> frozenset[str]:
    """Where something is mounted, as this process sees it. A file can be, too."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return frozenset(os.fsdecode(_unescaped(line.split(b" ")[4])) for line in lines)


def _unescaped(path: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), path)


def atomic_write(path: Path, content: bytes, mode: int) -> None:
    """On the disk when this returns; whoever looks meanwhile sees the old one."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    os.replace(beside, path)  # noqa: PTH105
    sync_directory(path.parent)


def sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        with suppress(OSError):
            os.close(descriptor)
