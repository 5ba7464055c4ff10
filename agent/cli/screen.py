"""Draw the progress of `--watch`: bars on a terminal, a line every few seconds in a pipe."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.cli import output
from agent.cli.details import shortage, total_amounts
from agent.cli.output import STYLES
from agent.cli.progress import TransferSnapshot, fraction, seconds_left, share
from agent.cli.tables import elided
from agent.cli.text import clean, size, span
from events.states import HopState
from events.views import HopView

_LINE_INTERVAL_S = 5.0
"""Seconds between progress lines in a pipe."""
_MEDIUM_WIDTH, _FULL_WIDTH = 75, 95
"""Terminal columns needed for most figures, and for all of them."""
_SHOWN_LAST = {HopState.SUCCEEDED, HopState.WAITING, HopState.CANCELLED}
"""States of hops that are left out first when not all hops fit on the screen."""


class Screen(Protocol):
    """Shows snapshots of a transfer and occasional notes."""

    def show(self, snapshot: TransferSnapshot) -> None: ...

    def note(self, text: str) -> None: ...


@contextmanager
def screen_for(file: TextIO, *, as_json: bool = False) -> Iterator[Screen]:
    """Yield a screen with bars if `file` is a terminal, with lines otherwise, or one with JSON Lines."""
    if as_json:
        yield JsonScreen(file)
        return
    if not file.isatty():
        yield LineScreen(file)
        return
    console = output.console(file)
    with Live(console=console, auto_refresh=False, transient=False) as live:
        yield BarScreen(console, live)


class SilentScreen:
    """For scripts that only wait."""

    def show(self, snapshot: TransferSnapshot) -> None:
        pass

    def note(self, text: str) -> None:
        output.note(text)


class _Pace:
    """Lets a line through when a state changes, and every few seconds if there is something new."""

    def __init__(self) -> None:
        self._states: tuple[str, ...] = ()
        self._text = ""
        self._due = 0.0

    def lets(self, snapshot: TransferSnapshot, text: str) -> bool:
        states = (snapshot.view.state, *(hop.state for hop in snapshot.view.hops))
        now = time.monotonic()
        if states == self._states and (text == self._text or now < self._due):
            return False
        self._states, self._text, self._due = states, text, now + _LINE_INTERVAL_S
        return True


class LineScreen:
    """For pipes and logs: a line when the state changes, and every few seconds if there is progress."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._pace = _Pace()

    def show(self, snapshot: TransferSnapshot) -> None:
        if self._pace.lets(snapshot, text := line(snapshot)):
            output.say(text, file=self._file)
            self._file.flush()

    def note(self, text: str) -> None:
        output.note(text)


class JsonScreen:
    """For programs: the transfer as one line of ASCII-only JSON, as often as LineScreen prints one."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._pace = _Pace()

    def show(self, snapshot: TransferSnapshot) -> None:
        if self._pace.lets(snapshot, line(snapshot)):
            self._file.write(json.dumps(snapshot.view.model_dump(mode="json"), ensure_ascii=True) + "\n")
            self._file.flush()

    def note(self, text: str) -> None:
        output.note(text)


def line(snapshot: TransferSnapshot) -> str:
    total = snapshot.total
    speed = f", {size(total.bytes_per_second)}/s" if total.bytes_per_second else ""
    return f"{snapshot.view.state}: {total_amounts(snapshot.view, total)}{speed}"


class BarScreen:
    """For a terminal: two or three lines a hop, drawn in place."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live

    def show(self, snapshot: TransferSnapshot) -> None:
        self._live.update(render(snapshot, self._console.width, self._console.height), refresh=True)

    def note(self, text: str) -> None:
        self._live.console.print(text, style="dim")


def render(snapshot: TransferSnapshot, width: int, height: int) -> RenderableType:
    """Render the hops that fit in `height` lines, active ones first."""
    hops = snapshot.view.hops
    max_hops = max(1, (height - 2) // 3)
    shown = sorted(hops, key=lambda hop: hop.state in _SHOWN_LAST)[:max_hops]
    parts = [part for hop in shown for part in _hop(snapshot, hop, width)]
    if len(hops) > len(shown):
        parts.append(_one_line(f"and {len(hops) - len(shown)} more; in total {line(snapshot)}", "dim"))
    return Group(*parts)


def _hop(snapshot: TransferSnapshot, hop: HopView, width: int) -> list[RenderableType]:
    progress = snapshot.progress(hop)
    title = _one_line(_ends(str(hop.source), str(hop.destination), width), "bold")
    parts: list[RenderableType] = [title, _bar(snapshot, hop, width)]
    if hop.problem:
        parts.append(_one_line(f"  {hop.problem.message}", "red"))
    elif progress.space_shortage:
        parts.append(_one_line(f"  {shortage(progress.space_shortage)}", "yellow"))
    elif progress.current and hop.state in {HopState.RUNNING, HopState.VERIFYING}:
        parts.append(_one_line(f"  {elided(clean(progress.current), width - 2)}", "dim"))
    return parts


def _ends(source: str, destination: str, width: int) -> str:
    """Return source and destination in one line of at most `width`; both keep their ends."""
    source, destination = clean(source), clean(destination)
    room = width - len(" → ")
    kept = max(room // 2, room - len(destination))
    source = elided(source, kept)
    return f"{source} → {elided(destination, room - cell_len(source))}"


def _one_line(text: str, style: str) -> Text:
    return Text(clean(text), style=style, no_wrap=True, overflow="ellipsis")


def _bar(snapshot: TransferSnapshot, hop: HopView, width: int) -> Table:
    columns: list[RenderableType] = [
        Text(f"  {hop.state}", style=STYLES.get(hop.state, "")),
        _progress_bar(snapshot, hop),
        Text("100%" if hop.state is HopState.SUCCEEDED else share(snapshot.progress(hop))),
        *map(Text, _figures(snapshot, hop, width)),
    ]
    grid = Table.grid(padding=(0, 1), expand=True)
    for number in range(len(columns)):
        grid.add_column(ratio=1 if number == 1 else None, no_wrap=True)
    grid.add_row(*columns)
    return grid


def _progress_bar(snapshot: TransferSnapshot, hop: HopView) -> ProgressBar:
    done = 1.0 if hop.state is HopState.SUCCEEDED else fraction(snapshot.progress(hop)) or 0.0
    return ProgressBar(total=1.0, completed=done, complete_style="blue", finished_style="green")


def _figures(snapshot: TransferSnapshot, hop: HopView, width: int) -> list[str]:
    """Return the figures that fit beside the bar, the most useful ones first."""
    progress, rate = snapshot.progress(hop), snapshot.rate(hop)
    left = seconds_left(progress, rate)
    total = f"/{progress.files_total:,}" if progress.files_total else ""
    noun = "file" if (progress.files_total or progress.files_done) == 1 else "files"
    figures = [
        (0, f"{size(rate)}/s" if rate else ""),
        (_MEDIUM_WIDTH, f"{span(left)} left" if left is not None else ""),
        (_MEDIUM_WIDTH, f"{size(progress.bytes_done)} of {size(progress.bytes_total)}"),
        (_FULL_WIDTH, f"{progress.files_done:,}{total} {noun}"),
    ]
    return [text for needed, text in figures if text and width >= needed]
