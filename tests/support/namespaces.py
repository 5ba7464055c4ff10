"""Run a part of a test in namespaces of its own, in which it may mount what the machine never sees."""

import subprocess
import sys
from pathlib import Path

from tests.support.waiting import HANG_TIMEOUT_S

IN_NAMESPACES = ("unshare", "-rm")
"""Command prefix: run in a user and a mount namespace of its own."""
_REPOSITORY = Path(__file__).parents[2]


def run_module(module: str, *arguments: object, apart: bool = True) -> None:
    """Run a module of the tests as a program; fail with what it says if it fails."""
    process = subprocess.run(
        [*(IN_NAMESPACES if apart else ()), sys.executable, "-m", module, *map(str, arguments)],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        timeout=HANG_TIMEOUT_S,
        check=False,
    )
    assert process.returncode == 0, process.stderr
