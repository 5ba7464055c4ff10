"""Tables that fit: on a narrow terminal the less telling columns are left out and the rest stays whole."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from agent.cli import output
from agent.cli.text import clean

Cell = str | list[str]
"""One line, or several."""

_GAP = 2
_FOLDED = 16
"""Columns that a foldable cell needs at least."""


@dataclass(frozen=True)
class Column:
    title: str
    right: bool = False
    folds: bool = False
    """May be broken into several lines."""
    leaves: int = 0
    """The order in which columns are left out on a narrow terminal; 0 for those that stay."""


def show(columns: tuple[Column, ...], rows: Iterable[tuple[Cell, ...]]) -> None:
    """Print rows under their titles; texts from elsewhere are made harmless."""
    console = output.console()
    lines = [[_lines(cell) for cell in row] for row in rows]
    kept = _fitting(columns, lines, console.width)
    grid = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for number in kept:
        column = columns[number]
        side, folds = ("right" if column.right else "left"), column.folds
        grid.add_column(column.title, justify=side, overflow="fold", no_wrap=not folds)  # type: ignore[arg-type]
    for row in lines:
        grid.add_row(*(_styled(row[number]) for number in kept))
    console.print(grid)


def _lines(cell: Cell) -> list[str]:
    return [clean(line) for line in ([cell] if isinstance(cell, str) else cell)]


def _styled(lines: list[str]) -> Text:
    return Text("\n".join(lines), style=output.STYLES.get(lines[0], "") if lines else "")


def _fitting(columns: tuple[Column, ...], rows: list[list[list[str]]], width: int) -> list[int]:
    """The numbers of the columns that find room."""
    needs = [_need(column, [row[number] for row in rows]) for number, column in enumerate(columns)]
    kept = list(range(len(columns)))
    for number in sorted((n for n in kept if columns[n].leaves), key=lambda n: columns[n].leaves):
        if sum(needs[n] + _GAP for n in kept) - _GAP <= width:
            break
        kept.remove(number)
    return kept


def _need(column: Column, cells: list[list[str]]) -> int:
    widest = max(cell_len(line) for line in [column.title, *(line for cell in cells for line in cell)])
    return min(widest, _FOLDED) if column.folds else widest
