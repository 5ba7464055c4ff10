"""Tell a person about disks that are nearly full, from what heartbeats report anyway."""

from collections.abc import Iterable

from events.base import AgentId
from events.reports import RootState
from lambdas.telemetry import ROOT_FREE, ROOTS_NEARLY_FULL, count, logger, measure


class FreeRoom:
    """Watches the free room of writable roots. It reads and writes no table."""

    def __init__(self, percent: int) -> None:
        """`percent`: share of a disk that must be free."""
        self._percent = percent

    def check(self, agent_id: AgentId, roots: Iterable[RootState]) -> None:
        """Count and log roots whose disk has less free room; the log says which agent's."""
        for root in roots:
            if root.access == "ro" or root.free is None or not root.size:
                continue
            if root.free * 100 < root.size * self._percent:
                keys = {"agent_id": agent_id, "root": root.path, "free": root.free, "size": root.size}
                logger.warning("root is nearly full", extra=keys)
                count(ROOTS_NEARLY_FULL)
                measure(ROOT_FREE, root.free * 100 / root.size, "Percent")
