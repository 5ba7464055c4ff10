"""docs/real-account.md lists every difference between the embedded cloud and AWS, each with its proof."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from infra import REPOSITORY

PAGE = (REPOSITORY / "docs/real-account.md").read_text()
TESTS = "\n".join(file.read_text() for file in (REPOSITORY / "tests").rglob("test_*.py"))
UNPROVEN = "only a real account tells"
SWITCH = "embedded"
"""Attribute of a stage that is set for the embedded cloud only."""


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] not in {"switch", "subject"}]


def switches(source: str) -> Iterator[str]:
    """Yield the name of each function that depends on whether the cloud is the embedded one."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            inside = ast.walk(function)
            if any(isinstance(one, ast.Attribute) and one.attr == SWITCH for one in inside):
                yield function.name


def modules() -> list[Path]:
    return sorted((REPOSITORY / "infra").glob("*.py"))


def test_every_difference_has_a_test_or_says_that_there_is_none() -> None:
    assert len(rows()) > 25
    for subject, here, there, proof in rows():
        assert here, subject
        assert there, subject
        assert proof == UNPROVEN or re.fullmatch(r"(`test_\w+`(, )?)+", proof), subject


def test_every_test_that_is_named_exists() -> None:
    named = {test for row in rows() for test in re.findall(r"`(test_\w+)`", row[3])}
    assert {test for test in named if not re.search(rf"def {test}\b", TESTS)} == set()


def test_every_switch_of_a_stage_has_a_row() -> None:
    listed = tuple(name for row in rows() for name in re.findall(r"`(\w+)`", row[0]))
    found = {name for module in modules() for name in switches(module.read_text())}
    assert len(found) > 10
    assert {name for name in found if not name.endswith(listed)} == set()


def test_no_other_module_asks_which_cloud_it_is() -> None:
    """A difference elsewhere would have no row."""
    asking = {module.name for module in modules() if set(switches(module.read_text()))}
    assert asking == {"stage.py"}


def test_a_switch_without_a_row_would_be_found() -> None:
    source = "class Stage:\n    def memory(self):\n        return 512 if self.embedded else 1024\n"
    assert list(switches(source)) == ["memory"]
