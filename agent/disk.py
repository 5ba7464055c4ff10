"""What Linux can do with files and Python does not offer: reserve room, rename only to what is not there, and
sync one file system.

fallocate(2), renameat2(2), syncfs(2).
"""

import ctypes
import errno
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_renameat2 = getattr(_libc, "renameat2", None)
"""Some C libraries have none."""
_NOREPLACE = 1
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def reserve(descriptor: int, size: int) -> None:
    """Give the file its size, and the room for it where the file system can promise room; ENOSPC if there
    is not enough. `os.posix_fallocate` would write every block where it cannot."""
    if size and _libc.fallocate(descriptor, 0, 0, size):
        number = ctypes.get_errno()
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number))
        if free(descriptor) < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(descriptor, size)


def free(descriptor: int) -> int:
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


def sync_file_system(descriptor: int) -> None:
    """Until this returns, a power cut may take what was written to the file system of this descriptor."""
    if _libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
