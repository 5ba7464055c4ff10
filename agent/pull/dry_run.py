"""The report of a dry run: what a hop would do."""

import threading
from collections import Counter, defaultdict

from agent.errors import display_path
from agent.files.listing import FileEntry
from agent.pull.comparison import Comparison
from agent.pull.progress import countable
from events.base import Problem
from events.progress import SpaceShortage
from events.reports import MAX_EXAMPLES, Amount, DryRunResult
from events.sizes import json_bytes

MAX_EXAMPLE_BYTES = 8 * 1024
"""Bytes of examples per kind, as JSON: the whole result must fit into one report."""
_KINDS = {
    Comparison.MISSING: "sent",
    Comparison.DIFFERENT: "replaced",
    Comparison.SKIP: "kept",
    Comparison.IDENTICAL: "unchanged",
    Comparison.ALREADY_SENT: "unchanged",
}
"""The kind of amount in a `DryRunResult`, by the comparison of a file."""


class DryRunReport:
    """Counts files and bytes by what would become of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)
        self._example_bytes: Counter[str] = Counter()

    def note(self, entry: FileEntry, comparison: Comparison) -> None:
        """Count a file by its comparison with the destination, one that is a key of `_KINDS`."""
        self._add(_KINDS[comparison], entry)

    def removed(self, entry: FileEntry) -> None:
        self._add("removed", entry)

    def failed(self, entry: FileEntry, problem: Problem) -> None:
        """Count a file that would fail, and keep the problem as an example."""
        self._add("failed", entry, problem.message)

    def preview(self, space_shortage: SpaceShortage | None = None) -> DryRunResult:
        """Return the result so far, with the space that the destination lacks, if any."""
        with self._lock:
            amounts = {
                kind: Amount(files=files, bytes=countable(self._bytes[kind]))
                for kind, files in self._files.items()
            }
            examples = {kind: tuple(names) for kind, names in self._examples.items()}
            return DryRunResult.model_validate(
                amounts | {"examples": examples, "space_shortage": space_shortage}
            )

    def _add(self, kind: str, entry: FileEntry, text: str | None = None) -> None:
        with self._lock:
            self._files[kind] += 1
            self._bytes[kind] += entry.size
            name = text or display_path(entry.path)
            if kind != "unchanged" and name:  # a source that is one file has no path within itself
                self._add_example(kind, name)

    def _add_example(self, kind: str, text: str) -> None:
        if len(self._examples[kind]) >= MAX_EXAMPLES or self._example_bytes[kind] >= MAX_EXAMPLE_BYTES:
            return
        self._example_bytes[kind] += json_bytes(text)
        if self._example_bytes[kind] < MAX_EXAMPLE_BYTES:
            self._examples[kind].append(text)
