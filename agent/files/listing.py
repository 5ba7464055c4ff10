"""What lies below a place: one entry for each thing, in an order that keeps a directory's files together.

It is read as it goes, so a million files do not fill the memory; only one directory's names are held.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from agent.errors import display_path, problem_of
from agent.files.disk import allocated_bytes
from agent.files.owners import Owner, owner_of
from agent.files.roots import Tree
from agent.files.same_place import MarkedPlace, must_be_apart, overlapping, shows
from events.base import Problem
from events.filters import Filters

Symlinks = Literal["keep", "skip", "follow"]
Kind = Literal["f", "d", "l", "!"]
"""File, directory, symbolic link; `!` is something that cannot be moved, with the reason."""

PARTIAL_PREFIX = ".crosshaul-"
"""How the names begin of what a hop has not finished here."""
READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK
"""Not to wait for a FIFO's other end."""


MAX_NUMBER = 2**63 - 1
"""No file system and no database of ours holds a larger number."""


class FileEntry(NamedTuple):
    """One thing; `path` is relative to the place, '' is the place itself. There may be millions: a tuple is
    made soonest."""

    kind: Kind
    path: str
    size: int = 0
    mtime_ns: int = 0
    mode: int = 0
    """Permission bits."""
    sparse: bool = False
    target: str = ""
    """Of a link; of a file the path under which it was told of already, when that is a hard link to it."""
    problem: Problem | None = None
    owner: Owner | None = None
    """Only where it was asked for."""

    def is_still(self, found: os.stat_result) -> bool:
        """Is a file what it was when it was listed?"""
        return (found.st_size, found.st_mtime_ns) == (self.size, self.mtime_ns)


@dataclass(frozen=True)
class Selection:
    """Which of the things below a place are asked for."""

    symlinks: Symlinks = "keep"
    selection: tuple[str, ...] | None = None
    filters: Filters = field(default_factory=Filters)
    owners: bool = False
    """Is it to be told whom things belong to?"""
    arrives: MarkedPlace | None = None
    """Where these are to arrive: a directory that is that place is not to be read. None: it has no mark."""

    def matches(self, entry: FileEntry) -> bool:
        """Do the filters take it, or anything in it? The place itself is meant whatever they say."""
        if not (self.filters and entry.path):
            return True
        return self.filters.enters(entry.path) if entry.kind == "d" else self.filters.takes(entry.path)

    def may_match_below(self, path: str) -> bool:
        """The same of a name that was not looked at yet."""
        return not self.filters or self.filters.takes(path) or self.filters.enters(path)


def entries(tree: Tree, meant: Selection) -> Iterator[FileEntry]:
    """Everything below the place, or below each selected path, once, as far as the filters take it. OSError
    if the place itself is not there; what goes away while it is being listed is not there either. HopError
    if the destination's mark shows that they overlap."""
    if meant.arrives:
        must_be_apart(tree, meant.arrives)
    walk = _Walk(tree, meant)
    if meant.selection is None:
        yield from walk.below(_entry(tree, "", tree.stat(""), replace(meant, symlinks="follow"), {}))
        return
    for path in _outermost(meant.selection):
        try:
            first = _entry(tree, path, tree.stat(path), meant, walk.names)
        except OSError as error:
            first = unreadable_entry(path, problem_of(error, tree.name(path)))
        if first and meant.matches(first):
            yield from walk.below(first)


def entries_at(tree: Tree, meant: Selection, path: str) -> FileEntry | None:
    """A directory, or a file that has just come to stand; None for what is not to be listed, or not by
    itself: a file with several names belongs beside the others."""
    if is_partial(path):
        return None
    names: LinkedNames = {}
    entry = _inspect(tree, path, meant, names)
    is_single = entry is not None and entry.kind in "fd" and not names
    return entry if entry and is_single and meant.matches(entry) else None


def is_partial(path: str) -> bool:
    """Is it something that a hop has not finished here, or in such a directory?"""
    return PARTIAL_PREFIX in path and any(name.startswith(PARTIAL_PREFIX) for name in path.split("/"))


