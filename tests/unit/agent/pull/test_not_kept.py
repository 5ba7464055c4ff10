"""What does not arrive is counted in the transfer and named in the manifest."""

import errno
import gzip
import io
import os
import struct
from pathlib import Path

import pytest

from agent.config import RootConfig
from agent.files import disk
from agent.files.listing import Selection, entries
from agent.files.roots import Roots
from agent.pull.manifest_outbox import ManifestOutbox, drop, write
from events.manifest import ManifestLine
from events.progress import Losses
from infra.local.demo_files import MIB, differences, listing
from tests.support.hosts import Hosts


@pytest.fixture
def hosts(tmp_path: Path):
    hosts = Hosts(tmp_path)
    hosts.manifests = ManifestOutbox(tmp_path / "manifests")
    yield hosts
    hosts.close()


ways = pytest.mark.parametrize("way", ["order", "local"])
"""Routes: over the lane, and on one host."""

ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, permissions, who)
    for tag, permissions, who in (
        (0x01, 6, 2**32 - 1),  # the owner
        (0x02, 4, 54_321),  # a named user
        (0x04, 4, 2**32 - 1),  # the group
        (0x10, 4, 2**32 - 1),  # the mask
        (0x20, 4, 2**32 - 1),  # others
    )
)


def manifest(hosts: Hosts) -> dict[str, ManifestLine]:
    (ledger,) = hosts.manifests.waiting()
    zipped = io.BytesIO()
    write(ledger, zipped)
    text = gzip.decompress(zipped.getvalue()).decode()
    return {line.path: line for line in map(ManifestLine.model_validate_json, text.splitlines())}


def set_attribute(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError:
        pytest.skip(f"this disk has no {name}")


FAT, FAT_MODE = 0x4D44, 0o755


def keep_one_mode(monkeypatch, refusal: int | None) -> None:
    """Let every file and directory have one mode, as on FAT; others are refused with this error, if any."""
    really = os.fchmod

    def set_mode(descriptor: int, mode: int) -> None:
        if refusal and mode != FAT_MODE:
            raise OSError(refusal, os.strerror(refusal))
        really(descriptor, FAT_MODE)

    monkeypatch.setattr(os, "fchmod", set_mode)
    monkeypatch.setattr(disk, "file_system_type", lambda _: FAT)


@ways
@pytest.mark.parametrize("refusal", [errno.EPERM, errno.EACCES, None], ids=["Linux", "NFS server", "FUSE"])
async def test_files_arrive_on_a_disk_that_keeps_no_modes(hosts, way, refusal, monkeypatch):
    """A big file failed on FAT and exFAT, since its mode cannot be set there; others lost theirs unsaid."""
    modes = {"big": 0o640, "small": 0o666, "tool": 0o755, "inner/secret": 0o600}
    for name, mode in modes.items():
        (hosts.data / name).parent.mkdir(exist_ok=True)
        (hosts.data / name).write_bytes(os.urandom(2 * MIB if name == "big" else 9))
        (hosts.data / name).chmod(mode)
    (hosts.data / "inner").chmod(0o700)
    keep_one_mode(monkeypatch, refusal)
    for unchanged in (0, len(modes)):
        await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
        assert differences(listing(hosts.data), listing(hosts.archive)) == []
        assert hosts.progress.lost == Losses(mode=4)
        assert hosts.progress.files_unchanged == unchanged
        found = manifest(hosts)
        assert {path for path, line in found.items() if line.lost == ("mode",)} == {*modes, "inner"} - {
            "tool"
        }
        drop(*hosts.manifests.waiting())
    assert not list(hosts.archive.rglob(".crosshaul-*"))


@ways
async def test_everything_that_is_not_kept_is_counted_and_named(hosts, way):
    for name in ("plain", "tagged", "shared", "program", "later/x"):
        (hosts.data / name).parent.mkdir(exist_ok=True)
        (hosts.data / name).write_text(name)
    set_attribute(hosts.data / "tagged", "user.comment", b"keep me")
    set_attribute(hosts.data / "shared", "system.posix_acl_access", ACL)
    set_attribute(hosts.data / "later", "user.comment", b"keep me")
    (hosts.data / "program").chmod(0o4755)
    (hosts.data / "later").chmod(0o555)
    (hosts.data / ".crosshaul-notes").write_text("mine")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert hosts.progress.lost == Losses(xattr=2, acl=1, setid=1, mode=1, name=1)
    assert (hosts.archive / "program").stat().st_mode & 0o7777 == 0o755
    found = manifest(hosts)
    assert {path: line.lost for path, line in found.items() if line.lost} == {
        "tagged": ("xattr",),
        "shared": ("acl",),
        "program": ("setid",),
        "later": ("xattr", "mode"),
        ".crosshaul-notes": ("name",),
    }
    left_out = found[".crosshaul-notes"]
    assert (left_out.outcome, left_out.kind) == ("left", "other")
    assert left_out.problem
    assert "/data/.crosshaul-notes" in left_out.problem.message


@ways
async def test_what_was_not_kept_before_is_counted_again_when_nothing_is_sent(hosts, way):
    (hosts.data / "program").write_text("x")
    (hosts.data / "program").chmod(0o6755)
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert hosts.progress.files_unchanged == 1
    assert hosts.progress.lost == Losses(setid=1)


@ways
async def test_times_that_no_disk_or_message_holds_are_named(hosts, way):
    year_2400 = 13_569_465_600 * 10**9
    (hosts.data / "far").write_text("x")
    os.utime(hosts.data / "far", ns=(year_2400, year_2400))
    if (hosts.data / "far").stat().st_mtime_ns != year_2400:
        pytest.skip("this disk does not hold the year 2400")
    (hosts.data / "near").write_text("x")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert hosts.progress.lost == Losses(time=1)
    assert manifest(hosts)["far"].lost == ("time",)
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert hosts.progress.files_unchanged == 2


@ways
async def test_mirror_neither_fails_for_nor_removes_a_reserved_name(hosts, way):
    (hosts.data / "a").touch()
    (hosts.archive / ".crosshaul-notes").touch()
    (hosts.archive / "extra").touch()
    await hosts.move(getattr(hosts, way)("/data/", "/archive/", delete_extra=True))
    assert sorted(path.name for path in hosts.archive.iterdir()) == [".crosshaul-notes", "a"]


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        (".crosshaul-abcdefghij0123456789-0", 0),
        (".crosshaul-abcdefghij0123456789-17-0123456789abcdef", 0),
        (f".crosshaul-mark-{'0' * 32}", 0),
        (".crosshaul-notes", 1),
        (".crosshaul-", 1),
        (".crosshaul-abcdefghij0123456789", 1),
    ],
)
def test_only_names_that_crosshaul_gives_are_left_out_without_a_word(tmp_path, name, problems):
    (tmp_path / name).touch()
    roots = Roots([RootConfig(path="/data", access="ro", directory=tmp_path)])
    with roots.tree("/data", writing=False) as tree:
        found = [entry for entry in entries(tree, Selection()) if entry.path]
    assert [entry.problem.code for entry in found if entry.problem] == ["reserved-name"] * problems
    assert len(found) == problems
