"""Write a small file without a name (`O_TMPFILE`), and link it under its name when it is complete.

A kill leaves nothing of such a file. See open(2) and linkat(2).
"""

import ctypes
import errno
import os
from collections.abc import Callable
from contextlib import suppress

from agent.files.disk import FileSystemType, file_system_type, last_error

_libc = ctypes.CDLL(None, use_errno=True)
_libc.linkat.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
_TMPFILE_FLAGS = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC
_REOPEN_FLAGS = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_AT_EMPTY_PATH = 0x1000


def is_faster(directory: int) -> bool:
    """Return whether the file system links an unnamed file faster than it renames one: only ext4 does.

    Measured as in `write`. In memory (tmpfs) unnamed files take 4 % more processor time; on XFS and Btrfs
    there is hardly a difference, and ZFS waits for its disks.
    """
    return file_system_type(directory) == FileSystemType.EXT4


def write(
    directory: int, name: str, other_name: Callable[[], str], mode: int, fill: Callable[[int], None]
) -> str | None:
    """Write a file, link it as `name`, or as `other_name` if that is taken, and return the name.

    `fill` writes to a descriptor. Return None if nothing could be linked, and leave nothing: a security
    module may forbid it. If there is another cause, the caller meets it when it writes a named file instead.
    Raises OSError from `fill`.

    Programs that watch the directory are notified of `name` as of a file that was copied there.

    Measured on ext4 with 20,000 files of 4 KiB, against a temporary name and a rename, in turns on two busy
    cores, medians: a hop over the lane takes 5.13 s instead of 5.95 s, 14 % less, and 10 % less processor
    time; writing alone takes 161 instead of 194 µs a file, 17 % less (docs/benchmarks).
    """
    descriptor = _open(directory, mode)
    if descriptor is None:
        return None
    try:
        fill(descriptor)
        linked_name = _link_free(descriptor, name, other_name, directory)
    finally:
        os.close(descriptor)
    if linked_name == name:
        _notify_close_write(name, directory)
    return linked_name


def _open(directory: int, mode: int) -> int | None:
    """Open a new file without a name, which is deleted when closed unless it is linked."""
    try:
        return os.open(".", _TMPFILE_FLAGS, mode, dir_fd=directory)
    except OSError:
        return None


def _link_free(descriptor: int, name: str, other_name: Callable[[], str], directory: int) -> str | None:
    try:
        if _link(descriptor, name, directory):
            return name
        partial_name = other_name()
        return partial_name if _link(descriptor, partial_name, directory) else None
    except OSError:
        return None


def _link(descriptor: int, name: str, directory: int) -> bool:
    """Link an unnamed file under `name`, unless that exists; return whether it was linked.

    Raises OSError.
    """
    if _libc.linkat(descriptor, b"", directory, os.fsencode(name), _AT_EMPTY_PATH) == 0:
        return True
    error = last_error()
    if error.errno == errno.EEXIST:
        return False
    if error.errno != errno.ENOENT:
        raise error
    try:  # older kernels allow that only to root
        os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=directory)
    except FileExistsError:
        return False
    return True


def _notify_close_write(name: str, directory: int) -> None:
    """Close the file after opening it for writing, so that inotify reports IN_CLOSE_WRITE for it."""
    with suppress(OSError):  # already renamed or deleted, by a process that watches
        os.close(os.open(name, _REOPEN_FLAGS, dir_fd=directory))
