"""What a moved source loses: each thing only if it is not the one that stands at the destination."""

from typing import Literal

from agent.errors import display_path
from agent.files.listing import FileEntry, remove_source
from agent.files.roots import Tree
from agent.files.same_place import is_same_entry, one_thing, shows, shows_beside
from events.base import Problem

Deletion = Literal["gone", "changed", "same"]
"""Not there any more; not removed, since it is no longer what was read; not removed, since it is what stands
at the destination."""


class SourceDeleter:
    """For the things of one question."""

    def __init__(self, tree: Tree, mark: str, name: str) -> None:
        """`mark` is in every directory where things have arrived; `name` is what the place itself is called
        there."""
        self._tree = tree
        self._mark = mark
        self._name = name
        self._looked_at: dict[str, bool] = {}
        """By directory: was the mark there?"""

    def clear(self, entry: FileEntry) -> Deletion:
        """Remove it, if it may be. OSError if it cannot be, or cannot be looked at."""
        if self._is_same(entry):
            return "same"
        is_gone = remove_source(self._tree, entry) or entry.kind == "d"  # it may have got something new
        return "gone" if is_gone else "changed"

    def _is_same(self, entry: FileEntry) -> bool:
        if entry.kind == "d":
            return shows(self._tree, entry.path, self._mark)
        folder = entry.path.rpartition("/")[0]
        if folder not in self._looked_at:
            self._looked_at[folder] = shows_beside(self._tree, entry.path, self._mark)
        if not self._looked_at[folder]:
            return False
        return bool(entry.path) or is_same_entry(self._tree, self._name)


def kept(tree: Tree, entry: FileEntry, cleared: Deletion) -> Problem | None:
    """Why a thing of this host stays; None if it is gone."""
    name = tree.name(entry.path)
    match cleared:
        case "gone":
            return None
        case "same":
            return one_thing(name)
        case "changed":
            words = f"{display_path(name)} changed after it was read, and stays at the source."
            return Problem(
                code="source-kept", message=words, advice="Move it again.", path=display_path(name)
            )


def shows_mark(tree: Tree, folder: str, mark: str) -> bool:
    """Is the mark in this directory of the source? Where that cannot be told it may be."""
    try:
        return shows(tree, folder, mark)
    except OSError:
        return True
