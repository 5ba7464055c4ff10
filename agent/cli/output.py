"""Writing to the terminal or the pipe. Every text that came from elsewhere passes `clean` on its way."""

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

from agent.cli.errors import CliError, Exit
from agent.cli.text import clean

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 10_000
"""Nothing is cut or wrapped where no person reads along."""

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
    """A console on stdout (or `file`) that takes every text literally: no markup, no emoji codes."""
    from rich.console import Console

    stream = file or sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def say(text: str, *, style: str = "", file: TextIO | None = None) -> None:
    console(file).print(text, style=style or None)


def note(text: str) -> None:
    """A remark beside the matter, on stderr."""
    say(text, style="dim", file=sys.stderr)


def print_error(trouble: CliError) -> None:
    """One red line of what happened, one line of what to do, on stderr."""
    if trouble.code is Exit.INTERRUPTED:
        note(_one_line(trouble.what))
    else:
        say(f"error: {_one_line(trouble.what)}", style="bold red", file=sys.stderr)
    if trouble.advice:
        say(_one_line(trouble.advice), file=sys.stderr)


def _one_line(text: str) -> str:
    return clean(" ".join(text.split("\n")))


def print_json(value: Any) -> None:
    """What the API said, as JSON; escapes keep foreign names from steering the terminal."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if a person agrees, or `--yes` was given."""
    import typer

    if yes:
        return
    if not _is_a_person_there():
        raise CliError(f"this needs a yes: {question}", "Add --yes to do it without being asked.")
    if not typer.confirm(clean(question)):
        raise CliError("nothing was changed", code=Exit.REFUSED)


def _is_a_person_there() -> bool:
    return sys.stdin.isatty()
