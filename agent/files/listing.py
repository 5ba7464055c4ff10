"""List what is below a location: one entry each, in an order that keeps a directory's files together.

The tree is read while it is listed, so a million files do not fill the memory: only one directory's names are
held.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

from agent.errors import HopError, ReplacedError, problem_of
from agent.files.disk import InodeId, allocated_bytes, inode_of
from agent.files.owners import Owner, owner_of
from agent.files.paths import PARTIAL_PREFIX, is_own_name, is_reserved
from agent.files.roots import Tree
from agent.files.same_place import MarkedLocation, require_apart
from agent.problems import LINK_LOOP, LINKS_IN_A_CIRCLE, RESERVED_NAME, SAME_PLACE, SPECIAL_FILE
from events.base import Problem
from events.filters import Filters
from events.options import Symlinks
from events.progress import Loss

Kind = Literal["f", "d", "l", "!"]
"""File, directory, symbolic link; `!` is an entry that cannot be transferred, with the reason."""

READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK
"""Flags to open a file for reading without waiting for a FIFO's writer."""


MAX_NUMBER = 2**63 - 1
"""Largest number accepted from a peer: no file system and no database of ours holds a larger one."""


class FileEntry(NamedTuple):
    """One file, directory or link; `path` is relative to the location, '' is the location itself.

    There may be millions of entries: a tuple is created fastest.
    """

    kind: Kind
    path: str
    size: int = 0
    mtime_ns: int = 0
    mode: int = 0
    """Permission bits."""
    sparse: bool = False
    target: str = ""
    """A link's target; for a further hard link to a file, the path under which that was listed first."""
    ctime_ns: int = 0
    """When a file was last written or changed in any way (its status change); 0 if the source cannot tell."""
    lost: tuple[Loss, ...] = ()
    """What the source knows will not be kept."""
    problem: Problem | None = None
    owner: Owner | None = None
    """None unless owners were asked for."""

    def is_still(self, found: os.stat_result, own_change_ns: int | None = None) -> bool:
        """Return whether a file has not been written since it was listed.

        Size and modification time can be put back, the time of the status change cannot. `own_change_ns` is
        the latter after a change by this agent itself.
        """
        if (found.st_size, stored_ns(found.st_mtime_ns)) != (self.size, self.mtime_ns):
            return False
        return not self.ctime_ns or stored_ns(found.st_ctime_ns) in {self.ctime_ns, own_change_ns}


def stored_ns(time_ns: int) -> int:
    """Return a time of a file system in ns as listings, ledgers and the lane hold it: from 1677 to 2262."""
    return max(-MAX_NUMBER, min(time_ns, MAX_NUMBER))


@dataclass(frozen=True)
class Selection:
    """Which entries below a location are wanted."""

    symlinks: Symlinks = "keep"
    paths: tuple[str, ...] | None = None
    """Only these paths below the location, and what is below them. None: everything."""
    filters: Filters = field(default_factory=Filters)
    owners: bool = False
    """Whether to list the entries' owners."""
    destination: MarkedLocation | None = None
    """The marked destination: its directory must not be read as a source. None: it has no mark."""

    def matches(self, entry: FileEntry) -> bool:
        """Return whether the filters match the entry, or may match something in it.

        The location itself always matches.
        """
        if not (self.filters and entry.path):
            return True
        return (
            self.filters.may_match_below(entry.path)
            if entry.kind == "d"
            else self.filters.matches(entry.path)
        )

    def allows(self, kind: Kind, path: str) -> bool:
        """Return whether an entry of this kind and path could be in the listing."""
        if is_reserved(path) or (kind == "l" and self.symlinks != "keep"):
            return False
        return self.is_selected(path) and self.matches(FileEntry(kind, path))

    def is_selected(self, path: str) -> bool:
        """Return whether a path is selected or below a selected one, whatever the filters say."""
        if self._paths is None:
            return True
        names = path.split("/")
        return any("/".join(names[:depth]) in self._paths for depth in range(1, len(names) + 1))

    @cached_property
    def _paths(self) -> frozenset[str] | None:
        return None if self.paths is None else frozenset(self.paths)

    def may_match_below(self, path: str) -> bool:
        """Return whether the filters may match a name whose kind is not known yet."""
        return not self.filters or self.filters.matches(path) or self.filters.may_match_below(path)


