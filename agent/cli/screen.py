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
from agent.cli.details import amounts, shortage
from agent.cli.output import STYLES
from agent.cli.progress import TransferSnapshot, fraction, seconds_left, share
from agent.cli.text import clean, size, span
from events.states import HopState
from events.views import HopView

_LINE_INTERVAL_S = 5.0
"""Seconds between two lines in a pipe."""
_ROOMY, _WIDE = 75, 95
"""Columns from which there is room for most figures, and for all."""
_REST = {HopState.SUCCEEDED, HopState.WAITING, HopState.CANCELLED}
"""What is shown last when not every hop finds room."""


class Screen(Protocol):
    def show(self, picture: TransferSnapshot) -> None: ...

    def remark(self, text: str) -> None: ...


@contextmanager
def screen_for(file: TextIO) -> Iterator[Screen]:
    """Bars if a person looks at `file`, lines otherwise."""
    if not file.isatty():
        yield LineScreen(file)
        return
    console = output.console(file)
    with Live(console=console, auto_refresh=False, transient=False) as live:
        yield BarScreen(console, live)


class LineScreen:
    """For pipes and logs: a line when the state changes and every few seconds."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._last = ("", -_LINE_INTERVAL_S)

    def show(self, picture: TransferSnapshot) -> None:
        state, at = self._last
        now = time.monotonic()
        if picture.view.state != state or now - at >= _LINE_INTERVAL_S:
            self._last = (picture.view.state, now)
            output.say(line(picture), file=self._file)
            self._file.flush()

    def remark(self, text: str) -> None:
        output.note(text)


def line(picture: TransferSnapshot) -> str:
    total = picture.total
    speed = f", {size(total.bytes_per_second)}/s" if total.bytes_per_second else ""
    return f"{picture.view.state}: {amounts(total)}{speed}"


class BarScreen:
    """For a terminal: two or three lines a hop, drawn in place."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live

    def show(self, picture: TransferSnapshot) -> None:
        self._live.update(drawn(picture, self._console.width, self._console.height), refresh=True)

    def remark(self, text: str) -> None:
        self._live.console.print(text, style="dim")


def drawn(picture: TransferSnapshot, width: int, height: int) -> RenderableType:
    """The hops that find room in `height` lines, the moving ones first."""
    hops = picture.view.hops
    room = max(1, (height - 2) // 3)
    shown = sorted(hops, key=lambda hop: hop.state in _REST)[:room]
    parts = [part for hop in shown for part in _hop(picture, hop, width)]
    if len(hops) > len(shown):
        parts.append(_one_line(f"and {len(hops) - len(shown)} more; all together {line(picture)}", "dim"))
    return Group(*parts)


def _hop(picture: TransferSnapshot, hop: HopView, width: int) -> list[RenderableType]:
    progress = picture.progress(hop)
    title = _one_line(f"{hop.source} → {hop.destination}", "bold")
    parts: list[RenderableType] = [title, _bar(picture, hop, width)]
    if hop.problem:
        parts.append(_one_line(f"  {hop.problem.message}", "red"))
    elif progress.space_shortage:
        parts.append(_one_line(f"  {shortage(progress.space_shortage)}", "yellow"))
    elif progress.current and hop.state in {HopState.RUNNING, HopState.VERIFYING}:
        parts.append(_one_line(f"  {progress.current}", "dim"))
    return parts


def _one_line(text: str, style: str) -> Text:
    return Text(clean(text), style=style, no_wrap=True, overflow="ellipsis")


def _bar(picture: TransferSnapshot, hop: HopView, width: int) -> Table:
    columns: list[RenderableType] = [
        Text(f"  {hop.state}", style=STYLES.get(hop.state, "")),
        _progress_bar(picture, hop),
        Text("100%" if hop.state is HopState.SUCCEEDED else share(picture.progress(hop))),
        *map(Text, _figures(picture, hop, width)),
    ]
    grid = Table.grid(padding=(0, 1), expand=True)
    for number in range(len(columns)):
        grid.add_column(ratio=1 if number == 1 else None, no_wrap=True)
    grid.add_row(*columns)
    return grid


def _progress_bar(picture: TransferSnapshot, hop: HopView) -> ProgressBar:
    done = 1.0 if hop.state is HopState.SUCCEEDED else fraction(picture.progress(hop)) or 0.0
    return ProgressBar(total=1.0, completed=done, complete_style="blue", finished_style="green")


def _figures(picture: TransferSnapshot, hop: HopView, width: int) -> list[str]:
    """As many figures as find room beside the bar, the most telling ones first."""
    progress, rate = picture.progress(hop), picture.rate(hop)
    left = seconds_left(progress, rate)
    files = f"{progress.files_done:,}" + (f"/{progress.files_total:,}" if progress.files_total else "")
    figures = [
        (0, f"{size(rate)}/s" if rate else ""),
        (_ROOMY, f"{span(left)} left" if left is not None else ""),
        (_ROOMY, f"{size(progress.bytes_done)} of {size(progress.bytes_total)}"),
        (_WIDE, f"{files} files"),
    ]
    return [text for needed, text in figures if text and width >= needed]
