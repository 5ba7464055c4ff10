"""What a tool is to the harness: how it is put up, started, and what it can do."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class FailedError(Exception):
    """The tool did not do it; its own words."""


@dataclass(frozen=True)
class Job:
    """What one run has to bring about: `destination` holds what `source` holds."""

    source: Path
    destination: Path
    scratch: Path
    """For keys and configurations; its own for each run."""
    dial: Callable[[int], int]
    """The port to dial in place of this one: that of the line before it, if the case has one."""
    one_file: bool = False
    compares: bool = False
    """Most of it stands at the destination already."""
    resumes: bool = False
    """It will be interrupted, and is to go on."""


class Running(Protocol):
    pid: int

    def wait(self, seconds: float) -> None:
        """FailedError; TimeoutError when it is not done within `seconds`, and is ended."""

    def kill(self) -> None:
        """As a power cut would."""


class Session(Protocol):
    """A tool put up for one job."""

    command: str
    far: list[int]
    near: list[int]

    def start(self) -> Running: ...


@dataclass(frozen=True)
class Tool:
    name: str
    put_up: Callable[[Job], AbstractContextManager[Session]]
    programs: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    """Names of its own in the folders."""
    compares: bool = True
    """Leaves unchanged files alone."""
    lined: bool = True
    """Goes over a connection that a line can be put into."""
    many: bool = True
    """Moves trees, not only a file."""

    def lacks(self) -> str | None:
        """Why it cannot run on this machine."""
        missing = [program for program in self.programs if find(program) is None]
        return f"{', '.join(missing)} is not installed (infra/local/setup.sh bench)" if missing else None


def find(program: str) -> str | None:
    """On the PATH, where daemons are (few have that on theirs), or in this environment."""
    import sys

    beside = str(Path(sys.executable).parent)
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", beside]))


class Process:
    """A program that was started for a run, with all that it starts itself."""

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
            raise FailedError(f"exit code {code}: {self._last_words()}")

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def end(self, timeout_s: float = 10) -> None:
        """SIGTERM first."""
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

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace").strip()[-300:] if self._log else ""


@dataclass
class CommandSession:
    """A tool that is a command."""

    argv: list[str]
    command: str
    log: Path
    far: list[int] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=dict)
    near: list[int] = field(default_factory=list)

    def start(self) -> Running:
        return Process(self.argv, self.environment, self.log)


def as_shown(argv: list[str], job: Job) -> str:
    """The command for people: without any path or port of this machine."""
    import re

    words = " ".join(argv)
    for path, name in ((job.source, "SOURCE"), (job.destination, "DESTINATION"), (job.scratch, "KEYS")):
        words = words.replace(str(path), name)
    words = re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:PORT", words)
    return re.sub(r"(^|[\s'])/\S*/(?=[a-z0-9_.-]+(\s|$))", r"\1", words)