def entries(tree: Tree, selection: Selection) -> Iterator[FileEntry]:
    """Yield everything below the location, or below each selected path, once, if the filters match it.

    What is deleted during the listing is left out, and so is a selected path that no file system can have:
    the hop that was to bring it here from S3 has reported it.

    Raises OSError if the location does not exist, HopError if the destination's mark shows that source and
    destination overlap.
    """
    if selection.destination:
        require_apart(tree, selection.destination)
    walk = _Walk(tree, selection)
    if selection.paths is None:
        yield from walk.below(_entry(tree, "", tree.stat(""), replace(selection, symlinks="follow"), {}))
        return
    for path in _outermost(selection.paths):
        if is_reserved(path):
            yield reserved_entry(path, tree.name(path))
            continue
        try:
            first = _entry(tree, path, tree.stat(path), selection, walk.names)
        except OSError as error:
            first = unreadable_entry(path, problem_of(error, tree.name(path)))
        if first and selection.matches(first):
            yield from walk.below(first)


def entry_at(tree: Tree, selection: Selection, path: str) -> FileEntry | None:
    """Return the entry at a path, for a directory or a new file; None if it is not listed by itself.

    A file with several hard links is listed together with them.
    """
    names: LinkedNames = {}
    entry = _inspect(tree, path, selection, names)
    is_single = entry is not None and entry.kind in "fd" and not names
    return entry if entry and is_single and selection.allows(entry.kind, path) else None


def _outermost(selection: tuple[str, ...]) -> Iterator[str]:
    """Yield each path once, without those below another and those that are none."""
    chosen = dict.fromkeys(path for path in selection if path and is_inside(path))
    for path in chosen:
        names = path.split("/")
        if not any("/".join(names[:depth]) in chosen for depth in range(1, len(names))):
            yield path


def unreadable_entry(path: str, problem: Problem) -> FileEntry:
    """Return an entry for what cannot be transferred, with the reason."""
    return FileEntry("!", path, problem=problem)


def reserved_entry(path: str, display_name: str) -> FileEntry:
    """Return an entry for a user's file that is left out, since its name is reserved."""
    return unreadable_entry(path, RESERVED_NAME.problem(path=display_name))._replace(lost=("name",))


OwnChanges = dict[InodeId, int]
"""The status change, in ns, that this agent has caused itself by deleting another name of a file."""

LinkedNames = dict[InodeId, str]
"""The first path of each file with several hard links."""
MAX_LINKED_NAMES = 200_000
"""Files with several hard links that are remembered, some 40 MB; further ones are sent once for each name."""


@dataclass(slots=True)
class _WalkedDirectory:
    """A directory that the walk has found."""

    entry: FileEntry
    parent: "_WalkedDirectory | None" = None
    inode: InodeId | None = None
    listed: bool = False
    """Whether its entry was yielded."""

    def is_inside(self, inode: InodeId) -> bool:
        """Return whether it is inside this directory: a link to such a directory would never end."""
        above = self.parent
        while above and above.inode != inode:
            above = above.parent
        return above is not None


