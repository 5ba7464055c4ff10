"""`make audit`, and CI, which runs it: what is found fails, and a source that does not answer is named."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from infra import REPOSITORY
from tests.support.waiting import HANG_TIMEOUT_S

CLEAN = "exit 0"
VULNERABLE = "echo 'somepackage 1.0 PYSEC-2026-1'; exit 1"
AWAY = "echo 'ENOTFOUND: no such host' >&2; exit 1"


def audit(folder: Path, pypi: str, npm: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the script with stand-ins for pip-audit and npm."""
    tree = folder / "tree"
    programs = {
        "infra/local/setup.sh": CLEAN,
        ".crosshaul/env/bin/pip-audit": pypi,
        ".crosshaul/node/npm": npm,
        ".crosshaul/node/node": CLEAN,
    }
    for name, body in programs.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    (tree / ".crosshaul/node.path").write_text(str(tree / ".crosshaul/node/node"))
    shutil.copy(REPOSITORY / "infra/local/audit.sh", tree / "infra/local")
    return subprocess.run(
        [tree / "infra/local/audit.sh", *options],
        capture_output=True,
        text=True,
        timeout=HANG_TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("pypi", "npm", "status", "in_ci"),
    [
        (CLEAN, CLEAN, 0, 0),
        (VULNERABLE, CLEAN, 1, 1),
        (CLEAN, VULNERABLE, 1, 1),
        (AWAY, CLEAN, 2, 0),
        (CLEAN, AWAY, 2, 0),
        (VULNERABLE, AWAY, 1, 1),
        (AWAY, VULNERABLE, 1, 1),
    ],
)
def test_what_is_known_fails_and_what_was_not_asked_is_said(
    tmp_path: Path, pypi: str, npm: str, status: int, in_ci: int
) -> None:
    done = audit(tmp_path, pypi, npm)
    assert done.returncode == status
    assert ("could not be reached" in done.stderr) == (AWAY in (pypi, npm))
    assert ("PYSEC-2026-1" in done.stdout) == (VULNERABLE in (pypi, npm))
    assert audit(tmp_path, pypi, npm, "--if-reachable").returncode == in_ci


STUB = """#!/bin/sh
echo "words of $0 $*"
case "$0 $*" in *"$FAILING"*) exit 1 ;; esac
"""


@pytest.mark.parametrize(
    "failing", ["audit.sh --if-reachable", "make lint", "make licences", "make demo", "make test"]
)
def test_each_part_that_fails_fails_ci_after_all_have_said_what_they_found(
    tmp_path: Path, failing: str
) -> None:
    programs = [
        tmp_path / name
        for name in ("infra/local/setup.sh", "infra/local/audit.sh", ".crosshaul/env/bin/pytest", "bin/make")
    ]
    for program in programs:
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(STUB)
        program.chmod(0o755)
    ci = tmp_path / ".ci/run"
    ci.parent.mkdir()
    shutil.copy(REPOSITORY / ".ci/run", ci)

    def run(failing: str) -> subprocess.CompletedProcess[str]:
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", str(ci)],
            env=os.environ | {"PATH": path, "FAILING": failing},
            capture_output=True,
            text=True,
            timeout=HANG_TIMEOUT_S,
            check=False,
        )

    fails, passes = run(failing), run("nothing")
    assert (fails.returncode, passes.returncode) == (1, 0)
    for part in ("audit.sh --if-reachable", "make lint", "make licences", "make demo ONCE=1", "make test"):
        assert f"{part}\n" in fails.stdout
        assert f"{part}\n" in passes.stdout
