"""Measure what a run costs: seconds, CPU seconds and memory of both ends, read from the kernel.

CPU time is that of the harness's children that ended during the run and their descendants (wait4), plus what
the processes that keep running (sshd, a lane's agent) and their descendants have used since the start
(/proc/PID/stat, including ended children). Memory is sampled ten times a second: for each end the sum of the
peak resident sizes of its processes (VmHWM).
"""

import contextlib
import os
import resource
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_INTERVAL_S = 0.1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class RunCost:
    """Cost of one run; memory in bytes: near is the end that was started for it, far the other."""

    seconds: float
    cpu_seconds: float
    near_memory: int
    far_memory: int


def below(roots: Iterable[int]) -> set[int]:
    """Return the processes `roots` and all their descendants."""
    parents = {pid: parent for pid in _pids() if (parent := _parent(pid)) is not None}
    found = {pid for pid in roots if pid in parents}
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found


def cpu_of(roots: Iterable[int]) -> float:
    """Return the CPU seconds of the processes `roots` and their descendants, including ended ones."""
    return sum(_cpu(pid) for pid in below(roots))


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - ten times a second


def _stat(pid: int) -> list[str]:
    """Return the fields after the name, which may contain any character: state, parent, …."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def _parent(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return int(_stat(pid)[1])
    return None


def _cpu(pid: int) -> float:
    with contextlib.suppress(OSError):
        return sum(int(ticks) for ticks in _stat(pid)[11:15]) / TICKS_PER_S
    return 0.0


def peak_of(pid: int) -> int:
    """Return the peak resident size in bytes; 0 if the process has ended."""
    with contextlib.suppress(OSError, IndexError):
        _, _, rest = Path(f"/proc/{pid}/status").read_text(errors="replace").partition("VmHWM:")
        return int(rest.split()[0]) * 1024
    return 0


@dataclass
class Meter:
    """Measures what runs within its block. `far` and `near` run already; `joined` adds a process."""

    far: list[int]
    near: list[int]
    cost: RunCost | None = None
    _peaks: dict[str, int] = field(default_factory=lambda: {"near": 0, "far": 0})
    _before: set[int] = field(default_factory=set)
    _strangers: set[int] = field(default_factory=set)
    _joined: list[int] = field(default_factory=list)
    _families: dict[int, str] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Meter":
        self._families = dict.fromkeys(self.near, "near") | dict.fromkeys(self.far, "far")
        self._before = set(_pids()) - below([*self.near, *self.far])
        self._strangers = set(self._before)
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        self._cpu = self._cpu_now()
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.monotonic() - self._began
        self._look()
        self._ended.set()
        self._sampler.join()
        cpu = self._cpu_now() - self._cpu
        self.cost = RunCost(seconds, cpu, self._peaks["near"], self._peaks["far"])

    def joined(self, pid: int) -> None:
        """Add a process that was started for the run, with its children, to the near end."""
        self._joined.append(pid)
        self._families[pid] = "near"
        self._strangers = self._before - {pid}

    def _cpu_now(self) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime + cpu_of([*self.near, *self.far, *self._joined])

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_INTERVAL_S):
            self._look()

    def _look(self) -> None:
        now = {"near": 0, "far": 0}
        for pid in sorted(set(_pids()) - self._strangers):
            family = self._families.get(pid) or self._families.get(_parent(pid) or 0)
            if family is None:
                self._strangers.add(pid)
                continue
            self._families[pid] = family
            now[family] += peak_of(pid)
        for family, size in now.items():
            self._peaks[family] = max(self._peaks[family], size)
