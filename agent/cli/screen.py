"""Where a watch is drawn: bars on a terminal, a line now and then in a pipe."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.cli import output
from agent.cli.details import amounts
from agent.cli.output import STYLES
from agent.cli.progress import Picture, fraction, seconds_left, share
from agent.cli.text import clean, size, span
from events.states import HopState
from events.views import HopView

_EVERY = 5.0
"""Seconds between two lines in a pipe."""
_WIDE = 80
"""Columns from which there is room for everything."""
_REST = {HopState.SUCCEEDED, HopState.WAITING, HopState.CANCELLED}
"""What is shown last when not every hop finds room."""


class Screen(Protocol):
    def show(self, picture: Picture) -> None: ...

    def remark(self, text: str) -> None: ...


@contextmanager
def screen_for(file: TextIO) -> Iterator[Screen]:
    """Bars if a person looks at `file`, lines otherwise."""
    if not file.isatty():
        yield Lines(file)
        return
    console = output.console(file)
    with Live(console=console, auto_refresh=False, transient=False) as live:
        yield Bars(console, live)


class Lines:
    """For pipes and logs: a line when the state changes and every few seconds."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._last = ("", -_EVERY)

    def show(self, picture: Picture) -> None:
        state, at = self._last
        now = time.monotonic()
        if picture.view.state != state or now - at >= _EVERY:
            self._last = (picture.view.state, now)
            output.say(line(picture), file=self._file)
            self._file.flush()

    def remark(self, text: str) -> None:
        output.note(text)


def line(picture: Picture) -> str:
    total = picture.total
    speed = f", {size(total.bytes_per_second)}/s" if total.bytes_per_second else ""
    return f"{picture.view.state}: {amounts(total)}{speed}"


class Bars:
    """For a terminal: two or three lines a hop, drawn in place."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live

    def show(self, picture: Picture) -> None:
        self._live.update(drawn(picture, self._console.width, self._console.height), refresh=True)

    def remark(self, text: str) -> None:
        self._live.console.print(text, style="dim")


def drawn(picture: Picture, width: int, height: int) -> RenderableType:
    """The hops that find room in `height` lines, the moving ones first."""
    hops = picture.view.hops
    room = max(1, (height - 2) // 3)
    shown = sorted(hops, key=lambda hop: hop.state in _REST)[:room]
    parts = [part for hop in shown for part in _hop(picture, hop, width)]
    if len(hops) > len(shown):
        parts.append(Text(f"and {len(hops) - len(shown)} more; all together {line(picture)}", style="dim"))
    return Group(*parts)


def _hop(picture: Picture, hop: HopView, width: int) -> list[RenderableType]:
    progress = picture.progress(hop)
    title = _one_line(f"{hop.source} → {hop.destination}", "bold")
    parts: list[RenderableType] = [title, _bar(picture, hop, width)]
    if hop.problem:
        parts.append(_one_line(f"  {hop.problem.message}", "red"))
    elif progress.current and hop.state in {HopState.RUNNING, HopState.VERIFYING}:
        parts.append(_one_line(f"  {progress.current}", "dim"))
    return parts


def _one_line(text: str, style: str) -> Text:
    return Text(clean(text), style=style, no_wrap=True, overflow="ellipsis")


def _bar(picture: Picture, hop: HopView, width: int) -> Table:
    progress, rate = picture.progress(hop), picture.rate(hop)
    part = fraction(progress)
    done = 1.0 if hop.state is HopState.SUCCEEDED else part or 0.0
    row: list[RenderableType] = [
        Text(f"  {hop.state}", style=STYLES.get(hop.state, "")),
        ProgressBar(total=1.0, completed=done),
        "100%" if hop.state is HopState.SUCCEEDED else share(progress),
    ]
    if width >= _WIDE:
        files = f"{progress.files_done:,}" + (f"/{progress.files_total:,}" if progress.files_total else "")
        row += [f"{size(progress.bytes_done)} of {size(progress.bytes_total)}", f"{files} files"]
    if rate:
        row.append(f"{size(rate)}/s")
        left = seconds_left(progress, rate)
        row.append(f"{span(left)} left" if left is not None and width >= _WIDE else "")
    grid = Table.grid(padding=(0, 1), expand=True)
    for number in range(len(row)):
        grid.add_column(ratio=1 if number == 1 else None, no_wrap=True)
    grid.add_row(*row)
    return grid
