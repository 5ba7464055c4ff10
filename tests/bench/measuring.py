"""What a run costs: seconds, processor seconds and memory of both ends, read from the kernel.

Processor time is that of the harness's children that ended meanwhile, and of everything below them (wait4),
plus what the processes that go on running (sshd, a lane's agent) and all below them have used since the
beginning (/proc/PID/stat, their own and that of their ended children). Memory is looked at ten times a
second: for each end the sum, over its processes, of the largest resident size that each has had (VmHWM).
"""

import contextlib
import os
import resource
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

EVERY = 0.1
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Of one run; memory in bytes: of the end that was started for it (near), and of the other."""

    seconds: float
    cpu_seconds: float
    near_memory: int
    far_memory: int


def below(roots: Iterable[int]) -> set[int]:
    """The processes `roots`, and all that descend from them."""
    parents = {pid: parent for pid in _pids() if (parent := _parent(pid)) is not None}
    found = {pid for pid in roots if pid in parents}
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found


def cpu_of(roots: Iterable[int]) -> float:
    """Processor seconds of the processes `roots`, of what runs below them and of what has ended there."""
    return sum(_cpu(pid) for pid in below(roots))


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - ten times a second


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold anything: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def _parent(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return int(_stat(pid)[1])
    return None


def _cpu(pid: int) -> float:
    with contextlib.suppress(OSError):
        return sum(int(ticks) for ticks in _stat(pid)[11:15]) / TICK
    return 0.0


def peak_of(pid: int) -> int:
    """Bytes of the largest resident size so far; 0 if the process has gone."""
    with contextlib.suppress(OSError, IndexError):
        _, _, rest = Path(f"/proc/{pid}/status").read_text(errors="replace").partition("VmHWM:")
        return int(rest.split()[0]) * 1024
    return 0


@dataclass
class Meter:
    """Measures what is done within it. `far` and `near` run already; `joined` adds another process."""

    far: list[int]
    near: list[int]
    cost: Cost | None = None
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
        self.cost = Cost(seconds, cpu, self._peaks["near"], self._peaks["far"])

    def joined(self, pid: int) -> None:
        """This process was started for the run: it is the near end. It may have children already."""
        self._joined.append(pid)
        self._families[pid] = "near"
        self._strangers = self._before - {pid}

    def _cpu_now(self) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime + cpu_of([*self.near, *self.far, *self._joined])

    def _sample(self) -> None:
        while not self._ended.wait(EVERY):
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
