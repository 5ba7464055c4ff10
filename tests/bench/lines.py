"""Lines put before servers for one run: each a process of `line`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """A line's nature. Seconds and bytes."""

    delay: float = 0.0
    window: int = 4 * 1024 * 1024
    cut_every: float | None = None


@dataclass(frozen=True)
class Passed:
    bytes: int
    cuts: int


@dataclass
class Lines:
    """Those of one run."""

    kind: Kind | None
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def dial(self, port: int) -> int:
        """The port of a new line before this one; without a kind of line, the port itself."""
        if self.kind is None:
            return port
        words = ["--delay", str(self.kind.delay), "--window", str(self.kind.window)]
        if self.kind.cut_every:
            words += ["--cut-every", str(self.kind.cut_every)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.line", str(port), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._processes.append(process)
        return int(_heard(process)["port"])

    def passed(self) -> Passed:
        """So far, over all of them."""
        answers = []
        for process in self._processes:
            assert process.stdin
            process.stdin.write(b"?\n")
            process.stdin.flush()
            answers.append(_heard(process))
        return Passed(sum(one["passed"] for one in answers), sum(one["cuts"] for one in answers))

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.communicate()


@contextmanager
def lines(kind: Kind | None) -> Iterator[Lines]:
    made = Lines(kind)
    try:
        yield made
    finally:
        made.close()


def _heard(process: "subprocess.Popen[bytes]") -> dict[str, int]:
    assert process.stdout
    answer: dict[str, int] = json.loads(process.stdout.readline())
    return answer
