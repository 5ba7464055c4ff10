"""Filters match like rclone's: compares patterns with the real rclone over the same files.

Two differences are intended, where rclone departs from its documentation or from what people mean: including
`dir/` includes nothing in dir, and including `raw/*.mov` without a leading slash finds no raw in another
directory, because rclone does not descend into that one. Here both include what they say.
"""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from agent.files.boundary import Boundary
from agent.files.listing import Selection, entries
from agent.files.roots import Tree
from agent.host_info import find_rclone
from events.filters import Filters, Globs

NAMES = ["a", "b.mov", "c[1]", "raw", "A.MOV", "x{y}", "ü.mxf", "b,c"]
PATHS = [
    *NAMES,
    *(f"raw.d/{name}" for name in NAMES),
    *(f"raw.d/deep/{name}" for name in NAMES),
    *(f"2026/raw.d/{name}" for name in NAMES),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for path in PATHS:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    return folder


def by_rclone(folder: Path, include: list[str], exclude: list[str]) -> set[str]:
    rclone = find_rclone()
    assert rclone
    include = [f"{one}**" if one.endswith("/") else one for one in include]
    rules = [f"--filter=- {one}" for one in exclude] + [f"--filter=+ {one}" for one in include]
    last = ["--filter=- **"] if include else []
    answer = subprocess.run(
        [rclone, "lsf", "-R", "--files-only", "--config=", *rules, *last, str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(answer.stdout.splitlines())


def by_listing(folder: Path, include: list[str], exclude: list[str]) -> set[str]:
    with Tree(Boundary(folder), "", path="/data") as tree:
        found = entries(tree, Selection(filters=Filters(include, exclude)))
        return {entry.path for entry in found if entry.kind == "f"}


@pytest.mark.parametrize(
    ("include", "exclude"),
    [
        (["*.mov"], []),
        (["/*.mov"], []),
        (["/raw.d/*.mov"], []),
        (["/raw.d/"], []),
        (["/raw.d/"], ["deep/"]),
        (["/2026/**"], ["*.mov"]),
        (["*.{mov,mxf}"], []),
        (["raw.d/deep/*"], ["a"]),
        (["?"], []),
        (["[ab]*"], []),
        (["[^a]"], []),
        (["c\\[1\\]", "x\\{y\\}"], []),
        ([], ["raw.d/**"]),
        ([], ["raw*/"]),
        ([], ["/raw.d/deep/**", "A.MOV"]),
        (["/raw.d/deep/b.mov", "/2026/raw.d/raw"], []),
        (["ra?"], ["/raw"]),
        (["b,c"], []),
        (["raw.d/**/a"], []),
        (["**"], ["**.mov"]),
    ],
)
def test_the_same_files_are_meant(files: Path, include: list[str], exclude: list[str]) -> None:
    assert by_listing(files, include, exclude) == by_rclone(files, include, exclude)


_PIECES = ["a", "b", ".mov", "raw", ".d", "deep", "/", "/", "*", "**", "?", "[ab]", "{a,b.mov}", "2026", "ü"]


def _means_something(pattern: str) -> bool:
    try:
        TypeAdapter(Globs).validate_python((pattern,))
    except ValidationError:
        return False
    return "//" not in pattern


patterns = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=6).map("".join).filter(_means_something)
anchored = patterns.map(lambda one: f"/{one.removeprefix('/')}" if "/" in one or "**" in one else one)


@settings(max_examples=30, deadline=None)
@given(include=st.lists(anchored, max_size=2), exclude=st.lists(patterns, max_size=2))
def test_so_they_are_with_any_patterns(files: Path, include: list[str], exclude: list[str]) -> None:
    assert by_listing(files, include, exclude) == by_rclone(files, include, exclude)


def test_a_pattern_without_a_slash_in_front_is_looked_for_everywhere(files: Path) -> None:
    assert by_listing(files, ["raw.d/"], ["deep/"]) == {
        *(f"raw.d/{name}" for name in NAMES),
        *(f"2026/raw.d/{name}" for name in NAMES),
    }


@pytest.mark.parametrize("pattern", ["/", "", "a***", "{a", "a}", "[a", "a]b", "{a,{b,c}}", "a\0", "[z-a]"])
def test_a_pattern_that_means_nothing_is_told_so(pattern: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Globs).validate_python((pattern,))
