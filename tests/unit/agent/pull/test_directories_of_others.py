"""Directories at the destination that belong to another user, or that pass on their group."""

import os
import stat
import struct
from pathlib import Path

import pytest

import agent
from agent.files.digests import MAX_PACKED_FILE_BYTES
from events.progress import Losses
from tests.support.hosts import ways

OTHER = 54_321
"""A user, and a group, who is not the agent."""
COLLEAGUE = 54_322
_ENTRY = struct.Struct("<HHI")
_NAMED_USER = 2
FOR_A_COLLEAGUE = struct.pack("<I", 2) + b"".join(
    _ENTRY.pack(tag, permissions, who)
    for tag, permissions, who in (
        (1, 7, 2**32 - 1),  # the owner
        (_NAMED_USER, 7, COLLEAGUE),
        (4, 5, 2**32 - 1),  # the group
        (16, 7, 2**32 - 1),  # the mask
        (32, 5, 2**32 - 1),  # others
    )
)
"""A default ACL: acl(5), in the format of Linux."""


def named_users(acl: bytes) -> set[int]:
    """Return the users whom an access control list names."""
    return {who for tag, _, who in _ENTRY.iter_unpack(acl[4:]) if tag == _NAMED_USER}


@pytest.fixture
def unprivileged(monkeypatch):
    """Refuse what the kernel refuses to a user who may write into a directory and does not own it."""
    if os.geteuid():
        pytest.skip("only root can give a directory to another user")

    def owners_only(call):
        def checked(descriptor, *args, **options):
            if os.fstat(descriptor).st_uid == OTHER:
                raise PermissionError(1, "Operation not permitted")
            return call(descriptor, *args, **options)

        return checked

    for name in ("fchmod", "utime"):
        monkeypatch.setattr(os, name, owners_only(getattr(os, name)))


@ways
async def test_mirror_into_a_directory_of_another_user_succeeds(hosts, way, unprivileged):
    (hosts.data / "sub").mkdir()
    (hosts.data / "sub/new").write_text("new")
    (hosts.archive / "sub").mkdir()
    (hosts.archive / "sub/old").write_text("old")
    for directory in (hosts.archive, hosts.archive / "sub"):
        os.chown(directory, OTHER, OTHER)
    await hosts.move(getattr(hosts, way)("/data/", "/archive/", delete_extra=True))
    assert [path.name for path in (hosts.archive / "sub").iterdir()] == ["new"]


async def test_one_directory_that_cannot_be_finished_leaves_the_others_with_their_times(hosts, monkeypatch):
    for name in ("a", "b", "c"):
        (hosts.data / name).mkdir()
        os.utime(hosts.data / name, ns=(10**18, 10**18))
    utime = os.utime

    def broken(descriptor, **times):
        if os.fstat(descriptor).st_ino == (hosts.archive / "a").stat().st_ino:
            raise OSError(5, "Input/output error")
        utime(descriptor, **times)

    monkeypatch.setattr(os, "utime", broken)
    error = await hosts.fails(hosts.order("/data/", "/archive/"))
    assert [failure.path for failure in error.failures] == ["/archive/a"]
    assert [(hosts.archive / name).stat().st_mtime_ns for name in ("b", "c")] == [10**18] * 2


@ways
async def test_group_of_a_setgid_directory_is_inherited_by_this_and_the_next_transfer(hosts, way):
    if os.geteuid():
        pytest.skip("only root can give a directory to another group")
    os.chown(hosts.archive, 0, OTHER)
    hosts.archive.chmod(0o2775)
    (hosts.data / "sub").mkdir()
    (hosts.data / "sub/one").write_text("1")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    (hosts.data / "sub/two").write_text("2")
    (hosts.data / "sub/deeper").mkdir()
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    for name in ("", "sub", "sub/one", "sub/two", "sub/deeper"):
        found = (hosts.archive / name).stat()
        assert found.st_gid == OTHER
        assert bool(found.st_mode & stat.S_ISGID) == stat.S_ISDIR(found.st_mode)


@ways
async def test_default_acl_of_a_directory_is_inherited_by_this_and_the_next_transfer(hosts, way):
    """A colleague who was let into the destination's directory is let into what arrives there, too."""
    try:
        os.setxattr(hosts.archive, "system.posix_acl_default", FOR_A_COLLEAGUE)
    except OSError:
        pytest.skip("this disk has no access control lists")
    (hosts.data / "sub/deeper").mkdir(parents=True)
    (hosts.data / "sub/small").write_text("1")
    (hosts.data / "sub/name").hardlink_to(hosts.data / "sub/small")
    (hosts.data / "sub/big").write_bytes(os.urandom(2 * MAX_PACKED_FILE_BYTES))
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    (hosts.data / "sub/deeper/later").write_text("2")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    for path in hosts.archive.rglob("*"):
        assert named_users(os.getxattr(path, "system.posix_acl_access")) == {COLLEAGUE}, path
        if path.is_dir():
            assert os.getxattr(path, "system.posix_acl_default") == FOR_A_COLLEAGUE
        assert path.stat().st_mode == (hosts.data / path.relative_to(hosts.archive)).stat().st_mode
    assert len(list(hosts.archive.rglob("*"))) == 6


async def test_a_setgid_directory_keeps_the_source_s_time_where_its_mode_may_not_be_set(hosts, monkeypatch):
    """A security module or a sandbox may refuse every mode with setgid, also the one that is there."""
    hosts.archive.chmod(0o2775)
    (hosts.data / "sub").mkdir(mode=0o700)
    for directory in (hosts.data / "sub", hosts.data):
        os.utime(directory, ns=(10**18, 10**18))
    fchmod = os.fchmod

    def without_setgid(descriptor: int, mode: int) -> None:
        if mode & stat.S_ISGID:
            raise PermissionError(1, "Operation not permitted")
        fchmod(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", without_setgid)
    await hosts.move(hosts.order("/data/", "/archive/"))
    for directory in (hosts.archive, hosts.archive / "sub"):
        assert directory.stat().st_mtime_ns == 10**18
        assert directory.stat().st_mode & stat.S_ISGID
    assert hosts.progress.lost == Losses(mode=2)


def test_the_agent_s_unit_lets_directories_keep_setgid():
    folder = Path(agent.__file__).parent
    assert "RestrictSUIDSGID=" not in (folder / "crosshaul-agent.service").read_text()
    assert "RestrictSUIDSGID=yes" in (folder / "crosshaul-update.service").read_text()  # it moves no files
