"""The paths in docs/architecture.md name functions that exist, and tests change no constants."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.scheduling import LONGEST_FIRST

ROOT = Path(__file__).parents[2]
PATHS = (
    (ROOT / "docs/architecture.md").read_text().partition("## Four paths")[2].partition("\n## The pull")[0]
)
ROWS = [line.split("|")[2:4] for line in PATHS.splitlines() if line.count("|") == 4 and ".py`" in line]


def defined_names(file: Path) -> set[str]:
    """Return what a module defines: `function`, `Class`, `Class.method`, `method` and `CONSTANT`."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
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


def test_every_file_that_starts_first_exists():
    assert [name for name in LONGEST_FIRST if not (ROOT / name).exists()] == []


CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]+")


def changed_constants(tree: ast.AST) -> list[int]:
    """Return the lines of a test that set a constant of a module: `setattr`, `patch` or an assignment."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            named = [part.value for part in node.args[:2] if isinstance(part, ast.Constant)]
            names = [str(name).rpartition(".")[2] for name in named] if function in SETTERS else []
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.attr for target in targets if isinstance(target, ast.Attribute)]
        else:
            continue
        lines += [node.lineno for name in names if CONSTANT.fullmatch(name)]
    return lines


SETTERS = {"setattr", "patch", "object"}


def test_no_test_changes_a_constant():
    """What is tuned in tests is injected (`LaneLimits`, `PullLimits`, `Timing`, or a parameter).

    A changed constant is changed for the whole process, and a test of one that was renamed tests nothing.
    """
    found = {
        f"{file.relative_to(ROOT)}:{line}"
        for file in (ROOT / "tests").rglob("*.py")
        for line in changed_constants(ast.parse(file.read_text()))
    }
    assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr(listener, "BACKOFF_S", 0)',
        'patch.setattr("agent.lane.listener._BACKOFF_S", 0)',
        'mock.patch.object(listener, "BACKOFF_S", 0)',
        'mock.patch("agent.lane.listener.BACKOFF_S", 0)',
        "listener.BACKOFF_S = other.BACKOFF_S = 0",
        "listener.BACKOFF_S: int = 0",
    ],
)
def test_every_way_to_change_a_constant_is_found(line):
    assert set(changed_constants(ast.parse(line))) == {1}
    assert changed_constants(ast.parse(line.replace("BACKOFF_S", "backoff_s"))) == []
