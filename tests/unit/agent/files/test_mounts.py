"""A directory that is mounted below the destination a second time has two paths: the second one is named, and
nothing is written, compared or removed under it."""

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


async def carried(hosts: Hosts, order: Move, *binds: tuple[str, str]) -> tuple[int, str]:
    """By a process with mounts of its own: its exit code, and what it says."""
    own = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    names = [str(hosts.archive / "t" / name) for bind in binds for name in bind]
    mover = [sys.executable, "-m", "tests.support.mover_process", str(hosts.archive.parent)]
    command = [*own, "bash", "-ec", BINDS, "bash", *names, "--", *mover]
    process = await asyncio.to_thread(
        subprocess.run, command, input=order.model_dump_json(), capture_output=True, text=True, check=False
    )
    return process.returncode, process.stderr


def fill(folder: Path, **files: str) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


async def test_two_directories_that_are_one_do_not_overwrite_each_other(hosts):
    hosts.open_source()
    fill(hosts.data, t__a__x="a", t__b__x="b", t__c="c")
    (hosts.archive / "t/a").mkdir(parents=True)
    (hosts.archive / "t/b").mkdir()
    code, said = await carried(hosts, hosts.order("/data/t/", "/archive/t/", move=True), ("a", "b"))
    assert code
    assert "/archive/t/b is the same directory as /archive/t/a, mounted a second time." in said
    assert contents(hosts.archive) == {"t/a/x": "a", "t/c": "c"}
    assert contents(hosts.data) == {"t/a/x": "a", "t/b/x": "b", "t/c": "c"}  # nothing goes on such a proof


async def test_a_mirror_removes_nothing_by_way_of_the_other_name(hosts):
    """Which would be what has just arrived."""
    fill(hosts.data, t__b__x="new")
    fill(hosts.archive, t__b__mine="m", t__b__x="old")
    (hosts.archive / "t/a").mkdir()
    code, said = await carried(hosts, hosts.order("/data/t/", "/archive/t/", delete_extra=True), ("b", "a"))
    assert code
    assert "mounted a second time" in said
    assert contents(hosts.archive) == {"t/b/x": "new"}


async def test_what_lies_above_the_destination_is_not_written_by_way_of_it(hosts):
    fill(hosts.data, t__a__x="new")
    fill(hosts.archive, x="keep")
    (hosts.archive / "t/a").mkdir(parents=True)
    code, said = await carried(hosts, hosts.order("/data/t/", "/archive/t/"), ("..", "a"))
    assert code
    assert "/archive/t/a is the same directory as /archive/t" in said
    assert contents(hosts.archive) == {"x": "keep"}


async def test_a_disk_of_its_own_below_the_destination_is_written_to(hosts):
    """And so is a directory that is mounted in its own place, as systemd's ReadWritePaths= does it."""
    fill(hosts.data, t__a__x="a", t__b__x="b")
    fill(hosts.archive, disk__keep="k")
    (hosts.archive / "t/a").mkdir(parents=True)
    (hosts.archive / "t/b").mkdir()
    order = hosts.order("/data/t/", "/archive/t/")
    assert await carried(hosts, order, ("../disk", "a"), ("b", "b")) == (0, "")
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
def test_which_mounts_are_doubled(tmp_path, monkeypatch, lines, found):
    """Lines as proc_pid_mountinfo(5) has them."""
    told = [f"{20 + number} 1 {line} rw shared:1 - ext4 /dev/x rw\n" for number, line in enumerate(lines)]
    (tmp_path / "mountinfo").write_text("".join(told))
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "mountinfo")
    assert mounts.doubled("/srv/t") == found
