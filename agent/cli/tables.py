"""Print tables that fit: on a narrow terminal, less important columns are left out."""

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
_MIN_FOLDED_WIDTH = 16
"""Minimum width of a column whose cells may wrap, in terminal columns."""


@dataclass(frozen=True)
class Column:
    title: str
    right: bool = False
    folds: bool = False
    """Whether cells may wrap into several lines."""
    leaves: int = 0
    """Rank in which the column is left out on a narrow terminal, 1 first; 0 to keep it always."""


def show(columns: tuple[Column, ...], rows: Iterable[tuple[Cell, ...]]) -> None:
    """Print rows under their column titles; control characters in cells are escaped."""
    console = output.console()
    lines = [[_lines(cell) for cell in row] for row in rows]
    visible = _fitting(columns, lines, console.width)
    grid = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for number in visible:
        column = columns[number]
        side, folds = ("right" if column.right else "left"), column.folds
        grid.add_column(column.title, justify=side, overflow="fold", no_wrap=not folds)  # type: ignore[arg-type]
    for row in lines:
        grid.add_row(*(_styled(row[number]) for number in visible))
    console.print(grid)


def _lines(cell: Cell) -> list[str]:
    return [clean(line) for line in ([cell] if isinstance(cell, str) else cell)]


def _styled(lines: list[str]) -> Text:
    return Text("\n".join(lines), style=output.STYLES.get(lines[0], "") if lines else "")


def _fitting(columns: tuple[Column, ...], rows: list[list[list[str]]], width: int) -> list[int]:
    """Return the indexes of the columns that fit in `width`."""
    widths = [_width(column, [row[number] for row in rows]) for number, column in enumerate(columns)]
    visible = list(range(len(columns)))
    for number in sorted((n for n in visible if columns[n].leaves), key=lambda n: columns[n].leaves):
        if sum(widths[n] + _GAP for n in visible) - _GAP <= width:
            break
        visible.remove(number)
    return visible


def _width(column: Column, cells: list[list[str]]) -> int:
    widest = max(cell_len(line) for line in [column.title, *(line for cell in cells for line in cell)])
    return min(widest, _MIN_FOLDED_WIDTH) if column.folds else widest
