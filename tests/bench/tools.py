"""The harness's interface to a tool: how to prepare and start it, and what it can do."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.bench.bucket import ObjectFolder


class FailedError(Exception):
    """The tool failed; the message has its output."""


@dataclass(frozen=True)
class Job:
    """The job of one run: make `destination` hold what `source` holds."""

    source: Path
    destination: Path
    scratch: Path
    """Folder for keys and configuration, new for each run."""
    dial: Callable[[int], int]
    """Returns the port to dial instead of the given one: the emulated network's, if the case has one."""
    address: str = "127.0.0.1"
    """Of the far end."""
    near_address: str = "127.0.0.1"
    at_far: Callable[[list[str]], list[str]] = list
    """Returns the command that runs the given one at the far end."""
    one_file: bool = False
    compares: bool = False
    """Whether most files are at the destination already."""
    resumes: bool = False
    """Whether the tool will be interrupted and must resume."""
    bucket: ObjectFolder | None = None
    """What takes the place of `source` or `destination`, if the case has one."""


class RunningTool(Protocol):
    pid: int

    def wait(self, seconds: float) -> None:
        """Wait for the end.

        Raises:
            FailedError: The tool failed.
            TimeoutError: It was not done within `seconds` and was killed.
        """

    def kill(self) -> None:
        """Kill the tool, like a power cut."""


class ToolSession(Protocol):
    """A tool prepared for one job."""

    command: str
    far: list[int]
    near: list[int]

    def start(self) -> RunningTool: ...


@dataclass(frozen=True)
class Tool:
    """A tool of the benchmark and its abilities."""

    name: str
    prepare: Callable[[Job], AbstractContextManager[ToolSession]]
    programs: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    """Names that the tool leaves in the folders."""
    compares: bool = True
    """Whether it skips unchanged files."""
    uses_network: bool = True
    """Whether it uses a connection that the emulated network can intercept."""
    many: bool = True
    """Whether it can move trees, not only one file."""
    lines_only: bool = False
    """Whether only a line between two namespaces shows what it does."""
    uses_bucket: bool = False
    """Whether it copies between a directory and a bucket, instead of between two directories."""

    def lacks(self) -> str | None:
        """Return why it cannot run on this machine, or None."""
        missing = [program for program in self.programs if find(program) is None]
        return f"{', '.join(missing)} is not installed (infra/local/setup.sh bench)" if missing else None


def find(program: str) -> str | None:
    """Find a program on the PATH, in /usr/sbin or in this Python environment."""
    import sys

    beside = str(Path(sys.executable).parent)
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", beside]))


class Process:
    """A process that was started for a run, with its descendants."""

    def __init__(
        self, argv: list[str], environment: Mapping[str, str] | None = None, log: Path | None = None
    ) -> None:
        self._log = log
        stream = log.open("wb") if log else subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(
                argv,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        finally:
            if log:
                stream.close()
        self.pid = self._process.pid

    def wait(self, seconds: float) -> None:
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"it was not done after {seconds:.0f} s") from None
        if code:
            raise FailedError(f"exit code {code}: {self._output_tail()}")

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def end(self, timeout_s: float = 10) -> None:
        """Send SIGTERM, and SIGKILL after `timeout_s` seconds."""
        self._signal(signal.SIGTERM, timeout_s)
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals, timeout_s: float | None = None) -> None:
        if self._process.poll() is None:
            os.killpg(self.pid, number)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return

    def alive(self) -> bool:
        return self._process.poll() is None

    def _output_tail(self) -> str:
        return self._log.read_text(errors="replace").strip()[-300:] if self._log else ""


@dataclass
class CommandSession:
    """A session of a tool that is one command."""

    argv: list[str]
    command: str
    log: Path
    far: list[int] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=dict)
    near: list[int] = field(default_factory=list)

    def start(self) -> RunningTool:
        return Process(self.argv, self.environment, self.log)


def as_shown(argv: list[str], job: Job) -> str:
    """Return the command for the report, without paths and ports of this machine."""
    import re

    words = " ".join(argv)
    for path, name in ((job.source, "SOURCE"), (job.destination, "DESTINATION"), (job.scratch, "KEYS")):
        words = words.replace(str(path), name)
    words = re.sub(r"(127\.0\.0\.1|10\.99\.0\.2|localhost):\d+", r"\1:PORT", words)
    return re.sub(r"(^|[\s'])/\S*/(?=[a-z0-9_.-]+(\s|$))", r"\1", words)
