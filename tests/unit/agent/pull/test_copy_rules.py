"""Test what a push does with a file, given what exists at the destination."""

import pytest

from agent.files.listing import FileEntry
from agent.pull.copy_rules import predict

NS = 10**9
SECOND, MINUTE = NS, 60 * NS
MTIME = 1_700_000_000 * NS
FILE = FileEntry("f", "a", 500, MTIME + 300_000_000)
"""rclone sees whole seconds of its time."""


def there(size: int = 500, later: int = 0) -> FileEntry:
    return FileEntry("f", "a", size, MTIME + later)


@pytest.mark.parametrize(
    ("stands", "always", "newer", "never", "fail"),
    [
        (None, "missing", "missing", "missing", "missing"),
        (there(), "identical", "identical", "identical", "identical"),
        (there(later=-300_000_000), "identical", "identical", "identical", "identical"),
        (there(later=999_999_000), "identical", "identical", "identical", "identical"),
        (there(later=SECOND), "different", "skip", "skip", "refused"),
        (there(later=-SECOND), "different", "different", "skip", "refused"),
        (there(size=7), "different", "different", "skip", "refused"),
        (there(size=7, later=MINUTE), "different", "skip", "skip", "refused"),
        (there(size=7, later=-MINUTE), "different", "different", "skip", "refused"),
        (there(size=-1), "identical", "identical", "identical", "identical"),
    ],
)
def test_destination_that_keeps_times(stands, always, newer, never, fail):
    found = [predict(FILE, stands, overwrite, 1) for overwrite in ("always", "newer", "never", "fail")]
    assert found == [always, newer, never, fail]


@pytest.mark.parametrize(
    ("stands", "always", "newer", "never", "fail"),
    [
        (there(later=MINUTE), "different", "identical", "identical", "refused"),
        (there(size=7, later=MINUTE), "different", "skip", "skip", "refused"),
        (there(later=-MINUTE), "different", "different", "identical", "refused"),
    ],
)
def test_destination_without_times(stands, always, newer, never, fail):
    found = [predict(FILE, stands, overwrite, None) for overwrite in ("always", "newer", "never", "fail")]
    assert found == [always, newer, never, fail]


def test_destination_with_a_precision_of_minutes():
    assert predict(FILE, there(later=59 * SECOND), "always", MINUTE) == "identical"
    assert predict(FILE, there(later=MINUTE), "always", MINUTE) == "different"