class _Walk:
    """Walks down a tree, one directory after the other."""

    def __init__(self, tree: Tree, selection: Selection) -> None:
        self._tree = tree
        self._selection = selection
        self._has_includes = bool(selection.filters.include)
        self.names: LinkedNames = {}

    def below(self, first: FileEntry | None) -> Iterator[FileEntry]:
        """Yield an entry and everything below it."""
        if first is None:
            return
        if first.kind != "d":
            yield first
            return
        waiting = [_WalkedDirectory(first)]
        if not self._has_includes:
            yield from _list_once(waiting[0])
        while waiting:
            directory = waiting.pop()
            found: list[_WalkedDirectory] = []
            yield from self._read(directory, found)
            waiting += reversed(found)

    def _read(self, directory: _WalkedDirectory, found: list[_WalkedDirectory]) -> Iterator[FileEntry]:
        """Yield a directory's own entries; append the directories to continue with to `found`.

        With include filters, a directory is listed together with the first file in it.
        """
        path = directory.entry.path
        try:
            descriptor = self._tree.open_directory(path)
            directory.inode = inode_of(os.fstat(descriptor))
            names = os.listdir(descriptor)  # noqa: PTH208 - of a descriptor
        except OSError as error:
            if not (directory.parent and isinstance(error, FileNotFoundError)):
                yield unreadable_entry(path, problem_of(error, self._tree.name(path)))
            return
        if self._is_destination(path):
            raise HopError(SAME_PLACE.problem(path=self._tree.name(path)))
        if directory.is_inside(directory.inode):
            yield unreadable_entry(path, LINK_LOOP.problem(path=self._tree.name(path)))
            return
        names.sort()
        for name in names:
            entry = self._select(f"{path}/{name}" if path else name, name)
            if entry is None:
                continue
            if entry.kind != "d":
                yield from _list_once(directory)
                yield entry
                continue
            found.append(_WalkedDirectory(entry, directory))
            if not self._has_includes:
                yield from _list_once(found[-1])

    def _is_destination(self, path: str) -> bool:
        """Return whether a directory is the marked one of the destination.

        One that may not be searched can neither be read nor deleted.
        """
        if self._selection.destination is None:
            return False
        try:
            return self._selection.destination.is_at(self._tree, path)
        except OSError:
            return False

    def _select(self, path: str, name: str) -> FileEntry | None:
        """Return the entry at a path; None if it is to be left out."""
        if not self._selection.may_match_below(path) or is_own_name(name):
            return None
        if name.startswith(PARTIAL_PREFIX):
            return reserved_entry(path, self._tree.name(path))
        entry = _inspect(self._tree, path, self._selection, self.names)
        return entry if entry and self._selection.matches(entry) else None


def _list_once(directory: _WalkedDirectory) -> Iterator[FileEntry]:
    """Yield the directory and its parents, each unless it was listed already."""
    waiting: list[_WalkedDirectory] = []
    above: _WalkedDirectory | None = directory
    while above and not above.listed:
        waiting.append(above)
        above = above.parent
    for each in reversed(waiting):
        each.listed = True
        yield each.entry


def _inspect(tree: Tree, path: str, selection: Selection, names: LinkedNames) -> FileEntry | None:
    """Return the entry at a path; None if it is left out, or was deleted after its name was read."""
    try:
        found = tree.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return unreadable_entry(path, problem_of(error, tree.name(path)))
    try:
        return _entry(tree, path, found, selection, names)
    except OSError as error:  # a dangling link is reported
        name = tree.name(path)
        leads_back = stat.S_ISLNK(found.st_mode) and error.errno == errno.ELOOP
        problem = LINKS_IN_A_CIRCLE.problem(path=name) if leads_back else problem_of(error, name)
        return unreadable_entry(path, problem)


def _entry(
    tree: Tree, path: str, found: os.stat_result, selection: Selection, names: LinkedNames
) -> FileEntry | None:
    if stat.S_ISLNK(found.st_mode):
        if selection.symlinks == "skip":
            return None
        if selection.symlinks == "keep":
            owner = owner_of(found) if selection.owners else None
            mtime_ns = stored_ns(found.st_mtime_ns)
            return FileEntry("l", path, mtime_ns=mtime_ns, target=tree.readlink(path), owner=owner)
        found, attributes = _followed(tree, path)
    else:
        attributes = _attribute_names(tree, path, found)
    lost = _losses(attributes) if attributes else ()
    mode, owner = stat.S_IMODE(found.st_mode), owner_of(found) if selection.owners else None
    mtime_ns = stored_ns(found.st_mtime_ns)
    if stat.S_ISDIR(found.st_mode):
        return FileEntry("d", path, mtime_ns=mtime_ns, mode=mode, lost=lost, owner=owner)
    if stat.S_ISREG(found.st_mode):
        sparse, ctime_ns = allocated_bytes(found) < found.st_size, stored_ns(found.st_ctime_ns)
        entry = FileEntry("f", path, found.st_size, mtime_ns, mode, sparse, "", ctime_ns, lost, owner=owner)
        if found.st_nlink == 1 or not selection.matches(entry):  # a filtered name is nobody's first
            return entry
        first = _first_name(path, found, names)
        return entry if first == path else entry._replace(target=first)
    return unreadable_entry(path, SPECIAL_FILE.problem(path=tree.name(path)))


