"""A hop to S3 or a remote: rclone uploads what this agent reads to it.

rclone is given no path of this host. It asks for each file on loopback, so every name is resolved inside its
root by the agent itself, as on the lane, and the digest is taken of the very bytes that are uploaded.
"""

import logging
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import IO

from agent.digests import HopDigest
from agent.errors import HopError, problem_of, shown
from agent.listing import Entry, entries
from agent.movers.base import Host, Outcome, Tally, Watcher, batches, in_thread, meant_by
from agent.movers.failures import Failures
from agent.movers.hand import StoppedError
from agent.movers.ledger import Ledger, ledger_path
from agent.movers.limiter import limiter_for
from agent.movers.program import Program
from agent.movers.s3_words import said
from agent.movers.shelf import Shelf
from agent.movers.source import LostError
from agent.movers.store import Store
from agent.roots import Tree
from events.base import Problem
from events.commands import Move
from events.locations import AgentLocation, base_name, inner_path
from events.progress import Way

log = logging.getLogger(__name__)

AT_ONCE = 500
"""Listed files that go into the ledger together."""
LAST = 1000
"""Lines of what rclone says that are kept."""
_OVERWRITE = {"always": (), "newer": ("--update",), "never": ("--ignore-existing",), "fail": ("--immutable",)}


class StorePush:
    def __init__(self, host: Host, store: Callable[[], Store]) -> None:
        """`store` is asked for once the hop begins: HopError."""
        self._host = host
        self._store = store

    async def move(self, order: Move, tally: Tally, watcher: Watcher) -> Outcome:
        upload = _Upload(self._host, self._store(), order, tally, watcher)
        return await in_thread(upload.run, upload.stop)

    async def discard(self, order: Move) -> None:
        """An object stands whole or not at all; rclone aborts the uploads it has begun when it is ended."""


