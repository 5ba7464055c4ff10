"""The emulated network of one run: a `network_proxy` process in front of each server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class NetworkProfile:
    """Delay in seconds, window in bytes and seconds between cuts."""

    delay: float = 0.0
    window: int = 4 * 1024 * 1024
    cut_every: float | None = None


@dataclass(frozen=True)
class Passed:
    """Bytes forwarded and cuts made."""

    bytes: int
    cuts: int


@dataclass
class EmulatedNetwork:
    """The proxies of one run."""

    profile: NetworkProfile | None
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def dial(self, port: int) -> int:
        """Put a new proxy in front of the port and return its port; without a profile, return the port."""
        if self.profile is None:
            return port
        words = ["--delay", str(self.profile.delay), "--window", str(self.profile.window)]
        if self.profile.cut_every:
            words += ["--cut-every", str(self.profile.cut_every)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.network_proxy", str(port), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._processes.append(process)
        return int(_answer(process)["port"])

    def passed(self) -> Passed:
        """Return the bytes and cuts so far, over all proxies."""
        answers = []
        for process in self._processes:
            assert process.stdin
            process.stdin.write(b"?\n")
            process.stdin.flush()
            answers.append(_answer(process))
        return Passed(sum(one["passed"] for one in answers), sum(one["cuts"] for one in answers))

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.communicate()


@contextmanager
def emulated_network(profile: NetworkProfile | None) -> Iterator[EmulatedNetwork]:
    network = EmulatedNetwork(profile)
    try:
        yield network
    finally:
        network.close()


def _answer(process: "subprocess.Popen[bytes]") -> dict[str, int]:
    assert process.stdout
    answer: dict[str, int] = json.loads(process.stdout.readline())
    return answer
