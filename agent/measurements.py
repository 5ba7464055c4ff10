"""Collect the metrics of an agent: what it does now, and what it has done since it started."""

import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent import VERSION
from agent.hops.commands import Commands, Lane
from agent.hops.journal import Journal
from agent.hops.manager import HopManager
from agent.metrics.families import Counter, Family, Point, gauge, gauges
from events.reports import RootState

_PROC = Path("/proc/self")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Measurements:
    """What is measured. Use it on the event loop, which owns the journal."""

    hops: HopManager
    commands: Commands
    journal: Journal
    lane: Lane
    connects: Counter
    """Connections to the broker since the start."""
    is_connected: Callable[[], bool]
    roots: Callable[[], tuple[RootState, ...]]
    """The roots as they were last examined, in a thread: a disk may be slow."""
    certificate_end: Callable[[], datetime | None]
    problems: Callable[[], int]
    """Number of the agent's own problems."""
    started_at: float
    """Seconds since 1970."""

    def families(self) -> Iterator[Family]:
        """Return all metrics as they are now. Raises sqlite3.Error."""
        about = (("version", VERSION),)
        yield Family("crosshaul_agent", "info", "What this agent is.", (Point(1, about),))
        yield from self._hops()
        yield from self.hops.totals.families()
        yield from self._connection()
        yield from self._roots()
        yield from process_families(self.started_at)

    def _hops(self) -> Iterator[Family]:
        states = {
            "moving": self.hops.running,
            "waiting": self.hops.totals.waiting,
            "paused": self.journal.count_paused(),
        }
        yield gauges("crosshaul_hops", "Hops that this agent carries out.", "state", states)
        yield gauge("crosshaul_served_hops", "Hops whose peer reads from this agent now.", self.lane.served)
        yield gauge(
            "crosshaul_oldest_waiting_hop_seconds",
            "How long the hop that waits longest has waited for its turn on this agent; 0 if none does.",
            self.hops.totals.oldest_wait_s(),
            "seconds",
        )
        yield gauge(
            "crosshaul_unsent_reports", "Reports that wait on the disk for the broker.", self.journal.unsent()
        )
        yield gauge(
            "crosshaul_journal_created_timestamp_seconds",
            "When the agent's journal was begun, in seconds since 1970.",
            self.journal.created_at(time.time()),
            "seconds",
        )

    def _connection(self) -> Iterator[Family]:
        yield gauge("crosshaul_connected", "1 while the broker is connected.", int(self.is_connected()))
        yield Family(
            "crosshaul_connects", "counter", "Connections to the broker.", self.connects.points([(0, ())])
        )
        yield Family(
            "crosshaul_commands_refused",
            "counter",
            "Commands that the agent has refused, by the code of the problem.",
            self.commands.refusals.points(),
        )
        if (age_s := self.commands.latest_age_s) is not None:
            yield gauge(
                "crosshaul_latest_command_age_seconds",
                "Age of the latest command when it arrived: its way, and the difference of the clocks.",
                age_s,
                "seconds",
            )
        if end := self.certificate_end():
            yield gauge(
                "crosshaul_certificate_end_timestamp_seconds",
                "When the device certificate expires, in seconds since 1970.",
                end.timestamp(),
                "seconds",
            )
        yield gauge("crosshaul_problems", "Problems of the agent itself, though it works.", self.problems())

    def _roots(self) -> Iterator[Family]:
        """Yield the room of roots, by their number in agent.toml: their paths are not to be told."""
        labels = [
            ((("root", str(number)), ("access", root.access)), root)
            for number, root in enumerate(self.roots(), 1)
        ]
        free = tuple(Point(root.free, label) for label, root in labels if root.free is not None)
        size = tuple(Point(root.size, label) for label, root in labels if root.size is not None)
        yield Family(
            "crosshaul_root_free_bytes", "gauge", "Free room of a root's file system.", free, "bytes"
        )
        yield Family("crosshaul_root_size_bytes", "gauge", "Size of a root's file system.", size, "bytes")


def process_families(started_at: float) -> Iterator[Family]:
    """Yield the usual metrics of a process, under their usual names."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield gauge(
        "process_start_time_seconds",
        "When the process started, in seconds since 1970.",
        started_at,
        "seconds",
    )
    yield Family(
        "process_cpu_seconds",
        "counter",
        "Processor time of the process.",
        (Point(usage.ru_utime + usage.ru_stime),),
        "seconds",
    )
    try:
        resident_pages = int((_PROC / "statm").read_text().split()[1])
        open_files = sum(1 for _ in (_PROC / "fd").iterdir())
    except OSError:
        return
    yield gauge(
        "process_resident_memory_bytes", "Memory of the process.", resident_pages * _PAGE_BYTES, "bytes"
    )
    yield gauge("process_open_fds", "Open file descriptors of the process.", open_files)