class _Upload:
    def __init__(
        self,
        host: Host,
        store: Store,
        order: Move,
        tally: Tally,
        watcher: Watcher,
    ) -> None:
        if not isinstance(order.source, AgentLocation):
            raise TypeError(f"{order.hop_id} does not go from this host")
        self._source, self._destination = order.source, store.place
        self._host = host
        self._store = store
        self._order = order
        self._tally = tally
        self._watcher = watcher
        self._stopped = threading.Event()
        self._rclone: Program | None = None
        self._single = False
        """Is the source a file?"""
        self._ledger = Ledger(ledger_path(host.state, order.hop_id))
        self._failures = Failures(self._ledger)

    def stop(self) -> None:
        self._stopped.set()
        if self._rclone:
            self._rclone.interrupt()

    def run(self) -> Outcome:
        """HopError, or StoppedError after `stop`."""
        try:
            self._ledger.begin(str(self._destination), anew=True)  # what is there is rclone's to compare
            with tempfile.TemporaryFile(dir=self._host.state) as names:
                self._list(names)
                names.seek(0)
                self._copy(names)
            return self._finish()
        finally:
            self._host.account(self._ledger, self._order)

    def _tree(self) -> Tree:
        return self._host.roots.tree(self._source.path, writing=False)

    # --- listing ---

    def _list(self, names: IO[bytes]) -> None:
        """Note every file, and write its name where rclone reads it."""
        size = files = 0
        with self._tree() as tree:
            self._single = self._is_file(tree)
            for batch in batches(self._found(tree), AT_ONCE):
                self._ledger.begun(batch)
                names.writelines(self._line(entry) for entry in batch)
                size, files = size + sum(entry.size for entry in batch), files + len(batch)
        self._tally.total(size, files)

    def _is_file(self, tree: Tree) -> bool:
        try:
            tree.folder("")
        except NotADirectoryError:
            return True
        except OSError as error:
            raise HopError(problem_of(error, self._source.path)) from error
        return False

    def _found(self, tree: Tree) -> Iterator[Entry]:
        """The files; what the store cannot hold has failed."""
        try:
            for entry in entries(tree, meant_by(self._order)):
                if self._stopped.is_set():
                    raise StoppedError
                if entry.kind == "f" and "\n" not in entry.path:
                    yield entry
                elif entry.kind != "d":
                    self._failures.add(
                        entry.problem or self._not_for(tree.name(entry.path), entry.kind), entry
                    )
        except OSError as error:
            raise HopError(problem_of(error, self._source.path)) from error

    def _line(self, entry: Entry) -> bytes:
        name = entry.path or base_name(self._destination)
        return name.encode("utf-8", "surrogateescape") + b"\n"

    # --- uploading ---

    def _copy(self, names: IO[bytes]) -> None:
        with (
            closing(self._store.begin()) as self._rclone,
            closing(self._shelf()) as shelf,
        ):
            if self._stopped.is_set():
                raise StoppedError
            self._check(self._rclone)
            self._watcher.started(Way(kind=self._store.kind))
            process = self._rclone.start(
                "copy",
                "shelf:",
                self._target(),
                "--files-from-raw=-",
                "--no-traverse",
                "--multi-thread-streams=0",
                "--transfers=4",
                *self._comparing(self._rclone),
                stdin=names,
                RCLONE_CONFIG_SHELF_TYPE="http",
                RCLONE_CONFIG_SHELF_URL=shelf.url,
                RCLONE_USE_SERVER_MODTIME="false",
            )
            errors = list(deque(process.stderr or [], maxlen=LAST))
            code = self._rclone.ended(process)
            if self._stopped.is_set():
                raise StoppedError
            if code:
                self._explain(errors)

    def _comparing(self, rclone: Program) -> tuple[str, ...]:
        """What rclone is to do with a file that is there already: none that may differ is the same."""
        overwrite = self._order.options.overwrite
        unsure = overwrite in {"always", "fail"} and not self._store.keeps_times(rclone)
        return (*_OVERWRITE[overwrite], "--ignore-times") if unsure else _OVERWRITE[overwrite]

    def _check(self, rclone: Program) -> None:
        try:
            rclone.check()
        except LostError as lost:
            raise self._final(lost) from lost

    def _shelf(self) -> Shelf:
        limiter = limiter_for(self._order.options, self._host.line, self._stopped)
        single = base_name(self._destination) if self._single else None
        return Shelf(self._tree, self._ledger, limiter, self._tally, self._failures, single)

    def _target(self) -> str:
        """The directory, in rclone's words: of a single file the one it is to stand in."""
        path = inner_path(self._destination)
        return self._store.directory(path.rpartition("/")[0] if self._single else path)

    def _explain(self, errors: list[bytes]) -> None:
        """Of single files in the list of failures; HopError for what is about none of them."""
        if self._rclone and (refusal := self._rclone.refusal):
            raise self._final(refusal)
        about = {path: words for words, path in said(errors) if path}
        for path, words in about.items():
            name = str(self._destination) if self._single else f"{self._destination}{path}"
            entry = Entry("f", "" if self._single else path)
            self._failures.add(self._problem(words, name), entry)
            self._ledger.drop(entry.path)
        if not self._failures.total:
            words = " ".join(words for words, _ in said(errors))
            raise HopError(self._problem(words, self._destination))

    def _problem(self, words: str, place: object) -> Problem:
        return self._store.known_problem(words, place) or self._store.passing_problem(words, place)

    def _final(self, error: Exception) -> HopError:
        """A push has no second way: what would be waited for ends the attempt, to be tried again."""
        if isinstance(error, HopError):
            return error
        return HopError(self._store.passing_problem(str(error), "the upload"))

    def _not_for(self, name: str, kind: str) -> Problem:
        if kind == "l":
            message = f"is a symbolic link, which {self._store.name} cannot hold"
            advice = "Choose --symlinks follow or skip."
        else:
            message, advice = "has a line break in its name", "Rename it."
        code = f"not-for-{self._store.kind}"
        return Problem(code=code, message=f"{shown(name)} {message}.", advice=advice, path=shown(name))

    def _finish(self) -> Outcome:
        """Files that rclone did not ask for stood there already, unless they failed."""
        total, arrived = HopDigest(), 0
        for one in self._ledger.standing():
            total.add("f", one.path, one.size, one.digest)
            arrived += 1
        for batch in batches(self._ledger.half_done(), AT_ONCE):
            self._ledger.unchanged(batch)
            for entry in batch:
                self._tally.unchanged(entry.size)
        if self._failures.total:
            raise self._failures.summed(arrived)
        return Outcome(total.hex())
