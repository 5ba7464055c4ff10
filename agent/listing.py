"""What lies below a place: one entry for each thing, in an order that keeps a directory's files together.

It is read as it goes, so a million files do not fill the memory; only one directory's names are held.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agent.errors import problem_of, shown
from agent.roots import Tree
from events.base import Problem

Symlinks = Literal["keep", "skip", "follow"]
Kind = Literal["f", "d", "l", "!"]
"""File, directory, symbolic link; `!` is something that cannot be moved, with the reason."""

HALF_DONE = ".crosshaul-"
"""How the names begin of what a hop has not finished here."""
READ = os.O_RDONLY | os.O_NONBLOCK
"""Not to wait for a FIFO's other end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing; `path` is relative to the place, '' is the place itself."""

    kind: Kind
    path: str
    size: int = 0
    mtime_ns: int = 0
    mode: int = 0
    """Permission bits."""
    sparse: bool = False
    target: str = ""
    """Of a link."""
    problem: Problem | None = None


def entries(tree: Tree, symlinks: Symlinks, selection: tuple[str, ...] | None) -> Iterator[Entry]:
    """Everything below the place, or below each selected path, once. OSError if the place itself is not
    there; what goes away while it is being listed is not there either."""
    if selection is None:
        yield from _all(tree, _entry(tree, "", tree.stat(""), "follow"), symlinks)
        return
    for path in _outermost(selection):
        try:
            first = _entry(tree, path, tree.stat(path), symlinks)
        except OSError as error:
            first = broken(path, problem_of(error, tree.name(path)))
        yield from _all(tree, first, symlinks)


def _outermost(selection: tuple[str, ...]) -> Iterator[str]:
    """Each path once, without those that lie below another."""
    chosen = set(selection)
    for path in dict.fromkeys(selection):
        names = path.split("/")
        if not any("/".join(names[:depth]) in chosen for depth in range(1, len(names))):
            yield path


def broken(path: str, problem: Problem) -> Entry:
    return Entry("!", path, problem=problem)


Place = tuple[int, int]
"""Device and inode: which directory it is, whatever it is called."""


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    above: tuple[Place, ...]
    """The directories it lies in: a link to one of them would go round for ever."""


def _all(tree: Tree, first: Entry | None, symlinks: Symlinks) -> Iterator[Entry]:
    if first is None:
        return
    yield first
    waiting = [_Folder(first.path, ())] if first.kind == "d" else []
    while waiting:
        folder = waiting.pop()
        below: list[_Folder] = []
        yield from _in(tree, folder, symlinks, below)
        waiting += reversed(below)


def _in(tree: Tree, folder: _Folder, symlinks: Symlinks, below: list[_Folder]) -> Iterator[Entry]:
    """A directory's own entries; `below` gets those to go on with."""
    try:
        descriptor = tree.folder(folder.path)
        here = _place(os.fstat(descriptor))
        names = os.listdir(descriptor)  # noqa: PTH208 - of a descriptor
    except OSError as error:
        if not (folder.above and isinstance(error, FileNotFoundError)):
            yield broken(folder.path, problem_of(error, tree.name(folder.path)))
        return
    if here in folder.above:
        yield broken(folder.path, _endless(tree.name(folder.path)))
        return
    above = (*folder.above, here)
    names.sort()
    for name in names:
        path = f"{folder.path}/{name}" if folder.path else name
        entry = None if name.startswith(HALF_DONE) else _looked_at(tree, path, symlinks)
        if entry:
            yield entry
            if entry.kind == "d":
                below.append(_Folder(path, above))


def _looked_at(tree: Tree, path: str, symlinks: Symlinks) -> Entry | None:
    """None for what is to be left out, or has gone since its name was read."""
    try:
        found = tree.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return broken(path, problem_of(error, tree.name(path)))
    try:
        return _entry(tree, path, found, symlinks)
    except OSError as error:  # a link may lead to nothing: that is worth a word
        return broken(path, problem_of(error, tree.name(path)))


def _entry(tree: Tree, path: str, found: os.stat_result, symlinks: Symlinks) -> Entry | None:
    if stat.S_ISLNK(found.st_mode):
        if symlinks == "skip":
            return None
        if symlinks == "keep":
            return Entry("l", path, mtime_ns=found.st_mtime_ns, target=tree.readlink(path))
        found = _followed(tree, path)
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISDIR(found.st_mode):
        return Entry("d", path, mtime_ns=found.st_mtime_ns, mode=mode)
    if stat.S_ISREG(found.st_mode):
        sparse = found.st_blocks * 512 < found.st_size
        return Entry("f", path, found.st_size, found.st_mtime_ns, mode, sparse)
    return broken(path, _special(tree.name(path)))


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
        descriptor = tree.open(path, READ)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        descriptor = tree.open_followed(path, READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file any more")
    return descriptor


def _place(found: os.stat_result) -> Place:
    return found.st_dev, found.st_ino


def _special(path: str) -> Problem:
    return Problem(
        code="special-file",
        message=f"{shown(path)} is a device, a socket or a FIFO, which cannot be moved.",
        advice="Move it out of the source, or transfer the directories beside it.",
        path=shown(path),
    )


def _endless(path: str) -> Problem:
    return Problem(
        code="link-loop",
        message=f"{shown(path)} is a link to a directory that it is in.",
        advice="Transfer with --symlinks keep or skip.",
        path=shown(path),
    )
