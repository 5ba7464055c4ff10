"""Two names that the destination's file system treats as one: the second fails, nothing is lost."""

import errno
import os
from collections import Counter
from pathlib import Path

import pytest

from agent.files import disk, tmpfile
from agent.files.name_folding import NameFolding, folded_names
from agent.pull import destination
from infra.local.demo_files import MIB, write_random
from tests.support import fakes_folding
from tests.support.fakes_folding import fold
from tests.support.hosts import Hosts, ways

NFC, NFD = "caf\u00e9", "cafe\u0301"


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


async def lost_names(hosts: Hosts, **options: str) -> list[str]:
    """Return the failures of the hop, each with its advice."""
    error = await hosts.fails(hosts.order("/data/t/", "/archive/t/", **options))
    assert error.problem.code == "files-failed"
    assert {one.code for one in error.failures} == {"name-collision"}
    assert all("Rename" in one.advice for one in error.failures)
    return sorted(one.path.removeprefix("/archive/t/") for one in error.failures)


@pytest.mark.parametrize("size", [1000, MIB + 1])
async def test_second_of_two_equal_names_fails(hosts, monkeypatch, size):
    for name in ("A.txt", "a.txt", "b.txt"):
        write_random(hosts.data / "t" / name, size)
    sent = tree(hosts.data / "t")
    fold(monkeypatch, hosts.archive)

    [lost] = await lost_names(hosts)

    [kept] = {"A.txt", "a.txt"} - {lost}
    assert tree(hosts.archive / "t") == {kept: sent[kept], "b.txt": sent["b.txt"]}
    assert await lost_names(hosts) == [lost]  # every time
    assert tree(hosts.archive / "t") == {kept: sent[kept], "b.txt": sent["b.txt"]}


@pytest.mark.parametrize("overwrite", ["always", "newer", "never", "fail"])
async def test_existing_file_under_another_spelling_is_untouched(hosts, monkeypatch, overwrite):
    write_random(hosts.data / "t/README", 100)
    write_random(hosts.data / "t/other", 100)
    (hosts.archive / "t").mkdir()
    (hosts.archive / "t/readme").write_text("precious")
    os.utime(hosts.archive / "t/readme", (1, 1))
    fold(monkeypatch, hosts.archive)

    assert await lost_names(hosts, overwrite=overwrite) == ["README"]

    assert (hosts.archive / "t/readme").read_text() == "precious"
    assert sorted(tree(hosts.archive / "t")) == ["other", "readme"]


async def test_name_that_ends_in_a_dot_does_not_hide_that_case_is_folded(hosts, monkeypatch):
    """Such a disk may keep dots: that "1." is not found as "1" says nothing about README and readme."""
    for name in ("1.", "README"):
        write_random(hosts.data / "t" / name, 100)
    (hosts.archive / "t").mkdir()
    (hosts.archive / "t/1.").write_text("older")
    (hosts.archive / "t/readme").write_text("precious")
    fold(monkeypatch, hosts.archive)

    assert await lost_names(hosts) == ["README"]

    sent = (hosts.data / "t/1.").read_bytes()
    assert tree(hosts.archive / "t") == {"1.": sent, "readme": b"precious"}


async def test_exfat_disk_through_fuse_loses_neither_of_two_equal_names(hosts, monkeypatch):
    """It gives each spelling of a name an inode number of its own: numbers do not tell what is one file."""
    for name in ("Plan", "plan", "Photos/one", "photos/one", "Film", "film"):
        write_random(hosts.data / "t" / name, MIB + 1 if name in {"Film", "film"} else 1000)
    sent = tree(hosts.data / "t")
    fold(monkeypatch, hosts.archive, numbers_names=True)

    for _ in range(2):
        lost = await lost_names(hosts)
        [film], [plan] = {"Film", "film"} - set(lost), {"Plan", "plan"} - set(lost)
        assert set(lost) == {"Film", "film", "Plan", "photos", "photos/one", "plan"} - {film, plan}
        assert tree(hosts.archive / "t") == {name: sent[name] for name in (film, plan, "Photos/one")}


