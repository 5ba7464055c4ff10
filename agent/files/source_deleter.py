"""Delete what was moved at its source, unless it is the same file as at the destination."""

from typing import Literal

from agent.files.listing import FileEntry, OwnChanges, remove_source
from agent.files.roots import Tree
from agent.files.same_place import is_same_entry, shows, shows_in_parent
from agent.problems import LOCAL_SOURCE_KEPT_CHANGED, SAME_FILE
from events.base import Problem

Deletion = Literal["gone", "changed", "same"]
"""Deleted or gone; kept, as it has changed since it was read; kept, as it is the destination's file."""


class SourceDeleter:
    """Deletes the entries of one request."""

    def __init__(self, tree: Tree, mark: str, name: str, own_changes: OwnChanges) -> None:
        """Create a deleter.

        `mark` is in every directory where files have arrived; `name` is the location's own name there;
        `own_changes` are those of all requests of the hop.
        """
        self._tree = tree
        self._mark = mark
        self._name = name
        self._own_changes = own_changes
        self._has_mark: dict[str, bool] = {}
        """By directory: whether the mark is in it."""

    def delete_if_safe(self, entry: FileEntry) -> Deletion:
        """Delete an entry if that is safe.

        Raises OSError if it cannot be deleted or examined.
        """
        if self._is_same(entry):
            return "same"
        is_gone = (
            remove_source(self._tree, entry, self._own_changes) or entry.kind == "d"
        )  # it may have new content
        return "gone" if is_gone else "changed"

    def _is_same(self, entry: FileEntry) -> bool:
        if entry.kind == "d":
            return shows(self._tree, entry.path, self._mark)
        directory = entry.path.rpartition("/")[0]
        if directory not in self._has_mark:
            self._has_mark[directory] = shows_in_parent(self._tree, entry.path, self._mark)
        if not self._has_mark[directory]:
            return False
        return bool(entry.path) or is_same_entry(self._tree, self._name)


def kept_problem(tree: Tree, entry: FileEntry, deletion: Deletion) -> Problem | None:
    """Return the problem to report for an entry that stays on this host; None if it is gone."""
    name = tree.name(entry.path)
    match deletion:
        case "gone":
            return None
        case "same":
            return SAME_FILE.problem(path=name)
        case "changed":
            return LOCAL_SOURCE_KEPT_CHANGED.problem(path=name)


def may_have_mark(tree: Tree, directory: str, mark: str) -> bool:
    """Return whether the mark is in this directory of the source, or may be, if that cannot be determined."""
    try:
        return shows(tree, directory, mark)
    except OSError:
        return True
