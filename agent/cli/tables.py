"""Print tables that fit: on a narrow terminal, less important columns are left out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from agent.cli import output
from agent.cli.text import clean

Cell = str | list[str]
"""One line of text, or several."""

_GAP = 2
_MIN_FLEXIBLE_WIDTH = 16
"""Minimum width of a column whose cells may wrap or lose their middle, in terminal columns."""


@dataclass(frozen=True)
class Column:
    title: str
    right: bool = False
    folds: bool = False
    """Whether cells may wrap into several lines."""
    elides: bool = False
    """Whether cells are locations, which lose their middle, never their end, on a narrow terminal."""
    leaves: int = 0
    """Rank in which the column is left out on a narrow terminal, 1 first; 0 to keep it always."""


def show(columns: tuple[Column, ...], rows: Iterable[tuple[Cell, ...]]) -> None:
    """Print rows under their column titles; control characters in cells are escaped."""
    console = output.console()
    lines = [[_lines(cell) for cell in row] for row in rows]
    visible = _fitting(columns, lines, console.width)
    limits = _limits(columns, lines, visible, console.width)
    grid = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for number in visible:
        column = columns[number]
        side, folds = ("right" if column.right else "left"), column.folds
        grid.add_column(column.title, justify=side, overflow="fold", no_wrap=not folds)  # type: ignore[arg-type]
    for row in lines:
        grid.add_row(*(_styled(row[number], limits.get(number)) for number in visible))
    console.print(grid)


def _lines(cell: Cell) -> list[str]:
    return [clean(line) for line in ([cell] if isinstance(cell, str) else cell)]


def elided(location: str, width: int) -> str:
    """Return the location in at most `width` terminal columns: `server-b:…/raw/ep1.mov`."""
    if cell_len(location) <= width:
        return location
    head = re.match(r"s3://[^/]*|[^/:]*:", location)
    start = head[0] if head and cell_len(head[0]) <= width * 2 // 3 else ""
    end = location
    while end and cell_len(start) + 1 + cell_len(end) > width:
        end = end[1:]
    return f"{start}…{end}"


def _styled(lines: list[str], limit: int | None) -> Text:
    shown = lines if limit is None else [elided(line, limit) for line in lines]
    return Text("\n".join(shown), style=output.STYLES.get(lines[0], "") if lines else "")


def _fitting(columns: tuple[Column, ...], rows: list[list[list[str]]], width: int) -> list[int]:
    """Return the indexes of the columns that fit in `width`."""
    widths = [
        min(_width(columns, rows, number), _MIN_FLEXIBLE_WIDTH if column.folds or column.elides else width)
        for number, column in enumerate(columns)
    ]
    visible = list(range(len(columns)))
    for number in sorted((n for n in visible if columns[n].leaves), key=lambda n: columns[n].leaves):
        if sum(widths[n] + _GAP for n in visible) - _GAP <= width:
            break
        visible.remove(number)
    return visible


def _limits(
    columns: tuple[Column, ...], rows: list[list[list[str]]], visible: list[int], width: int
) -> dict[int, int]:
    """Return the width of each column of locations: they share what the others leave."""
    elided_ = [number for number in visible if columns[number].elides]
    flexible = {number for number in visible if columns[number].folds}
    wanted = {number: _width(columns, rows, number) for number in visible}
    taken = sum(
        min(wanted[number], _MIN_FLEXIBLE_WIDTH) if number in flexible else wanted[number]
        for number in visible
        if number not in elided_
    )
    left = width - taken - _GAP * (len(visible) - 1)
    limits: dict[int, int] = {}
    for place, number in enumerate(sorted(elided_, key=lambda number: wanted[number])):
        limits[number] = min(wanted[number], left // (len(elided_) - place))
        left -= limits[number]
    return limits


def _width(columns: tuple[Column, ...], rows: list[list[list[str]]], number: int) -> int:
    """Return the width of a column that shows every cell whole."""
    cells = [row[number] for row in rows]
    return max(cell_len(line) for line in [columns[number].title, *(line for cell in cells for line in cell)])