async def test_directories_with_equal_names_are_not_merged(hosts, monkeypatch):
    for name in ("Photos/one", "photos/one", "photos/two", "photos/deep/three"):
        write_random(hosts.data / "t" / name, 100)
    sent = tree(hosts.data / "t")
    fold(monkeypatch, hosts.archive)

    lost = await lost_names(hosts)

    assert lost == ["photos", "photos/deep", "photos/deep/three", "photos/one", "photos/two"]
    assert tree(hosts.archive / "t") == {"Photos/one": sent["Photos/one"]}


async def test_selection_without_directories_is_no_bypass(hosts, monkeypatch):
    for name in ("Photos/one", "photos/one"):
        write_random(hosts.data / "t" / name, 100)
    fold(monkeypatch, hosts.archive)
    order = hosts.order("/data/t/", "/archive/t/", selection=("Photos/one", "photos/one"))

    error = await hosts.fails(order)

    assert [one.code for one in error.failures] == ["name-collision"]
    [kept] = tree(hosts.archive / "t")
    assert tree(hosts.archive / "t")[kept] == (hosts.data / "t" / kept).read_bytes()


async def test_single_file_does_not_replace_another(hosts, monkeypatch):
    write_random(hosts.data / "a.txt", 100)
    (hosts.archive / "A.txt").write_text("precious")
    fold(monkeypatch, hosts.archive)
    error = await hosts.fails(hosts.order("/data/a.txt", "/archive/a.txt"))
    assert error.problem.code == "name-collision"
    assert (hosts.archive / "A.txt").read_text() == "precious"


async def test_symbolic_and_hard_links_are_checked_too(hosts, monkeypatch):
    write_random(hosts.data / "t/File", 100)
    os.link(hosts.data / "t/File", hosts.data / "t/file")
    (hosts.data / "t/Link").symlink_to("File")
    (hosts.data / "t/link").symlink_to("nowhere")
    fold(monkeypatch, hosts.archive)

    assert await lost_names(hosts) == ["file", "link"]

    assert sorted(path.name for path in (hosts.archive / "t").iterdir()) == ["File", "Link"]
    assert (hosts.archive / "t/Link").readlink() == Path("File")


async def test_unicode_forms_are_checked(hosts, monkeypatch):
    for name in (NFC, NFD, "other"):
        write_random(hosts.data / "t" / name, 100)
    sent = tree(hosts.data / "t")
    fold(monkeypatch, hosts.archive, fakes_folding.form)

    [lost] = await lost_names(hosts)

    [kept] = {NFC, NFD} - {lost}
    assert tree(hosts.archive / "t") == {kept: sent[kept], "other": sent["other"]}


async def test_replaced_file_keeps_its_name(hosts, monkeypatch):
    """On a case-insensitive file system, names that do not collide work as on any other."""
    write_random(hosts.data / "t/Deep/File", 100)
    fold(monkeypatch, hosts.archive)
    for size in (100, 200, 200):
        write_random(hosts.data / "t/Deep/File", size)
        await hosts.move(hosts.order("/data/t/", "/archive/t/"))
        assert tree(hosts.archive / "t") == tree(hosts.data / "t")


async def test_case_sensitive_disk_keeps_both(hosts):
    for name in ("A.txt", "a.txt", "Dir/x", "dir/x", NFC, NFD):
        write_random(hosts.data / "t" / name, 100)
    os.link(hosts.data / "t/A.txt", hosts.data / "t/A.TXT")
    for _ in range(2):
        await hosts.move(hosts.order("/data/t/", "/archive/t/"))
        assert tree(hosts.archive / "t") == tree(hosts.data / "t")


def test_directory_is_probed_once(tmp_path):
    for number in range(100):
        (tmp_path / f"file{number}").touch()
    folder = os.open(tmp_path, os.O_RDONLY)
    sense = NameFolding()
    try:
        assert [sense.other_name(folder, f"file{number}") for number in range(100)] == [None] * 100
        assert len(sense._strict) == 1
        assert sense.other_name(folder, "nothing") is None
    finally:
        os.close(folder)


