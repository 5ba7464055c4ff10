"""The paths in docs/architecture.md name functions that exist in the files beside them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATHS = (
    (ROOT / "docs/architecture.md").read_text().partition("## Four paths")[2].partition("\n## The pull")[0]
)
ROWS = [line.split("|")[2:4] for line in PATHS.splitlines() if line.count("|") == 4 and ".py`" in line]


def defined_names(file: Path) -> set[str]:
    """Return what a module defines: `function`, `Class`, `Class.method` and `method`."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [
                part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            names |= {f"{node.name}.{method}" for method in methods} | set(methods)
    return names


def files_of(cell: str) -> list[Path]:
    """Return the files in a cell; one without a folder lies in the room or folder of one before it."""
    found: list[Path] = []
    for name in re.findall(r"`([\w/]+\.py)`", cell):
        parents = [ROOT, *(parent for file in found for parent in file.parents)]
        found.append(next((parent / name for parent in parents if (parent / name).exists()), ROOT / name))
    return found


@pytest.mark.parametrize(("files", "functions"), ROWS, ids=[row[0].strip() for row in ROWS])
def test_each_step_is_where_the_document_says(files, functions):
    paths = files_of(files)
    assert paths, files
    assert [path.name for path in paths if not path.is_file()] == []
    names = {name for path in paths for name in defined_names(path)} | {path.stem for path in paths}
    for name in re.findall(r"`([\w.]+)`", functions):
        module, _, function = name.partition(".")
        assert name in names or (module in names and function in names), name


def test_there_are_four_paths():
    assert PATHS.count("\n### ") == 4
    assert len(ROWS) > 35
