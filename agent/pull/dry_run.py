"""A dry run: what a hop would do, counted instead of done."""

import threading
from collections import Counter, defaultdict

from agent.errors import display_path
from agent.files.listing import FileEntry
from agent.report_limits import json_size
from events.base import Problem
from events.progress import SpaceShortage
from events.reports import MAX_EXAMPLES, Amount, DryRunResult

MAX_EXAMPLE_BYTES = 8 * 1024
"""Bytes of examples of each kind, as JSON: the whole has to fit into one report."""
_KINDS = {"new": "sent", "differs": "replaced", "kept": "kept", "same": "unchanged", "ours": "unchanged"}
"""By the verdict on a file."""


class DryRunReport:
    """Told from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)
        self._room: Counter[str] = Counter()

    def note(self, entry: FileEntry, verdict: str) -> None:
        """A verdict of `Landing`'s, or one of `store_compare`'s."""
        self._add(_KINDS[verdict], entry)

    def removed(self, entry: FileEntry) -> None:
        self._add("removed", entry)

    def failed(self, entry: FileEntry, problem: Problem) -> None:
        """This would not arrive, and why."""
        self._add("failed", entry, problem.message)

    def preview(self, short: SpaceShortage | None = None) -> DryRunResult:
        """`short` of room, if it would be."""
        with self._lock:
            amounts = {
                kind: Amount(files=files, bytes=self._bytes[kind]) for kind, files in self._files.items()
            }
            examples = {kind: tuple(names) for kind, names in self._examples.items()}
            return DryRunResult.model_validate(amounts | {"examples": examples, "space_shortage": short})

    def _add(self, kind: str, entry: FileEntry, words: str | None = None) -> None:
        with self._lock:
            self._files[kind] += 1
            self._bytes[kind] += entry.size
            name = words or display_path(entry.path)
            if kind != "unchanged" and name:  # a source that is one file has no path within itself
                self._name(kind, name)

    def _name(self, kind: str, words: str) -> None:
        if len(self._examples[kind]) >= MAX_EXAMPLES or self._room[kind] >= MAX_EXAMPLE_BYTES:
            return
        self._room[kind] += json_size(words)
        if self._room[kind] < MAX_EXAMPLE_BYTES:
            self._examples[kind].append(words)
