"""What has the name of a hop's partial file is neither written to nor waited for, unless it is that file."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.files.digests import digest_of
from agent.files.paths import PARTIAL_PREFIX
from agent.files.roots import Tree
from infra.local.demo_files import MIB
from tests.support.hosts import Hosts, ways

BIG = 20 * MIB


def partial(hosts: Hosts, hop_id: str, name: str) -> Path:
    """Return the place of a partial file, which everyone can compute who sees another one of the hop."""
    return hosts.archive / "t" / f"{PARTIAL_PREFIX}{hop_id}-{digest_of(name.encode())[:8].hex()}"


def make_socket(path: Path, _victim: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(path.parent, os.O_PATH)
        try:  # a socket's path has at most 107 bytes
            listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)


def make_own_file(path: Path, _victim: Path) -> None:
    path.write_bytes(b"of another user, who keeps it open")


PLANTED: dict[str, Callable[[Path, Path], object]] = {
    "hard link": lambda path, victim: os.link(victim, path),
    "symbolic link": lambda path, victim: path.symlink_to(victim),
    "link to nothing": lambda path, victim: path.symlink_to(victim.with_name("nothing")),
    "pipe": lambda path, _: os.mkfifo(path),
    "socket": make_socket,
    "file": make_own_file,
}
planted = pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)


@pytest.fixture
def victim(hosts: Hosts) -> Path:
    """Return a file beside the destination, such as one that was delivered before."""
    file = hosts.archive / "victim"
    file.write_bytes(b"delivered before")
    file.chmod(0o640)
    return file


def state(file: Path) -> tuple[bytes, int]:
    return file.read_bytes(), file.stat().st_mode


@ways
@planted
async def test_nothing_planted_in_a_partial_file_s_place_is_written_to(hosts, victim, way, plant):
    """A kill between a hard link and its rename leaves one, too: what it names was delivered."""
    (hosts.data / "t").mkdir()
    (hosts.archive / "t").mkdir()
    contents = {"small": b"small", "read-only.": b"read only", "big": os.urandom(BIG)}
    for name, content in contents.items():
        (hosts.data / "t" / name).write_bytes(content)
    (hosts.data / "t/read-only.").chmod(0o444)
    (hosts.data / "t/link").symlink_to("small")
    (hosts.data / "t/another name").hardlink_to(hosts.data / "t/small")
    before = state(victim)
    order = getattr(hosts, way)("/data/t/", "/archive/t/")
    names = (*contents, "link", "another name")
    for name in names:
        plant(partial(hosts, order.hop_id, name), victim)
    tried = partial(hosts, order.hop_id, "read-only.")
    plant(tried.with_name(f"{tried.name}."), victim)  # with that name, the agent tries if dots are kept
    await hosts.move(order)
    assert state(victim) == before
    assert not victim.with_name("nothing").exists()
    assert {name: (hosts.archive / "t" / name).read_bytes() for name in contents} == contents
    assert victim.stat().st_ino not in [(hosts.archive / "t" / name).lstat().st_ino for name in names]
    assert (hosts.archive / "t/link").is_symlink()


@planted
async def test_nothing_that_replaces_a_partial_file_while_a_hop_is_paused_is_written_to(hosts, victim, plant):
    (hosts.data / "t").mkdir()
    content = os.urandom(2 * BIG)
    (hosts.data / "t/big").write_bytes(content)
    before = state(victim)
    order = hosts.order("/data/t/", "/archive/t/", streams=1)
    await hosts.moves_until(order, lambda progress: progress.bytes_done > BIG)
    place = partial(hosts, order.hop_id, "big")
    place.unlink()
    plant(place, victim)
    await hosts.move(order.model_copy(update={"attempt": 2}))
    assert state(victim) == before
    assert (hosts.archive / "t/big").read_bytes() == content


async def test_unwritable_file_in_a_partial_file_s_place_does_not_fail_the_hop(hosts, victim, monkeypatch):
    """It was made writable and then refused, since it is another file's name, too."""
    (hosts.data / "t").mkdir()
    content = os.urandom(2 * BIG)
    (hosts.data / "t/big").write_bytes(content)
    victim.chmod(0o440)
    before = state(victim)
    order = hosts.order("/data/t/", "/archive/t/", streams=1)
    await hosts.moves_until(order, lambda progress: progress.bytes_done > BIG)
    place = partial(hosts, order.hop_id, "big")
    place.unlink()
    place.hardlink_to(victim)
    really = Tree.open_beside

    def open_beside(tree: Tree, rel: str, name: str, flags: int, mode: int = 0o666) -> int:
        is_existing = flags & os.O_ACCMODE and not flags & os.O_CREAT
        if is_existing and not tree.stat_beside(rel, name).st_mode & 0o200:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # for root, too
        return really(tree, rel, name, flags, mode)

    monkeypatch.setattr(Tree, "open_beside", open_beside)
    await hosts.move(order.model_copy(update={"attempt": 2}))
    assert state(victim) == before
    assert (hosts.archive / "t/big").read_bytes() == content
