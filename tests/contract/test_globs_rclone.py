r"""Glob patterns match like rclone's: compares random patterns over random trees with the real rclone.

Sets are the one difference: ours never match a slash, and `[!x]` means what rclone documents, while rclone
itself treats the `!` as a character. A backslash before a letter means that letter, where rclone reads `\d`
as a digit. Which directories are descended into is compared in test_filters_rclone.py.
"""

import subprocess
import tempfile
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from agent.host_info import find_rclone
from events.filters import Filters

LETTERS = "aabbmX1-_ü€,[]{}\\^!*?+()|$.🎬"
NAMES = st.text(LETTERS, min_size=1, max_size=6).filter(lambda name: name.strip("."))
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=4).map("/".join), min_size=1, max_size=30, unique=True)


def escaped(letter: str) -> str:
    return f"\\{letter}" if letter in "*?[]{}\\," else letter


Pattern = tuple[str, str]
"""A pattern in our syntax, and in rclone's."""


def joined(parts: list[Pattern], between: str = "") -> Pattern:
    return between.join(ours for ours, _ in parts), between.join(theirs for _, theirs in parts)


literal = st.sampled_from(LETTERS).map(lambda letter: (escaped(letter), escaped(letter)))
wildcard = st.sampled_from(["*", "**", "?", "/"]).map(lambda text: (text, text))
in_set = st.lists(
    st.sampled_from(["a", "b", "m", "X", "1", "ü", "€", "a-m", "X-b", "\\-", "\\^", "0-9", "🎬", ","]),
    min_size=1, max_size=3,
).map("".join)  # fmt: skip
a_set = st.builds(
    lambda start, inner: (f"[{start}{inner}]", f"[^{inner}/]" if start else f"[{inner}]"),
    st.sampled_from(["", "!", "^"]),
    in_set,
)
simple = st.lists(literal | literal | wildcard | a_set, min_size=1, max_size=5).map(joined)
braces = st.lists(simple | st.just(("", "")), min_size=1, max_size=3).map(
    lambda some: tuple(f"{{{text}}}" for text in joined(some, ","))
)
bodies = st.lists(simple | simple | braces, min_size=1, max_size=3)
starts = st.sampled_from([("", ""), ("", ""), ("/", "/")])
ends = st.sampled_from([("", ""), ("", ""), ("/", "/**"), ("/**", "/**"), (".mX1", ".mX1")])
patterns = st.builds(lambda start, body, end: joined([start, *body, end]), starts, bodies, ends).filter(
    lambda pair: "//" not in pair[1] and "***" not in pair[1] and pair[0].strip("/") != ""
)


def left_by_rclone(folder: Path, text: str) -> set[str]:
    rclone = find_rclone()
    assert rclone
    rules = ["--filter=+ */", f"--filter=- {text}"]  # every directory is looked into
    answer = subprocess.run(
        [rclone, "lsf", "-R", "--files-only", "--config=", *rules, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.splitlines())


def planted(folder: Path, paths: list[str]) -> set[str]:
    """Create the paths as files and return those that could be created beside the others."""
    for path in paths:
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(b"")
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
    return {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(paths=PATHS, pattern=patterns)
def test_a_pattern_leaves_out_what_rclone_leaves_out(paths: list[str], pattern: Pattern) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        there = planted(folder, paths)
        filters = Filters(exclude=[pattern[0]])
        assert {path for path in there if filters.matches(path)} == left_by_rclone(folder, pattern[1])
