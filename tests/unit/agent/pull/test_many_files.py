"""A hundred thousand files, more than are ever held in memory."""

import json
import subprocess
import sys

from infra.local.demo_files import MIB
from tests.support.many_files import IN_ONE

COUNT = 100_000
MOST = 150 * MIB
"""Of memory, both ends together."""


def test_a_hundred_thousand_files_arrive_within_the_memory_of_a_few(tmp_path):
    command = [sys.executable, "-m", "tests.support.many_files", tmp_path, str(COUNT)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["files"], found["unchanged"]) == (COUNT, COUNT)
    assert found["memory"] < MOST
    last = tmp_path / "archive/t" / f"{COUNT // IN_ONE - 1:04}" / f"{COUNT - 1:07}"
    assert last.read_text() == str(COUNT - 1)
