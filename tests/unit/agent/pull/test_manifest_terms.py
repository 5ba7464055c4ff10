"""Whatever a ledger can hold, a manifest can express, for any listing of a source."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import problem_of
from agent.files.listing import FileEntry
from agent.pull.ledger import Ledger
from agent.pull.manifest_outbox import lines
from agent.rclone.lsjson import parse_listing
from events.base import Problem
from events.manifest import ManifestLine
from tests.support.fakes_agent import TRANSFER

HOP = f"{TRANSFER}-0"
PATHS = st.binary(min_size=1, max_size=40).map(os.fsdecode) | st.text(
    st.characters(), min_size=1, max_size=40
)
NUMBERS = st.integers(-(2**70), 2**70) | st.sampled_from([-1, 0, 2**63 - 1, 2**63, -(2**63)])
YEAR_12047 = 317_998_137_600 * 10**9
ENTRIES = st.builds(
    FileEntry,
    kind=st.sampled_from(["f", "d", "l", "!"]),
    path=PATHS,
    size=NUMBERS,
    mtime_ns=NUMBERS | st.just(YEAR_12047),
    mode=st.integers(0, 0o7777),
    target=PATHS,
    problem=st.none(),
    owner=st.none(),
    sparse=st.just(False),
)
PROBLEMS = st.none() | PATHS.map(lambda path: Problem(code="x", message=path, parameters={"path": path}))


def manifest_lines(ledger: Ledger, ended: float = 0) -> list[ManifestLine]:
    found = [line.model_dump_json() for line in lines(ledger, HOP, ended)]
    return [ManifestLine.model_validate_json(line) for line in found]


MANY = st.lists(ENTRIES, max_size=6, unique_by=lambda entry: entry.path)


@given(MANY, MANY, PROBLEMS, st.floats(allow_nan=True))
@settings(deadline=None, max_examples=60)
def test_every_ledger_entry_has_a_manifest_line(moved, odd, problem, ended):
    moved = [entry for entry in moved if _has_bytes(entry)]
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder, "h.db"))
        try:
            ledger.begin_files(moved)
            for entry in moved:
                assert ledger.known(entry) == "begun"
                ledger.add_directory(entry, made=True)
                ledger.add_name(entry)
            ledger.outcomes.record_unchanged(moved[::3])
            ledger.complete_all((entry, bytes(16)) for entry in moved[::2])
            ledger.add_listed(entry.path for entry in odd)
            ledger.outcomes.record(odd, "failed", problem)
            names = [line.decoded_path for line in manifest_lines(ledger, ended)]
        finally:
            ledger.close()
    wanted = {os.fsencode(entry.path) for entry in [*moved, *filter(_has_bytes, odd)]}
    assert wanted <= set(names)


def _has_bytes(entry: FileEntry) -> bool:
    """Return whether a file system can have these names."""
    try:
        return bool(os.fsencode(entry.path) and os.fsencode(entry.target))
    except UnicodeEncodeError:
        return False


@given(
    st.sampled_from([-1, 0, 1, 2**63 - 1, 2**63, 2**200]),
    st.sampled_from(
        [
            "2026-11-24T00:31:07Z",
            "12047-01-01T00:00:00Z",
            "0000-12-31T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "-0001-01-01T00:00:00Z",
            "",
            "soon",
        ]
    ),
)
def test_out_of_range_numbers_affect_one_file_only(size, written):
    line = f'{{"Path":"odd","Size":{size},"ModTime":"{written}","IsDir":false}}'
    good = '{"Path":"good","Size":1,"ModTime":"2026-11-24T00:31:07Z","IsDir":false}'
    odd, beside = parse_listing([line.encode(), good.encode()])
    assert (odd.path, odd.kind) == ("odd", "!" if size >= 2**63 else "f")
    assert (beside.kind, beside.size) == ("f", 1)


def test_every_file_system_error_is_a_valid_reason(tmp_path):
    ledger = Ledger(tmp_path / "h.db")
    for number in range(1, 134):
        path = os.fsdecode(b"\xff%d" % number)
        problem = problem_of(OSError(number, os.strerror(number)), path)
        ledger.outcomes.record([FileEntry("!", path, problem=problem)], "failed", problem)
    assert {(line.kind, line.outcome) for line in manifest_lines(ledger)} == {("other", "failed")}
    ledger.close()
