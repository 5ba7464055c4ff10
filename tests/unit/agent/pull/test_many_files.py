"""A hundred thousand files, more than are held in memory at any time."""

import json
import subprocess
import sys

from infra.local.demo_files import MIB
from tests.support.many_files import IN_ONE
from tests.support.waiting import HANG_TIMEOUT_S

COUNT = 100_000
MAX_MEMORY_BYTES = 150 * MIB
"""Bytes of memory of both ends together."""


def test_hundred_thousand_files_in_bounded_memory(tmp_path):
    command = [sys.executable, "-m", "tests.support.many_files", tmp_path, str(COUNT)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=HANG_TIMEOUT_S, check=False)
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert (found["files"], found["unchanged"]) == (COUNT, COUNT)
    assert found["memory"] < MAX_MEMORY_BYTES
    last = tmp_path / "archive/t" / f"{COUNT // IN_ONE - 1:04}" / f"{COUNT - 1:07}"
    assert last.read_text() == str(COUNT - 1)
