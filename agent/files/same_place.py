"""Detect whether two directories are one, under any path and on any host.

One side creates a marker file in its own directory, and the other looks for it. A name, or device and inode,
would not tell: one disk may be mounted at two servers, in two containers, or twice on one host. A mark is an
empty file with a new random name for each question: no host can have it, or its absence, in a cache. The name
begins with its hop's prefix, so that a mark that a kill left behind can be found.
"""

import errno
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agent.errors import HopError
from agent.files import disk
from agent.files.paths import MARK_PREFIX, mark_prefix
from agent.files.roots import Tree
from agent.problems import SAME_PLACE

_MARK = re.compile(f"{re.escape(MARK_PREFIX)}[0-9a-f]{{32}}")


def new_mark(hop_id: str) -> str:
    """Return a new random name for a mark of a hop."""
    return f"{mark_prefix(hop_id)}{os.urandom(8).hex()}"


def is_mark(name: object) -> bool:
    """Return whether a name could be a mark: no other name that a peer sends is looked up."""
    return isinstance(name, str) and _MARK.fullmatch(name) is not None


def shows(tree: Tree, directory: str, mark: str) -> bool:
    """Return whether the mark is in this directory below the location.

    Raises OSError.
    """
    return _exists(lambda: tree.stat(f"{directory}/{mark}" if directory else mark))


def shows_in_parent(tree: Tree, path: str, mark: str) -> bool:
    """Return whether the mark is in the directory that contains this path.

    Raises OSError.
    """
    return _exists(lambda: tree.stat_beside(path, mark))


def _exists(stat: Callable[[], os.stat_result]) -> bool:
    """Return whether `stat` finds something; what a link leads to is not there unless the hop follows it."""
    try:
        stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EXDEV}:
            return False
        raise
    return True


def is_same_entry(tree: Tree, name: str) -> bool:
    """Return whether the location, in a directory with the destination's mark, is its entry `name`.

    Two names in a directory's listing are two entries, even if they may be one file. Raises OSError.
    """
    own_name = tree.path.rpartition("/")[2]
    return own_name == name or not {own_name, name} <= set(tree.sibling_names())


@dataclass(frozen=True)
class MarkedLocation:
    """A destination that its source can recognize by a mark."""

    mark: str
    """Name of the mark, in the destination's directory or its nearest existing parent."""
    above: str
    """The names from the destination's root down to that directory."""
    below: str
    """The names from there down to the destination; empty if it is the destination."""
    identity: str = ""
    """Identity of that directory, instead of a mark: a dry run writes none."""

    def is_at(self, tree: Tree, directory: str) -> bool:
        """Return whether a directory below the source is the marked one. Raises OSError."""
        if not self.identity:
            return shows(tree, directory, self.mark)
        try:
            return _is_same(identity_of(tree.open_directory(directory)), self.identity)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def is_at_path(self, path: str) -> bool:
        """Return whether the directory at an absolute path is the marked one."""
        if not self.identity:
            return os.path.lexists(f"{path.rstrip('/')}/{self.mark}")
        try:
            descriptor = os.open(path or "/", _PATH_FLAGS)
            try:
                return _is_same(identity_of(descriptor), self.identity)
            finally:
                os.close(descriptor)
        except OSError:
            return False


_PATH_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_IDENTITY = re.compile(r"[0-9]{1,20}-[0-9]{1,20}(-[0-9a-f]{32})?")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def identity_of(directory: int) -> str:
    """Return what identifies a directory on any host that shows it: its inode, and when that last changed.

    Device numbers differ between hosts. Hosts that were made from one disk image share even inodes and times.
    So the running kernel belongs to it where the file system is of a kind that only one kernel has mounted.
    Raises OSError.
    """
    found = os.fstat(directory)
    identity = f"{found.st_ino}-{abs(found.st_ctime_ns)}"
    if disk.file_system_type(directory) in _OF_ONE_KERNEL and (kernel := _kernel()):
        return f"{identity}-{kernel}"
    return identity


_OF_ONE_KERNEL = {
    disk.FileSystemType.EXT4,
    disk.FileSystemType.XFS,
    disk.FileSystemType.BTRFS,
    disk.FileSystemType.F2FS,
    disk.FileSystemType.TMPFS,
}


@cache
def _kernel(boot_id: Path = _BOOT_ID) -> str:
    """Return what the kernel has drawn at its start, as hexadecimal digits; empty if it shows nothing.

    systemd-nspawn and LXC mount a file of their own there, so that containers on one kernel look like hosts
    with one each: it tells nothing.
    """
    try:
        if boot_id.stat().st_dev != boot_id.parent.stat().st_dev:
            return ""
        found = boot_id.read_text().strip().replace("-", "")
    except OSError:
        return ""
    return found if re.fullmatch("[0-9a-f]{32}", found) else ""


def _is_same(one: str, other: str) -> bool:
    """Return whether two identities may be those of one directory."""
    (*place, kernel), (*other_place, other_kernel) = (_parts(identity) for identity in (one, other))
    return place == other_place and (not kernel or not other_kernel or kernel == other_kernel)


def _parts(identity: str) -> tuple[str, str, str]:
    inode, changed, *kernel = identity.split("-")
    return inode, changed, "".join(kernel)


def is_identity(value: object) -> bool:
    """Return whether this could be the identity of a directory."""
    return isinstance(value, str) and _IDENTITY.fullmatch(value) is not None


def overlaps(tree: Tree, location: MarkedLocation) -> bool:
    """Return whether source and destination are the same, or one contains the other.

    If the source contains the destination through a mount that the destination does not know, only the walk
    through the source finds the mark. Raises OSError.
    """
    own_path = tree.real_path()
    names = _names(location.above)
    if any(location.is_at(tree, "/".join(names[start:])) for start in range(len(names) + 1)):
        return True
    above = own_path
    while True:
        if location.is_at_path(above):
            inner = _names(own_path[len(above) :])
            below = _names(location.below)
            shorter = min(len(inner), len(below))
            return inner[:shorter] == below[:shorter]
        if above in {"", "/"}:
            return False
        above = above.rpartition("/")[0] or "/"


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def require_apart(tree: Tree, location: MarkedLocation) -> None:
    """Raise HopError if source and destination overlap.

    Raises OSError if that cannot be determined.
    """
    if overlaps(tree, location):
        raise HopError(SAME_PLACE.problem(path=tree.path))
