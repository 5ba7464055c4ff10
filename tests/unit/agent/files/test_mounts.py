"""A directory mounted twice below the destination: its second path is reported and not used.

Nothing is written, compared or deleted under the second path.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.files import mounts
from events.commands import Move
from tests.support.hosts import Hosts

BINDS = 'while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift; exec "$@"'


async def run_mover(hosts: Hosts, move_command: Move, *binds: tuple[str, str]) -> tuple[int, str]:
    """Run a move in a process with mounts of its own; return its exit code and its standard error."""
    unshare = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    names = [str(hosts.archive / "t" / name) for bind in binds for name in bind]
    mover = [sys.executable, "-m", "tests.support.mover_process", str(hosts.archive.parent)]
    command = [*unshare, "bash", "-ec", BINDS, "bash", *names, "--", *mover]
    process = await asyncio.to_thread(
        subprocess.run,
        command,
        input=move_command.model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
    )
    return process.returncode, process.stderr


def fill(directory: Path, **files: str) -> None:
    for name, content in files.items():
        path = directory / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def contents(directory: Path) -> dict[str, str]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): path.read_text() for path in files}


async def test_a_directory_mounted_twice_is_not_written_under_the_second_path(hosts):
    hosts.open_source()
    fill(hosts.data, t__a__x="a", t__b__x="b", t__c="c")
    (hosts.archive / "t/a").mkdir(parents=True)
    (hosts.archive / "t/b").mkdir()
    code, errors = await run_mover(hosts, hosts.order("/data/t/", "/archive/t/", move=True), ("a", "b"))
    assert code
    assert "/archive/t/b is the same directory as /archive/t/a, mounted a second time." in errors
    assert contents(hosts.archive) == {"t/a/x": "a", "t/c": "c"}
    assert contents(hosts.data) == {
        "t/a/x": "a",
        "t/b/x": "b",
        "t/c": "c",
    }  # nothing is deleted when two paths share a directory


async def test_a_mirror_deletes_nothing_through_the_other_path(hosts):
    """It would otherwise delete what has just arrived."""
    fill(hosts.data, t__b__x="new")
    fill(hosts.archive, t__b__mine="m", t__b__x="old")
    (hosts.archive / "t/a").mkdir()
    code, errors = await run_mover(
        hosts, hosts.order("/data/t/", "/archive/t/", delete_extra=True), ("b", "a")
    )
    assert code
    assert "mounted a second time" in errors
    assert contents(hosts.archive) == {"t/b/x": "new"}


async def test_a_parent_mounted_below_the_destination_is_not_written_to(hosts):
    fill(hosts.data, t__a__x="new")
    fill(hosts.archive, x="keep")
    (hosts.archive / "t/a").mkdir(parents=True)
    code, errors = await run_mover(hosts, hosts.order("/data/t/", "/archive/t/"), ("..", "a"))
    assert code
    assert "/archive/t/a is the same directory as /archive/t" in errors
    assert contents(hosts.archive) == {"x": "keep"}


async def test_another_disk_below_the_destination_is_written_to(hosts):
    """So is a directory that is mounted on itself, as systemd's ReadWritePaths= does."""
    fill(hosts.data, t__a__x="a", t__b__x="b")
    fill(hosts.archive, disk__keep="k")
    (hosts.archive / "t/a").mkdir(parents=True)
    (hosts.archive / "t/b").mkdir()
    move_command = hosts.order("/data/t/", "/archive/t/")
    assert await run_mover(hosts, move_command, ("../disk", "a"), ("b", "b")) == (0, "")
    assert contents(hosts.archive) == {"disk/keep": "k", "disk/x": "a", "t/b/x": "b"}


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["8:1 / /"], {}),
        (["8:1 / /", "8:2 / /srv/t/a", "8:3 / /srv/t/b"], {}),
        (["8:1 / /", "8:2 / /srv/t/a", "8:2 / /srv/t/b"], {"b": "a"}),
        (["8:1 / /", "8:2 / /srv/t/a", "8:2 /in /srv/t/b"], {"b": "a/in"}),
        (["8:1 / /", "8:2 /in /srv/t/a", "8:2 / /srv/t/b"], {"b": "a"}),
        (["8:1 / /", "8:1 /srv/t/x /srv/t/b"], {"b": "x"}),
        (["8:1 / /", "8:1 /srv /srv/t/b"], {"b": ""}),
        (["8:1 / /", "8:1 /srv/other /srv/t/b"], {}),
        (["8:1 / /", "8:1 /srv/tx /srv/t/b"], {}),
        (["8:1 / /", "8:1 /srv/t/b /srv/t/b"], {}),
        (["8:1 / /", "8:2 / /srv/t/x", "8:1 /srv/t/x/y /srv/t/b"], {}),
        (["8:1 / /", "8:2 / /srv", "8:2 /t/x /srv/t/b"], {"b": "x"}),
        (["8:1 / /", "8:2 /subvolume /srv", "8:2 /subvolume/t/x /srv/t/b"], {"b": "x"}),
        (["8:1 / /", r"8:1 /srv/t/x\040y /srv/t/b\012\134c"], {"b\n\\c": "x y"}),
    ],
)
def test_which_mounts_are_aliases(tmp_path, lines, found):
    """Parse lines in the format of proc_pid_mountinfo(5)."""
    mountinfo = [
        f"{20 + number} 1 {line} rw shared:1 - ext4 /dev/x rw\n" for number, line in enumerate(lines)
    ]
    (tmp_path / "mountinfo").write_text("".join(mountinfo))
    assert mounts.aliases("/srv/t", tmp_path / "mountinfo") == found
