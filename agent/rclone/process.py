"""rclone as a program of ours: found, started with an environment that is all it gets, ended."""

import os
import subprocess
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from io import BufferedReader
from typing import IO, cast

from agent import host_info
from agent.errors import HopError
from agent.pull.source import SourceConnectionError
from agent.rclone.child_process import start_child
from events.base import Problem

STOP_TIMEOUT_S = 10.0
"""Seconds that rclone has to abort an upload before it is killed."""
_PROXY = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_INHERITED = ("PATH", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", *_PROXY)


class RcloneError(Exception):
    """rclone has failed."""

    def __init__(self, code: int, errors: Sequence[bytes]) -> None:
        """Its exit code, or minus the signal that ended it; and what it said."""
        super().__init__(code)
        self.code = code
        self.errors = errors


class RcloneProcess:
    """Runs rclone for one hop; `close` ends whatever still runs."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """HopError if there is no rclone here."""
        program = host_info.find_rclone()
        if program is None:
            raise HopError(_missing())
        self._program = program
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def check(self) -> None:
        """See that all is there that rclone needs, before it finds out by trying for minutes. HopError,
        LostError."""

    @property
    def refusal(self) -> HopError | SourceConnectionError | None:
        """Why there were no credentials, if rclone has asked us for some in vain."""
        return None

    def start(
        self, *arguments: str, stdin: int | IO[bytes] = subprocess.DEVNULL, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Standard output and error are pipes; LostError after `close`."""
        with self._lock:
            if self._closed:
                raise SourceConnectionError("stopped")
            process = start_child(
                [self._program, *arguments],
                env=self._environment | environment,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            self._running.add(process)
            return process

    def ended(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for its end; the exit code. Whoever wants to know what it said has read it before."""
        code = process.wait()
        with self._lock:
            self._running.discard(process)
        _close_pipes(process)
        return code

    def output(
        self, *arguments: str, within: float | None = None, at_once: int | None = None
    ) -> Generator[bytes, None, None]:
        """The lines that rclone prints, as it prints them, or `at_once` so many bytes at most. EndedError if
        it fails, or is not through in so many seconds."""
        process = self.start(*arguments)
        errors: list[bytes] = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr or []))
        reader.start()
        late = threading.Timer(within, process.kill) if within is not None else None
        if late:
            late.start()
        try:
            yield from _pieces(process, at_once) if at_once else process.stdout or ()
        except GeneratorExit:  # whoever listens has had enough
            process.terminate()
            raise
        finally:
            reader.join()
            code = self.ended(process)
            if late:
                late.cancel()
        if code:
            raise RcloneError(code, errors)

    def interrupt(self) -> None:
        """From any thread: whatever runs is asked to end."""
        with self._lock:
            for process in self._running:
                process.terminate()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            _end(process)


def _pieces(process: subprocess.Popen[bytes], size: int) -> Iterator[bytes]:
    stdout = cast("BufferedReader", process.stdout)
    return iter(lambda: stdout.read1(size), b"")


def inherited_environment(*more: str) -> dict[str, str]:
    """What rclone gets of the agent's own environment, and the names of what else; never a proxy to
    loopback."""
    kept = {name: os.environ[name] for name in (*_INHERITED, *more) if name in os.environ}
    hosts = [name for name in (kept.get("NO_PROXY"), kept.get("no_proxy")) if name]
    kept["NO_PROXY"] = kept["no_proxy"] = ",".join(["127.0.0.1", "localhost", *hosts])
    return kept


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _close_pipes(process)


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with suppress(OSError):
                pipe.close()


def _missing() -> Problem:
    return Problem(
        code="rclone-missing",
        message="There is no rclone on this agent's host.",
        advice="Install rclone 1.66 or newer there; `crosshaul agent doctor` tells when it is found.",
    )
