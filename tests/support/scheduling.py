"""Distribute test files over the workers of pytest-xdist so that all cores are busy from start to end.

End-to-end tests mostly wait and the others mostly compute, so both kinds run side by side. Each worker that
runs end-to-end tests deploys a cloud of its own, so only some workers do. Tests of the stacks all run in one
worker, for the same reason: each would start the CDK's kernel and synthesize both stages.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

E2E_WORKERS = 3
"""Workers that run end-to-end tests, as long as there are any."""
ONE_WORKER = "tests/unit/infra"
"""Folder whose files one worker runs."""
LONGEST_FIRST = (
    "tests/e2e/test_campaign.py",
    "tests/e2e/test_updates.py",
    "tests/e2e/test_rotation.py",
    "tests/e2e/test_console_walk.py",
    "tests/e2e/test_console.py",
    "tests/e2e/test_interrupted.py",
    "tests/e2e/test_throttled.py",
    "tests/e2e/test_console_pages.py",
    "tests/e2e/test_console_updates.py",
    "tests/e2e/test_adversary.py",
    ONE_WORKER,
    "tests/unit/agent/pull/test_many_files.py",
    "tests/unit/agent/updating/test_install_root.py",
    "tests/unit/test_decoders.py",
    "tests/unit/agent/pull/test_random_faults.py",
    "tests/unit/agent/pull/test_pull_lane.py",
    "tests/unit/lambdas/test_any_event.py",
)
"""Files that take longest. They start first, so that none is left over at the end, when others idle."""


def is_e2e(path: str) -> bool:
    return PurePosixPath(path).parts[1] == "e2e"


def unit_of(nodeid: str) -> str:
    """Return what is handed out with a test: its file, or the folder that one worker runs."""
    path = nodeid.partition("::")[0]
    return ONE_WORKER if path.startswith(f"{ONE_WORKER}/") else path


def longest_first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests in the order in which their files are handed out; within a file it stays."""
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    return sorted(items, key=lambda item: rank.get(unit_of(item.nodeid), len(rank)))


class Scheduling(LoadFileScheduling):
    """Hands out whole files: end-to-end tests to the first workers, and others to any worker without."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if (path := self._next_for(node)) is None:
            node.shutdown()
            return
        self.workqueue.move_to_end(path, last=False)
        super()._assign_work_unit(node)

    def _next_for(self, node: WorkerController) -> str | None:
        """Return the next file that the worker may run; None if only end-to-end tests are left for others."""
        may_run_e2e = int(node.gateway.id.removeprefix("gw")) < E2E_WORKERS
        return next(
            (path for path in self.workqueue if is_e2e(path) and may_run_e2e),
            next((path for path in self.workqueue if not is_e2e(path)), None),
        )
