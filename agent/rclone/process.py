"""Find, start and stop rclone, in an environment that has only what it needs."""

import os
import subprocess
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from io import BufferedReader
from typing import IO, cast

from agent import host_info
from agent.errors import HopError
from agent.problems import RCLONE_MISSING
from agent.pull.source import SourceConnectionError
from agent.rclone.child_process import start_child

STOP_TIMEOUT_S = 10.0
"""Seconds that rclone has to abort an upload before it is killed."""
_PROXY = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_INHERITED = ("PATH", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", *_PROXY)


class RcloneError(Exception):
    """rclone failed."""

    def __init__(self, code: int, errors: Sequence[bytes]) -> None:
        """`code` is the exit code, or the negative number of the signal; `errors` are rclone's log lines."""
        super().__init__(code)
        self.code = code
        self.errors = errors


class RcloneProcess:
    """Runs rclone for one hop; `close` ends all processes that still run."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Find rclone. Raise HopError if it is not installed."""
        program = host_info.find_rclone()
        if program is None:
            raise HopError(RCLONE_MISSING.problem())
        self._program = program
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def spawn(
        self, *arguments: str, stdin: int | IO[bytes] = subprocess.DEVNULL, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start rclone with pipes for standard output and error.

        Raises:
            SourceConnectionError: `close` was called.
        """
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

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the process and return its exit code. Read its output first."""
        code = process.wait()
        with self._lock:
            self._running.discard(process)
        _close_pipes(process)
        return code

    def output(
        self, *arguments: str, timeout_s: float | None = None, chunk_bytes: int | None = None
    ) -> Generator[bytes, None, None]:
        """Yield the lines that rclone prints as it prints them, or chunks of at most `chunk_bytes`.

        Raises:
            RcloneError: rclone failed, or did not end within `timeout_s` seconds.
        """
        process = self.spawn(*arguments)
        errors: list[bytes] = []
        reader = threading.Thread(target=_collect, args=[process, errors])
        reader.start()
        timer = threading.Timer(timeout_s, process.kill) if timeout_s is not None else None
        if timer:
            timer.start()
        try:
            yield from _chunks(process, chunk_bytes) if chunk_bytes else process.stdout or ()
        except GeneratorExit:  # the caller stopped reading
            process.terminate()
            raise
        except ValueError as error:  # `close` has closed the pipe
            raise SourceConnectionError("stopped") from error
        finally:
            reader.join()
            code = self.wait(process)
            if timer:
                timer.cancel()
        if code:
            raise RcloneError(code, errors)

    def terminate_all(self) -> None:
        """Terminate all running processes, from any thread."""
        with self._lock:
            for process in self._running:
                process.terminate()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            _end(process)


def _collect(process: subprocess.Popen[bytes], lines: list[bytes]) -> None:
    """Read standard error to its end, or until `close` closes it."""
    with suppress(ValueError, OSError):
        lines.extend(process.stderr or [])


def _chunks(process: subprocess.Popen[bytes], size: int) -> Iterator[bytes]:
    stdout = cast("BufferedReader", process.stdout)
    return iter(lambda: stdout.read1(size), b"")


def inherited_environment(*more: str) -> dict[str, str]:
    """Return the variables that rclone inherits from the agent, and those named in `more`.

    Loopback is always excluded from proxies.
    """
    environment = {name: os.environ[name] for name in (*_INHERITED, *more) if name in os.environ}
    hosts = [name for name in (environment.get("NO_PROXY"), environment.get("no_proxy")) if name]
    environment["NO_PROXY"] = environment["no_proxy"] = ",".join(["127.0.0.1", "localhost", *hosts])
    return environment


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