def _outermost(selection: tuple[str, ...]) -> Iterator[str]:
    """Each path once, without those that lie below another."""
    chosen = set(selection)
    for path in dict.fromkeys(selection):
        names = path.split("/")
        if not any("/".join(names[:depth]) in chosen for depth in range(1, len(names))):
            yield path


def unreadable_entry(path: str, problem: Problem) -> FileEntry:
    return FileEntry("!", path, problem=problem)


InodeId = tuple[int, int]
"""Device and inode: which directory it is, whatever it is called."""


LinkedNames = dict[InodeId, str]
"""Files with several names, by the first of them."""
MAX_LINKED_NAMES = 200_000
"""So many are remembered, some 40 MB; what has more names than one beyond that is sent once for each."""


@dataclass(slots=True)
class _WalkedDirectory:
    entry: FileEntry
    within: "_WalkedDirectory | None" = None
    place: InodeId | None = None
    told: bool = False
    """Has its entry been given to whoever listens?"""

    def is_inside(self, place: InodeId) -> bool:
        """A link to a directory that it is in would go round for ever."""
        return self.within is not None and (self.within.place == place or self.within.is_inside(place))


class _Walk:
    """Goes down a tree, one directory after the other."""

    def __init__(self, tree: Tree, meant: Selection) -> None:
        self._tree = tree
        self._meant = meant
        self._only_some = bool(meant.filters.include)
        self.names: LinkedNames = {}

    def below(self, first: FileEntry | None) -> Iterator[FileEntry]:
        """What was named itself, and all that is in it."""
        if first is None:
            return
        if first.kind != "d":
            yield first
            return
        waiting = [_WalkedDirectory(first)]
        if not self._only_some:
            yield from _listed(waiting[0])
        while waiting:
            folder = waiting.pop()
            found: list[_WalkedDirectory] = []
            yield from self._in(folder, found)
            waiting += reversed(found)

    def _in(self, folder: _WalkedDirectory, found: list[_WalkedDirectory]) -> Iterator[FileEntry]:
        """A directory's own entries; `found` gets those to go on with. Where only some files are meant, they
        are told with the first file in them."""
        path = folder.entry.path
        try:
            descriptor = self._tree.open_directory(path)
            folder.place = _place(os.fstat(descriptor))
            names = os.listdir(descriptor)  # noqa: PTH208 - of a descriptor
        except OSError as error:
            if not (folder.within and isinstance(error, FileNotFoundError)):
                yield unreadable_entry(path, problem_of(error, self._tree.name(path)))
            return
        if self._is_destination(path):
            raise overlapping(self._tree.name(path))
        if folder.is_inside(folder.place):
            yield unreadable_entry(path, _endless(self._tree.name(path)))
            return
        names.sort()
        for name in names:
            entry = self._found(f"{path}/{name}" if path else name, name)
            if entry is None:
                continue
            if entry.kind != "d":
                yield from _listed(folder)
                yield entry
                continue
            found.append(_WalkedDirectory(entry, folder))
            if not self._only_some:
                yield from _listed(found[-1])

    def _is_destination(self, path: str) -> bool:
        """What may not be searched can neither be read nor removed."""
        if self._meant.arrives is None:
            return False
        try:
            return shows(self._tree, path, self._meant.arrives.mark)
        except OSError:
            return False

    def _found(self, path: str, name: str) -> FileEntry | None:
        """What is there; None for what is to be left out."""
        if name.startswith(PARTIAL_PREFIX) or not self._meant.may_match_below(path):
            return None
        entry = _inspect(self._tree, path, self._meant, self.names)
        return entry if entry and self._meant.matches(entry) else None


def _listed(folder: _WalkedDirectory) -> Iterator[FileEntry]:
    """The directory itself and those it is in, each once."""
    if not folder.told:
        if folder.within:
            yield from _listed(folder.within)
        folder.told = True
        yield folder.entry


