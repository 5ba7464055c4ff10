"""install.sh: refuses what it cannot carry out, before it touches anything."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "agent/install.sh"
SOURCE = ("--package", "x.whl", "--lock", "agent.txt")


def install(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_help_names_every_option_and_no_code():
    done = install("--help")
    assert done.returncode == 0
    for option in (
        "--package",
        "--lock",
        "--api",
        "--root",
        "--listen",
        "--user",
        "--prefix",
        "--dry-run",
        "--token-file",
        "--name",
    ):
        assert option in done.stdout
    assert "set -e" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--package is missing"),
        (("--package", "x.whl"), "--lock is missing"),
        (("--package",), "--package needs a value"),
        (("--token", "secret"), "unknown option --token"),
        (SOURCE, "name at least one --root"),
        ((*SOURCE, "--root", "data=rw"), "write it as /absolute/path:ro or :rw"),
        ((*SOURCE, "--root", "/data"), "write it as /absolute/path:ro or :rw"),
        ((*SOURCE, "--root", '/da"ta=rw'), "quotes and backslashes"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(tmp_path, arguments, words):
    done = install("--prefix", str(tmp_path), *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_script_is_valid_bash():
    subprocess.run(["bash", "-n", SCRIPT], check=True)
