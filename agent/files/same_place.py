"""Whether two directories are one, whatever they are called and whoever looks: one side makes a mark in its
own, the other looks for it.

A name, or device and inode, do not tell: one disk may be mounted at two servers, in two containers, or twice
on one host. A mark is an empty file of a random name, made anew for each question: no host can have it, or
that it is missing, in a cache.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import HopError, display_path
from agent.files.roots import Tree
from events.base import Problem

MARK_PREFIX = ".crosshaul-mark-"
_MARK = re.compile(r"\.crosshaul-mark-[0-9a-f]{32}")


def new_mark() -> str:
    return f"{MARK_PREFIX}{os.urandom(16).hex()}"


def is_mark(name: object) -> bool:
    """Could a peer ask for it? For no other name is anything looked up."""
    return isinstance(name, str) and _MARK.fullmatch(name) is not None


def shows(tree: Tree, folder: str, mark: str) -> bool:
    """Is the mark in this directory below the place? OSError."""
    return _is_there(lambda: tree.stat(f"{folder}/{mark}" if folder else mark))


def shows_beside(tree: Tree, path: str, mark: str) -> bool:
    """Is the mark in the directory that this thing is in? OSError."""
    return _is_there(lambda: tree.stat_beside(path, mark))


def _is_there(look: Callable[[], os.stat_result]) -> bool:
    try:
        look()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_same_entry(tree: Tree, name: str) -> bool:
    """Is the place itself, in a directory that shows the destination's mark, what goes by `name` there? Two
    names in the directory's listing are two things, though they may be one file. OSError."""
    own = tree.path.rpartition("/")[2]
    return own == name or not {own, name} <= set(tree.names_beside())


@dataclass(frozen=True)
class MarkedPlace:
    """Where things are to arrive, for their source to know it again."""

    mark: str
    """In the place's directory, or the first one above it that is there."""
    above: str
    """The names from the destination's root down to that directory."""
    below: str
    """And from there down to the place; empty: it is the place."""


def overlaps(tree: Tree, place: MarkedPlace) -> bool:
    """Does the source lie in the destination, the destination in the source, or are they the same?

    Where the destination lies in the source by a way that it does not know itself, by a mount, only whoever
    walks through the source finds the mark. OSError.
    """
    own = tree.real_path()
    names = _names(place.above)
    if any(shows(tree, "/".join(names[start:]), place.mark) for start in range(len(names) + 1)):
        return True
    above = own
    while True:
        if os.path.lexists(f"{above.rstrip('/')}/{place.mark}"):
            inner = _names(own[len(above) :])
            arrives = _names(place.below)
            shorter = min(len(inner), len(arrives))
            return inner[:shorter] == arrives[:shorter]
        if above in {"", "/"}:
            return False
        above = above.rpartition("/")[0] or "/"


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def must_be_apart(tree: Tree, place: MarkedPlace) -> None:
    """HopError if the two places overlap; OSError."""
    if overlaps(tree, place):
        raise overlapping(tree.path)


def overlapping(place: str) -> HopError:
    return HopError(
        Problem(
            code="same-place",
            message=f"{display_path(place)} and the destination are one place under two names, or one lies "
            "in the other.",
            advice="Name a place to arrive at that lies outside the source. See whether links or mounts lead "
            "from one to the other, or both servers have the same disk.",
            path=display_path(place),
        )
    )


def not_extra(place: object) -> HopError:
    return HopError(
        Problem(
            code="same-place",
            message=f"What would be removed at {place} as extra lies in the source, too: they share a "
            "directory under two names. Nothing was removed.",
            advice="Leave out delete_extra, or name places that share nothing. See which links or mounts "
            "lead from one to the other.",
        )
    )


def one_thing(path: str) -> Problem:
    """Why a file is not removed at the source."""
    name = display_path(path)
    return Problem(
        code="same-place",
        message=f"{name} stays at the source: what stands at the destination is the very same file, or lies "
        "in the same directory under another name.",
        advice="Nothing, if it is to be there: it is. Else see which links or mounts lead from one to the "
        "other.",
        path=name,
    )


def unproven(path: str, why: str) -> Problem:
    name = display_path(path)
    return Problem(
        code="source-kept",
        message=f"{name} stays at the source: {why}.",
        advice="See what stands at the destination, then move it again.",
        path=name,
    )