async def test_thousands_of_names_that_a_disk_might_change_are_not_listed_for_each(hosts, monkeypatch):
    """Each new directory with an accent made the agent read the names of all that were beside it."""
    for number in range(300):
        (hosts.data / f"Caf\u00e9 {number}").mkdir()
    listed, really = Counter[Path](), os.listdir

    def count(place: int | Path) -> list[str]:
        listed[Path(f"/proc/self/fd/{place}").readlink() if isinstance(place, int) else place] += 1
        return really(place)

    monkeypatch.setattr(os, "listdir", count)
    await hosts.move(hosts.order("/data/", "/archive/t/"))
    monkeypatch.undo()
    assert len(really(hosts.archive / "t")) == 300
    assert listed[hosts.archive / "t"] < 30


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("123", set()),
        ("a1", {"A1"}),
        ("Éa", {"éA", "ÉA", "E\u0301a"}),
        (NFD, {"CAFE\u0301", NFC}),
        (os.fsdecode(b"\xff"), set()),
    ],
)
def test_spelling_variants(name, others):
    assert folded_names(name) == others


@ways
@pytest.mark.parametrize(
    ("how", "fine", "changed"),
    [
        (fakes_folding.shortened, ["list", NFC], ["1.", "dir. ", "dir. /in", "list.", "notes..", "link."]),
        (fakes_folding.form, ["list", "2.", NFD], [NFC, "dir " + NFC, f"dir {NFC}/in", f"link {NFC}"]),
    ],
)
async def test_mirror_removes_nothing_of_which_the_disk_has_changed_the_name(
    hosts, monkeypatch, way, how, fine, changed
):
    """FAT drops dots at the end, HFS+ decomposes letters: what had arrived was then removed as extra."""
    for name in (*fine, *changed):
        if name.startswith("link"):
            (hosts.data / name).symlink_to("list")
        elif not name.startswith("dir") or name.endswith("in"):
            write_random(hosts.data / name, MIB + 1 if name in fine[1:] + changed[:1] else 100)
    sent = tree(hosts.data)
    (hosts.archive / "1").write_text("precious")
    fold(monkeypatch, hosts.archive, how, how)
    monkeypatch.setattr(tmpfile, "is_faster", lambda _: False)  # only ext4 is, which keeps names
    for delete_extra in (True, False):
        error = await hosts.fails(getattr(hosts, way)("/data/", "/archive/", delete_extra=delete_extra))
        named = {one.path.removeprefix("/archive/"): one.code for one in error.failures}
        assert set(named) == set(changed)
        files = {named[name] for name in changed if not name.startswith("dir")}
        assert files <= {"name-not-allowed", "name-collision"}  # a directory is tried by two threads at once
        assert tree(hosts.archive) == {name: sent[name] for name in fine} | {"1": b"precious"}
        assert sorted(path.name for path in hosts.archive.iterdir()) == sorted([*fine, "1"])


@ways
async def test_big_file_whose_name_the_disk_would_change_fails_before_its_bytes_travel(
    hosts, monkeypatch, way
):
    """It was tried at the rename only: a terabyte arrived, and was thrown away."""
    for name in ("film.", "film"):
        write_random(hosts.data / name, 2 * MIB)
    fold(monkeypatch, hosts.archive, fakes_folding.shortened, fakes_folding.shortened)
    arrived, really = [], destination.write

    def write(descriptor: int, data: memoryview, start: int) -> None:
        arrived.append(len(data))
        really(descriptor, data, start)

    monkeypatch.setattr(destination, "write", write)
    error = await hosts.fails(getattr(hosts, way)("/data/", "/archive/"))
    assert [one.path for one in error.failures] == ["/archive/film."]
    assert sum(arrived) == 2 * MIB
    assert [path.name for path in hosts.archive.iterdir()] == ["film"]


@ways
async def test_name_that_the_disk_refuses_is_named_as_the_reason(hosts, monkeypatch, way):
    """Linux answers EINVAL on FAT, exFAT through FUSE says that nothing exists."""
    for name in ("a:b", "why?", "deep/caf\udce9", "con.txt", "good"):
        write_random(hosts.data / name, 100)
    rename = disk.rename_new

    def refuse(name: str, *others: object) -> bool:
        if name.startswith(".crosshaul-") and others[1] != "good":
            raise OSError(errno.EINVAL if others[1] == "a:b" else errno.ENOENT, "no such name here")
        return rename(name, *others)

    monkeypatch.setattr(disk, "rename_new", refuse)
    monkeypatch.setattr(tmpfile, "is_faster", lambda _: False)
    error = await hosts.fails(getattr(hosts, way)("/data/", "/archive/"))
    assert {one.code for one in error.failures} == {"name-not-allowed"}
    assert error.failures_total == 4
    assert list(tree(hosts.archive)) == ["good"]
