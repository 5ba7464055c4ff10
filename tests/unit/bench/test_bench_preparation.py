"""A run keeps its names on disk, and nothing in memory."""

import pytest

from tests.bench.preparation import clear
from tests.bench.workloads import files_of, size_of, write


@pytest.fixture
def left(tmp_path):
    folder = tmp_path / "destination-1"
    write(folder / "reel 000/frame-000001.dpx", 1000)
    (folder / "gone").symlink_to("nowhere")
    return folder


def test_on_a_disk_the_bytes_go_and_no_inode(left):
    names = files_of(left)
    clear(left, "disk")
    assert files_of(left) == names
    assert size_of(left).bytes == 0


def test_in_memory_all_goes(left):
    clear(left, "memory")
    assert not left.exists()
