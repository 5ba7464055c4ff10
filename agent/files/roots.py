"""Keep every path inside its root, and a hop inside its place: the location that it reads or writes.

Everything below a root is reached through directory descriptors. Each directory is opened from its parent
without following a link; its path as the kernel reports it must then be inside the root and the place, and
is checked again while it stays open. So a link, or a directory that is swapped or moved at the same time,
cannot lead outside.

Links are followed in two cases only: on the way to a location, if the host's administrator allows it for the
root (`links = true`); and below it, if the hop follows links. What they lead to must be inside the place, or,
with `links = true`, inside the root. Nothing is ever written below a link at a destination.
"""

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from agent.config import RootConfig
from agent.errors import HopError, InTheWayError, RemountedError, SamePlaceError
from agent.files import disk, mounts
from agent.files.boundary import CHECK_TTL_S, Boundary, NestedRoot
from agent.files.directory_cache import DirectoryCache, kernel_path, leads_to
from agent.files.known_devices import KnownDevices
from agent.files.name_folding import NameFolding
from agent.files.paths import is_below
from agent.problems import OUTSIDE_ROOTS, READ_ONLY_ROOT
from events.base import Problem

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
TRAVERSE_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags for a directory that is only passed on the way to another: it need not be readable."""


class Roots:
    """The roots of this host, as agent.toml lists them now."""

    def __init__(
        self, roots: Iterable[RootConfig], private: Path | None = None, *, check_ttl_s: float = CHECK_TTL_S
    ) -> None:
        """Create the list.

        `private` is the agent's state directory, with its keys: it is excluded, even if a root contains it.
        The path of a directory that stays open is checked again after `check_ttl_s` seconds.
        """
        self._check_ttl_s = check_ttl_s
        self._roots = tuple(roots)
        self._private = os.path.realpath(private) if private else None

    def reload(self, roots: Iterable[RootConfig]) -> None:
        """Use the roots of a changed agent.toml from now on."""
        self._roots = tuple(roots)

    def destination(self, path: str, devices: KnownDevices | None = None) -> "Tree":
        """Return the tree at an absolute path, for a hop to write to; below it no link is followed.

        `devices` are those of the hop's other trees. Raises HopError if the host does not allow it.
        """
        return self._tree(path, writing=True, following=False, destination=True, devices=devices)

    def tree(self, path: str, *, writing: bool, following: bool = False) -> "Tree":
        """Return the tree at an absolute path, to read or also to delete what was moved from it.

        With `following`, links below it are followed. Raises HopError if the host does not allow it.
        """
        return self._tree(path, writing=writing, following=following, destination=False)

    def _tree(
        self,
        path: str,
        *,
        writing: bool,
        following: bool,
        destination: bool,
        devices: KnownDevices | None = None,
    ) -> "Tree":
        plain = "/" + path.strip("/")
        containing = [root for root in self._roots if is_below(plain, root.path)]
        if not containing or ".." in plain.split("/") or "\0" in plain:
            raise HopError(self._outside(plain))
        root = max(containing, key=lambda root: len(root.path))
        if writing and root.access != "rw":
            raise HopError(self._read_only(plain, root))
        key_in_root = plain[len(root.path.rstrip("/")) :].strip("/")
        boundary = Boundary(
            root.folder,
            self._nested() if writing else (),
            self._private,
            links_allowed=root.links,
            check_ttl_s=self._check_ttl_s,
            devices=devices,
        )
        return Tree(
            boundary, key_in_root, path=plain, writing=writing, following=following, destination=destination
        )

    def _nested(self) -> tuple[NestedRoot, ...]:
        return tuple(NestedRoot(os.path.realpath(root.folder), root.access == "rw") for root in self._roots)

    def _outside(self, path: str) -> Problem:
        return OUTSIDE_ROOTS.problem(path=path, roots=self._names(self._roots))

    def _read_only(self, path: str, root: RootConfig) -> Problem:
        writable = [root for root in self._roots if root.access == "rw"]
        return READ_ONLY_ROOT.problem(path=path, root=root.path, roots=self._names(writable))

    @staticmethod
    def _names(roots: Iterable[RootConfig]) -> str:
        return ", ".join(root.path for root in roots) or "none"


class Tree:
    """A location inside a root, a file or a directory, and everything below it.

    Paths are relative to the location, '' is the location itself; bytes that are not UTF-8 appear as
    `os.fsdecode`'s surrogates. An OSError with EXDEV means that a path leads out of the root or the location,
    one with ELOOP that it leads through a link that is not followed, and RemountedError that the location is
    on another file system than before. Use it from one thread at a time.
    """

    def __init__(
        self,
        boundary: Boundary,
        key_in_root: str,
        *,
        path: str,
        writing: bool = False,
        following: bool = False,
        destination: bool = False,
    ) -> None:
        """Create a tree at `key_in_root`, the location's path below the root with this boundary.

        For `writing`, directories are opened by exactly their names, even if the file system would accept
        others: SameNameError. With `following`, links below the location are followed. Below a `destination`,
        what is in a directory's place and a directory under a second path have errors of their own:
        InTheWayError, SamePlaceError.
        """
        self.path = path
        """The location's absolute path, as locations write it."""
        self._boundary = boundary
        self._top = boundary.top
        self._inner = key_in_root
        self._directories = DirectoryCache(self._open_directory, boundary.check_ttl_s)
        self._folding = NameFolding() if writing else None
        self._follow_links = following
        self._is_destination = destination
        self._aliases = self._find_aliases() if destination else {}
        """For directories below the location that are mounted under another path, too: that path."""

    def __enter__(self) -> "Tree":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all descriptors that are kept open."""
        self._directories.close()

    def name(self, rel: str) -> str:
        """Return the absolute path of what is below the location, as locations write it."""
        return f"{self.path.rstrip('/')}/{rel}" if rel else self.path

    def open_directory(self, rel: str) -> int:
        """Return a directory's descriptor; the tree closes it, possibly at the next call."""
        return self._directories.open_directory(self._key(rel))

    def nearest_existing(self) -> int:
        """Return the descriptor of the location, or of its nearest existing parent directory.

        The tree closes it, possibly at the next call.
        """
        key = self._inner
        while key:
            try:
                return self._directories.open_directory(key)
            except (FileNotFoundError, NotADirectoryError):
                key = key.rpartition("/")[0]
        return self._directories.open_directory("")

    def nearest_place(self) -> tuple[str, str, str]:
        """Return the nearest existing directory at or above the location.

        Returns three values: its absolute path, the names from the root down to it, and the names from there
        down to the location.
        """
        key, path, below = self._inner, self.path.rstrip("/"), ""
        while key:
            try:
                self._directories.open_directory(key)
                break
            except (FileNotFoundError, NotADirectoryError):
                key = key.rpartition("/")[0]
                path, _, name = path.rpartition("/")
                below = f"{name}/{below}" if below else name
        return path or "/", key, below

    def real_path(self, rel: str = "") -> str:
        """Return the path with all links on the way followed, as the kernel reports it."""
        try:
            return kernel_path(self.open_directory(rel))
        except NotADirectoryError:
            parent, name = self._split(rel)
            os.stat(name, dir_fd=parent, follow_symlinks=False)
            return f"{kernel_path(parent).rstrip('/')}/{name}"

    def sibling_names(self) -> list[str]:
        """Return the names in the directory that contains the location."""
        return os.listdir(self._split("")[0])  # noqa: PTH208 - of a descriptor

    def stat(self, rel: str) -> os.stat_result:
        """Return the status of the entry itself, not of what a link points to."""
        parent, name = self._split(rel)
        return os.stat(name, dir_fd=parent, follow_symlinks=False)

    def stat_exact(self, rel: str) -> os.stat_result:
        """Return the status of the entry that is listed under exactly this name.

        Raises SameNameError if it is listed under another.
        """
        parent, name = self._split(rel)
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        self._require_exact_name(parent, name)
        return found

    def require_exact_name(self, rel: str) -> None:
        """Raise SameNameError if the entry is listed under another name and only found by this one."""
        self._require_exact_name(*self._split(rel))

    def _require_exact_name(self, parent: int, name: str) -> None:
        if self._folding and name != ".":
            self._folding.require_exact_name(parent, name)

    def open(self, rel: str, flags: int, mode: int = 0o666) -> int:
        """Return a file's descriptor, for the caller to close; a link is not followed: ELOOP."""
        parent, name = self._split(rel)
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent)

    def open_followed(self, rel: str, flags: int) -> int:
        """Return a file's descriptor, for the caller to close; a link is followed if links are.

        The location itself may be a link only if the root allows links. Otherwise: ELOOP.
        """
        if not (self._follow_links if rel else self._boundary.links_allowed):
            return self.open(rel, flags)
        key = self._key(rel)
        descriptor = os.open(self._resolve(key), flags | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._verified_path(descriptor, key)
        return descriptor

    def make_directory(self, rel: str) -> None:
        """Create the directory and its missing parents.

        Raises FileExistsError if a file is in the way.
        """
        self._make(self._key(rel))

    def open_parent(self, rel: str) -> tuple[int, str]:
        """Return the descriptor of the directory of `rel`, created if missing, and the name of `rel` in it.

        The tree closes the descriptor, possibly at the next call.
        """
        key = self._key(rel)
        self._require_single_path(key)
        parent, _, name = key.rpartition("/")
        try:
            return self._directories.open_directory(parent), name or "."
        except (FileNotFoundError, NotADirectoryError):
            self._make(parent)
            return self._directories.open_directory(parent), name or "."

    def link(self, rel: str, target: str, temporary: str) -> None:
        """Create a symbolic link that replaces an existing link or file.

        It is created under the name `temporary` first, which a killed attempt may have left.
        """
        parent, _ = self._split(rel)
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=parent)
        os.symlink(target, temporary, dir_fd=parent)
        try:
            self.rename_new(temporary, rel)
        except OSError:
            with suppress(FileNotFoundError):
                self.unlink_beside(rel, temporary)
            raise

    def hard_link(self, rel: str, target: str, temporary: str) -> None:
        """Create a hard link to the file `target` that replaces an existing link or file.

        It is created under the name `temporary` first, which a killed attempt may have left.
        """
        parent, _ = self._split(rel)
        own_parent = os.dup(parent)  # opening the target's parent may close the cached descriptor
        try:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=own_parent)
            target_parent, target_name = self._split(target)
            os.link(
                target_name, temporary, src_dir_fd=target_parent, dst_dir_fd=own_parent, follow_symlinks=False
            )
            try:
                self.rename_new(temporary, rel)
            finally:  # if both were the same file, the rename did nothing
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=own_parent)
        finally:
            os.close(own_parent)

    def readlink(self, rel: str) -> str:
        """Return a symbolic link's target."""
        parent, name = self._split(rel)
        return os.readlink(name, dir_fd=parent)

    def attribute_names(self, rel: str) -> list[str]:
        """Return the names of the extended attributes of an entry itself, not of what a link points to."""
        parent, name = self._split(rel)
        return os.listxattr(f"/proc/self/fd/{parent}/{name}", follow_symlinks=False)

    def open_beside(self, rel: str, name: str, flags: int, mode: int = 0o666) -> int:
        """Return the descriptor of the file `name` in the directory of `rel`, for the caller to close."""
        parent, _ = self._split(rel)
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent)

    def make_writable(self, rel: str, name: str) -> None:
        """Set the mode of the file `name` in the directory of `rel` to 0600, whatever it is now.

        Raises PermissionError if it is not a file, or has another name, too.
        """
        parent, _ = self._split(rel)
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            if not disk.is_file_of_one_name(os.fstat(descriptor)):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
            os.chmod(f"/proc/self/fd/{descriptor}", 0o600)  # noqa: PTH101
        finally:
            os.close(descriptor)

    def stat_beside(self, rel: str, name: str) -> os.stat_result:
        """Return the status of `name` in the directory of `rel`."""
        parent, _ = self._split(rel)
        return os.stat(name, dir_fd=parent, follow_symlinks=False)

    def rename_new(self, name: str, rel: str) -> None:
        """Rename the file `name` in the directory of `rel` to `rel`; it replaces a file of exactly this name.

        Raises SameNameError if the existing file is listed under another name, OSError with EILSEQ if the
        disk would change the name.
        """
        parent, target = self._split(rel)
        self.require_kept_name(parent, name, target)
        if not disk.rename_new(name, parent, target, parent):
            self.rename_over(name, rel)

    def rename_over(self, name: str, rel: str) -> None:
        """Rename like `rename_new`, when something exists at `rel` or may exist, and the disk keeps names."""
        self.require_exact_name(rel)
        parent, target = self._split(rel)
        os.rename(name, target, src_dir_fd=parent, dst_dir_fd=parent)

    def require_kept_name(self, directory: int, temporary: str, name: str) -> None:
        """Raise OSError with EILSEQ if the disk would store a file under another name than `name`.

        Names that begin with `temporary` may be used to find out.
        """
        if self._folding:
            self._folding.require_kept_name(directory, temporary, name)

    def unlink_beside(self, rel: str, name: str) -> None:
        """Delete the file `name` in the directory of `rel`."""
        parent, _ = self._split(rel)
        os.unlink(name, dir_fd=parent)

    def unlink(self, rel: str) -> None:
        """Delete a file or a link."""
        parent, name = self._split(rel)
        os.unlink(name, dir_fd=parent)

    def remove_directory(self, rel: str) -> None:
        """Delete an empty directory; a link to a directory is not touched: ENOTDIR."""
        key = self._key(rel)
        parent, name = self._split(rel)
        os.rmdir(name, dir_fd=parent)
        self._directories.forget(key)

    def change_owner(self, rel: str, user_id: int, group_id: int) -> None:
        """Set user and group of the entry itself, not of what a link points to."""
        parent, name = self._split(rel)
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if (found.st_uid, found.st_gid) != (user_id, group_id):
            os.chown(name, user_id, group_id, dir_fd=parent, follow_symlinks=False)

    def _key(self, rel: str) -> str:
        """Return a path relative to the root, from one relative to the location."""
        if ".." in rel and ".." in rel.split("/"):
            raise OSError(errno.EXDEV, "a path contains '..'", rel)
        return f"{self._inner}/{rel}" if self._inner and rel else self._inner or rel

    def _split(self, rel: str) -> tuple[int, str]:
        """Return the descriptor of the directory that contains `rel`, and its name there."""
        key = self._key(rel)
        self._require_single_path(key)
        parent, _, name = key.rpartition("/")
        return self._directories.open_directory(parent), name or "."

    def _open_directory(self, key: str) -> tuple[int, str]:
        """Open a directory by its key, and verify that it is inside; return its path, too."""
        if not (self._follow_links if self._is_below_location(key) else self._boundary.links_allowed):
            below = self._open_stepwise(key)
            return below, self._verified_path(below, key)
        unverified = self._folding.unverified_ancestors(self._top, self._inner, key) if self._folding else []
        descriptor = self._open_in_parent(key)
        if descriptor is None:
            descriptor = os.open(self._resolve(key), DIRECTORY_FLAGS)
        path = self._verified_path(descriptor, key)
        self._require_same_device(descriptor, key)
        if self._folding:
            self._folding.verify(unverified)
        return descriptor, path

    def _is_below_location(self, key: str) -> bool:
        return len(key) > len(self._inner)

    def _resolve(self, key: str) -> str:
        """Return the path of what a key leads to, with all links followed.

        Raises OSError with EXDEV if that is outside.
        """
        if self._is_bound_to_place(key):
            target = os.path.realpath(os.path.join(self._place, key[len(self._inner) :].lstrip("/")))  # noqa: PTH118
        else:
            target = os.path.realpath(os.path.join(self._top, key))  # noqa: PTH118
        self._require_inside(target, key)
        return target

    def _is_bound_to_place(self, key: str) -> bool:
        """Return whether what a key leads to must be inside the location, and not only inside the root."""
        may_leave = self._follow_links and self._boundary.links_allowed
        return self._is_below_location(key) and not may_leave

    @property
    def _place(self) -> str:
        """The location's path, as the kernel reports it. Raises OSError if it is not a directory."""
        return self._directories.path_of(self._inner)

    def _require_inside(self, path: str, key: str) -> None:
        self._boundary.require_inside(path)
        if self._is_bound_to_place(key) and not is_below(path, self._place):
            raise OSError(errno.EXDEV, "a path leads out of the hop's place", path)

    def _open_in_parent(self, key: str) -> int | None:
        """Open a plain directory in its parent, if that is open already; None if it is not that simple."""
        parent, _, name = key.rpartition("/")
        if not name or parent not in self._directories:
            return None
        try:
            return os.open(name, DIRECTORY_FLAGS, dir_fd=self._directories.open_directory(parent))
        except OSError:  # a link, or it does not exist
            return None

    def _open_stepwise(self, key: str) -> int:
        """Open a directory, each one from its parent, beginning at the last open one.

        Raises InTheWayError, SamePlaceError, SameNameError or OSError with ELOOP.
        """
        if not key:
            top = os.open(self._top, DIRECTORY_FLAGS)
            self._require_same_device(top, key)
            return top
        first = self._inner if self._is_below_location(key) else ""
        reached = key.rpartition("/")[0]
        while len(reached) > len(first) and reached not in self._directories:
            reached = reached.rpartition("/")[0]
        names = key[len(reached) :].strip("/").split("/")
        descriptor, is_owned = self._directories.open_directory(reached), False
        for name in names:
            reached = f"{reached}/{name}" if reached else name
            try:
                below = self._step(descriptor, name, reached, is_last=reached == key)
            finally:
                if is_owned:
                    os.close(descriptor)
            descriptor, is_owned = below, True
        return descriptor

    def _step(self, directory: int, name: str, key: str, *, is_last: bool) -> int:
        """Open the directory `name` in an open one; one that is only passed need not be readable."""
        self._require_single_path(key)
        try:
            descriptor = os.open(name, DIRECTORY_FLAGS, dir_fd=directory)
        except PermissionError:
            if is_last:
                raise
            descriptor = os.open(name, TRAVERSE_FLAGS, dir_fd=directory)
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                raise
            is_link = stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
            if self._is_destination and self._is_below_location(key):
                raise InTheWayError(self._location(key), is_link=is_link) from error
            if is_link:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), key) from error
            raise
        try:
            if self._folding and self._is_below_location(key):
                self._folding.step(directory, name, key)
        except OSError:
            os.close(descriptor)
            raise
        self._require_same_device(descriptor, key)
        return descriptor

    def _require_same_device(self, descriptor: int, key: str) -> None:
        """Close a directory at or above the location and raise RemountedError if its device has changed."""
        if self._is_below_location(key):
            return
        try:
            self._boundary.devices.require_same(key, descriptor)
        except OSError:
            os.close(descriptor)
            raise

    def _require_single_path(self, key: str) -> None:
        """Raise SamePlaceError if a directory is mounted below the location a second time."""
        if self._aliases and (other := self._aliases.get(key)):
            raise SamePlaceError(self._location(key), other)

    def _find_aliases(self) -> dict[str, str]:
        path = os.path.realpath(os.path.join(self._top, self._inner))  # noqa: PTH118
        aliases = mounts.aliases(path)
        keys = (self._key(rel) for rel in aliases)
        return dict(zip(keys, map(self.name, aliases.values()), strict=True))

    def _location(self, key: str) -> str:
        """Return the absolute path of a key below the location, as locations write it."""
        return self.name(key[len(self._inner) :].lstrip("/"))

    def _make(self, key: str) -> None:
        missing = []
        while key and not self._is_directory(key):
            missing.append(key)
            key = key.rpartition("/")[0]
        for directory in reversed(missing):
            self._make_single(directory)

    def _make_single(self, key: str) -> None:
        parent, _, name = key.rpartition("/")
        self._boundary.require_inside(f"{self._directories.path_of(parent).rstrip('/')}/{name}")
        directory = self._directories.open_directory(parent)
        try:
            os.mkdir(name, dir_fd=directory)
        except FileExistsError:  # made by another thread, or a dangling link
            if not self._is_directory(key):
                raise
            return
        try:
            if self._folding:
                self._folding.require_listed_name(directory, name)
        except OSError as error:
            if error.errno == errno.EILSEQ:
                with suppress(OSError):  # another thread has found a use for it
                    os.rmdir(name, dir_fd=directory)
            raise

    def _is_directory(self, key: str) -> bool:
        """Return whether a directory exists.

        Raises FileExistsError if something else is there.
        """
        try:
            self._directories.open_directory(key)
        except FileNotFoundError:
            return False
        except NotADirectoryError as error:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), key) from error
        return True

    def _verified_path(self, descriptor: int, key: str) -> str:
        """Return the path of an open descriptor; close it and raise OSError if it is outside."""
        try:
            path = kernel_path(descriptor)
            self._require_inside(path, key)
        except OSError as error:
            remounted = error.errno == errno.EXDEV and not leads_to(path, descriptor)
            os.close(descriptor)
            if remounted:
                raise RemountedError from error
            raise
        return path
