"""What Linux can do with files and Python does not offer: reserve room, and sync one file system.

fallocate(2), syncfs(2).
"""

import ctypes
import errno
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def reserve(descriptor: int, size: int) -> None:
    """Give the file its size, and the room for it where the file system can promise room; ENOSPC if there
    is not enough. `os.posix_fallocate` would write every block where it cannot."""
    if size and _libc.fallocate(descriptor, 0, 0, size):
        number = ctypes.get_errno()
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number))
        free = os.fstatvfs(descriptor)
        if free.f_bavail * free.f_frsize < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(descriptor, size)


def sync_file_system(descriptor: int) -> None:
    """Until this returns, a power cut may take what was written to the file system of this descriptor."""
    if _libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