def _first_name(path: str, found: os.stat_result, names: LinkedNames) -> str:
    """Return the path under which this file was found first, as far as that is remembered."""
    inode = inode_of(found)
    return names.get(inode, path) if len(names) >= MAX_LINKED_NAMES else names.setdefault(inode, path)


def _followed(tree: Tree, path: str) -> tuple[os.stat_result, list[str]]:
    """Return the status of a link's target, and the names of its extended attributes.

    It is not opened: a FIFO would have a reader then.
    """
    descriptor, attributes = tree.open_followed(path, os.O_PATH), list[str]()
    try:
        found = os.fstat(descriptor)
        with suppress(OSError):
            attributes = os.listxattr(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return found, attributes


def _attribute_names(tree: Tree, path: str, found: os.stat_result) -> list[str]:
    if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
        with suppress(OSError):  # the file system has none
            return tree.attribute_names(path)
    return []


_ACLS = {"system.posix_acl_access", "system.posix_acl_default"}
_OF_USERS = ("user.", "trusted.", "security.capability")
"""Prefixes of attributes that a person or a program has set. A host sets others by itself, on every file."""


def _losses(attributes: list[str]) -> tuple[Loss, ...]:
    """Return what a file with these extended attributes loses."""
    has_acl = not _ACLS.isdisjoint(attributes)
    has_others = any(
        name.startswith(_OF_USERS) and not name.startswith("trusted.overlay.") for name in attributes
    )
    losses: dict[Loss, bool] = {"xattr": has_others, "acl": has_acl}
    return tuple(loss for loss, is_lost in losses.items() if is_lost)


def open_source(tree: Tree, path: str) -> int:
    """Open a file for reading; a link is followed inside the root.

    Raises ReplacedError if it is not a regular file, and OSError if it cannot be opened.
    """
    try:
        descriptor = tree.open(path, READ_FLAGS)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        descriptor = tree.open_followed(path, READ_FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ReplacedError
    return descriptor


def remove_source(tree: Tree, entry: FileEntry, own_changes: OwnChanges) -> bool:
    """Delete a file, a link or an empty directory; return whether it is gone.

    What has changed, or is not empty, is not deleted. Deleting one name of a file is a change of its other
    names, which is noted in `own_changes`. Raises OSError if it cannot be deleted.
    """
    try:
        if entry.kind == "d":
            tree.remove_directory(entry.path)
            return True
        found = tree.stat(entry.path)
        if entry.kind == "f" and not entry.is_still(found, own_changes.get(inode_of(found))):
            return False
        if stat.S_ISLNK(found.st_mode) != (entry.kind == "l"):
            return False
        if entry.kind == "l" and tree.readlink(entry.path) != entry.target:
            return False
        if entry.kind == "f" and found.st_nlink > 1:
            _unlink_one_name(tree, entry, own_changes)
        else:
            tree.unlink(entry.path)
            own_changes.pop(inode_of(found), None)
    except FileNotFoundError:  # already removed
        return True
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        return False
    return True


def _unlink_one_name(tree: Tree, entry: FileEntry, own_changes: OwnChanges) -> None:
    """Delete one of several names of a file, and note the change of its status. Raises OSError."""
    descriptor = tree.open(entry.path, os.O_PATH)
    try:
        tree.unlink(entry.path)
        found = os.fstat(descriptor)
        own_changes[inode_of(found)] = stored_ns(found.st_ctime_ns)
    finally:
        os.close(descriptor)


def is_name(value: Any) -> bool:
    """Return whether a file system can store it as a name or path."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def is_inside(path: Any) -> bool:
    """Return whether it is the location itself ('') or a plain path below it."""
    if path == "":
        return True
    return is_name(path) and not {"", ".", ".."} & set(path.split("/"))
