"""Tables on terminals of any width."""

import pytest
from rich.cells import cell_len
from rich.console import Console

from agent.cli import output, tables
from agent.cli.tables import Column

COLUMNS = (
    Column("NAME"),
    Column("WHEN", leaves=1),
    Column("SIZE", right=True, leaves=2),
    Column("TO", folds=True),
)
PLACES = ["server-c:/archive/processed/名前", "[b]"]
ROW: tuple[tables.Cell, ...] = ("server-b", "2 min ago", "12 MiB", PLACES)


def shown(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setattr(output, "console", lambda: Console(width=width, markup=False, emoji=False))
    tables.show(COLUMNS, [ROW])
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("location", "width", "kept"),
    [
        ("server-b:/data/raw/ep1.mov", 26, "server-b:/data/raw/ep1.mov"),
        ("server-b:/data/raw/ep1.mov", 20, "server-b:…aw/ep1.mov"),
        ("server-b:/data/raw/ep1.mov", 10, "…w/ep1.mov"),
        ("s3://media/new-videos/名前.mov", 20, "s3://media…/名前.mov"),
        ("/data/a-long-name", 8, "…ng-name"),
    ],
)
def test_a_location_keeps_its_end(location: str, width: int, kept: str) -> None:
    assert tables.elided(location, width) == kept
    assert cell_len(kept) <= width


def test_locations_share_the_room_of_80_columns_in_one_line_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = (Column("ID"), Column("FROM", elides=True, leaves=2), Column("TO", elides=True, leaves=1))
    rows = [
        ("k3v9q0d7m2x8c5n1b6za", f"server-b:/data/{'deep/' * 20}ep{n}.mov", "server-c:/a/") for n in (1, 2)
    ]
    monkeypatch.setattr(output, "console", lambda: Console(width=80, markup=False, emoji=False))
    tables.show(columns, rows)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 3
    assert all(cell_len(line) <= 80 for line in lines)
    assert "ep1.mov  server-c:/a/" in lines[1]
    assert "server-b:…" in lines[1]


def test_where_there_is_room_nothing_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    titles, first, second = shown(200, monkeypatch, capsys)
    assert titles.split() == ["NAME", "WHEN", "SIZE", "TO"]
    assert first == "server-b  2 min ago  12 MiB  server-c:/archive/processed/名前"
    assert second.strip() == "[b]"


@pytest.mark.parametrize(
    ("width", "titles"), [(50, "NAME WHEN SIZE TO"), (40, "NAME SIZE TO"), (28, "NAME TO")]
)
def test_columns_leave_in_their_order_and_the_others_keep_every_letter(
    width: int, titles: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(width, monkeypatch, capsys)
    assert lines[0].split() == titles.split()
    assert all(cell_len(line) <= width for line in lines)
    last = "".join(line[len("server-b  ") :].strip() for line in lines[1:])
    assert "server-b" in lines[1]
    assert "名前" in last
