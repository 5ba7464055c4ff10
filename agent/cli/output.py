"""Write to the terminal or a pipe. Text that came from elsewhere must pass `clean` first."""

import json
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

from agent.cli.errors import CliError, Exit
from agent.cli.text import clean

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 10_000
"""Columns assumed where the output is not a terminal, so that nothing is cut or wrapped."""

STYLES = {
    "online": "green",
    "late": "yellow",
    "offline": "red",
    "awaiting_approval": "yellow",
    "queued": "cyan",
    "waiting": "cyan",
    "offered": "cyan",
    "running": "blue",
    "verifying": "blue",
    "paused": "yellow",
    "succeeded": "green",
    "partially_failed": "red",
    "failed": "red",
    "cancelled": "yellow",
    "allowed": "green",
    "approval": "yellow",
    "refused": "red",
}


def console(file: TextIO | None = None) -> "Console":
    """Return a console on stdout (or `file`) that prints text literally: no markup, no emoji codes."""
    from rich.console import Console

    stream = file or sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def say(text: str, *, style: str = "", file: TextIO | None = None) -> None:
    console(file).print(text, style=style or None)


def note(text: str) -> None:
    """Print a side note in dim letters on stderr."""
    say(text, style="dim", file=sys.stderr)


def print_error(error: CliError, *, as_json: bool = False) -> None:
    """Print what happened, in red, and what to do about it, one line each, on stderr; or one line of JSON."""
    if as_json:
        sys.stderr.write(error.as_json() + "\n")
    elif error.code is Exit.INTERRUPTED:
        _say_wrapped(error.what, "dim")
    else:
        _say_wrapped(f"error: {error.what}", "bold red")
    if error.advice and not as_json:
        _say_wrapped(error.advice)


def _say_wrapped(text: str, style: str = "") -> None:
    terminal = console(sys.stderr)
    terminal.print(wrapped(_one_line(text), terminal.width), style=style or None)


def wrapped(text: str, width: int) -> str:
    """Wrap text at words, but inside no command in backquotes that fits a line of `width` columns."""
    from rich.cells import cell_len

    lines = [""]
    for word in re.findall(r"`[^`]*`\S*|\S+", text):
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and cell_len(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return clean(" ".join(text.split("\n")))


def print_json(value: Any) -> None:
    """Print the API's answer as ASCII-only JSON, so that names cannot steer the terminal."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation unless `--yes` was given.

    Raises:
        CliError: The answer is no, or there is no terminal to ask on.
    """
    import typer

    if yes:
        return
    if not _is_interactive():
        raise CliError(f"confirmation required: {question}", "Add --yes to confirm.")
    if not typer.confirm(clean(question)):
        raise CliError("nothing was changed", code=Exit.REFUSED)


def _is_interactive() -> bool:
    return sys.stdin.isatty()
