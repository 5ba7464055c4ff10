"""Standard output and standard error that accept any character, and report what cannot be written."""

import errno
import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from agent.cli.errors import CliError, Exit

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_OUTPUT_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EPIPE}
"""Errors of the device or the reader, not of the path that was typed."""


class StdoutError(CliError):
    """Standard output cannot be written."""


def unwritable(target: str, error: OSError) -> CliError:
    """Return the error for a file, device or pipe that cannot be written."""
    return CliError(*_explained(target, error))


def _explained(target: str, error: OSError) -> tuple[str, str, Exit]:
    code = Exit.OUTPUT if error.errno in _OUTPUT_ERRNOS else Exit.USAGE
    if error.errno == errno.EPIPE:
        return f"the program that reads {target} has ended", "The output is incomplete.", code
    what = f"cannot write {target}: {error.strerror or error}"
    return what, _ADVICE.get(error.errno or 0, "Choose another path."), code


_ADVICE = {
    errno.ENOSPC: "Free some space or free inodes there (`df -h`, `df -i`), or choose another path.",
    errno.EDQUOT: "Free some of your quota there, or choose another path.",
}


class _Stdout(io.FileIO):
    """Standard output that raises StdoutError, which no library takes for a normal end."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise StdoutError(*_explained("standard output", error)) from error


class _Stderr(io.FileIO):
    """Standard error that drops what cannot be written: there is nowhere left to report it."""

    def write(self, data: "ReadableBuffer", /) -> int:
        with suppress(OSError):
            return super().write(data)
        return len(memoryview(data).cast("B"))


def prepare() -> None:
    """Replace stdout and stderr, and open them on the null device if the parent process closed them."""
    sys.stdout = _opened(sys.stdout, _Stdout)
    sys.stderr = _opened(sys.stderr, _Stderr)


def _opened(stream: TextIO | None, kind: type[io.FileIO]) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream or Path(os.devnull).open("w")
    raw = kind(stream.fileno(), "wb", closefd=False)
    line_buffering = kind is _Stderr or stream.isatty()
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(
        buffered, encoding=stream.encoding, errors="backslashreplace", line_buffering=line_buffering
    )


def discard_stdout() -> None:
    """Send the rest of stdout to the null device, so that the interpreter does not fail on it at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(null, sys.stdout.fileno())
    os.close(null)