def _inspect(tree: Tree, path: str, meant: Selection, names: LinkedNames) -> FileEntry | None:
    """None for what is to be left out, or has gone since its name was read."""
    try:
        found = tree.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return unreadable_entry(path, problem_of(error, tree.name(path)))
    try:
        return _entry(tree, path, found, meant, names)
    except OSError as error:  # a link may lead to nothing: that is worth a word
        return unreadable_entry(path, problem_of(error, tree.name(path)))


def _entry(
    tree: Tree, path: str, found: os.stat_result, meant: Selection, names: LinkedNames
) -> FileEntry | None:
    if stat.S_ISLNK(found.st_mode):
        if meant.symlinks == "skip":
            return None
        if meant.symlinks == "keep":
            owner = owner_of(found) if meant.owners else None
            return FileEntry("l", path, mtime_ns=found.st_mtime_ns, target=tree.readlink(path), owner=owner)
        found = _followed(tree, path)
    mode, owner = stat.S_IMODE(found.st_mode), owner_of(found) if meant.owners else None
    if stat.S_ISDIR(found.st_mode):
        return FileEntry("d", path, mtime_ns=found.st_mtime_ns, mode=mode, owner=owner)
    if stat.S_ISREG(found.st_mode):
        sparse = allocated_bytes(found) < found.st_size
        first = _first_name(path, found, names) if found.st_nlink > 1 else path
        target = "" if first == path else first
        return FileEntry("f", path, found.st_size, found.st_mtime_ns, mode, sparse, target, owner=owner)
    return unreadable_entry(path, _special(tree.name(path)))


def _first_name(path: str, found: os.stat_result, names: LinkedNames) -> str:
    """The path under which this very file was met first; those beyond `MAX_NAMES` are not remembered."""
    place = _place(found)
    return names.get(place, path) if len(names) >= MAX_LINKED_NAMES else names.setdefault(place, path)


def _followed(tree: Tree, path: str) -> os.stat_result:
    """Of what a link leads to, which is not opened: a FIFO's writer would take us for its reader."""
    descriptor = tree.open_followed(path, os.O_PATH)
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return found


def open_source(tree: Tree, path: str) -> int:
    """A file to read. A link is followed inside the root; OSError if it is no regular file."""
    try:
        descriptor = tree.open(path, READ_FLAGS)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        descriptor = tree.open_followed(path, READ_FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file any more")
    return descriptor


def remove_source(tree: Tree, entry: FileEntry) -> bool:
    """Remove a file, a link, or an empty directory; of one that has changed, or is not empty, nothing: False.
    OSError if it cannot be removed."""
    try:
        if entry.kind == "d":
            tree.remove_directory(entry.path)
            return True
        found = tree.stat(entry.path)
        if entry.kind == "f" and not entry.is_still(found):
            return False
        if stat.S_ISLNK(found.st_mode) != (entry.kind == "l"):
            return False
        if entry.kind == "l" and tree.readlink(entry.path) != entry.target:
            return False
        tree.unlink(entry.path)
    except FileNotFoundError:  # that is what was wanted
        return True
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        return False
    return True


def _place(found: os.stat_result) -> InodeId:
    return found.st_dev, found.st_ino


def _special(path: str) -> Problem:
    return Problem(
        code="special-file",
        message=f"{display_path(path)} is a device, a socket or a FIFO, which cannot be moved.",
        advice="Move it out of the source, or transfer the directories beside it.",
        path=display_path(path),
    )


def _endless(path: str) -> Problem:
    return Problem(
        code="link-loop",
        message=f"{display_path(path)} is a link to a directory that it is in.",
        advice="Transfer with --symlinks keep or skip.",
        path=display_path(path),
    )


def is_name(value: Any) -> bool:
    """Can a file system take it? Not every string is one of bytes."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def is_inside(path: Any) -> bool:
    """Is it the place itself, or a plain way down from it?"""
    if path == "":
        return True
    return is_name(path) and not {"", ".", ".."} & set(path.split("/"))
