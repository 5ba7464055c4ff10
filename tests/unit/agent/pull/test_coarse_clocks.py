"""Destinations whose file system keeps less of a time than the source's: FAT, exFAT, NTFS, old XFS."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.files import kept_times
from agent.files.kept_times import KeptTimes, Rounding
from tests.support.hosts import ways

S = 10**9
UNITS = [1, 100, 1000, 10**6, 10**7, S, 2 * S]
YEAR_2038, YEAR_2300 = 2**31 * S - S, 10_413_792_000 * S


def keep_only(
    monkeypatch, unit: int, first: int = -(2**31) * S, last: int = 2**33 * S, rounding: Rounding = "down"
) -> None:
    """Let the kernel keep of a time only this, as another file system would."""
    utime, disk = os.utime, KeptTimes(unit, first, last, rounding)
    monkeypatch.setattr(os, "utime", lambda file, ns: utime(file, ns=tuple(map(disk.kept, ns))))


@ways
@pytest.mark.parametrize(
    ("unit", "rounding"),
    [(unit, "down") for unit in UNITS] + [(100, "up"), (10**7, "nearest"), (S, "nearest"), (2 * S, "up")],
)
async def test_second_run_sends_nothing(hosts, way, unit, rounding, monkeypatch):
    for name, mtime in (("odd", 1_700_000_001 * S + 123_456_789), ("even", 1_700_000_002 * S + 987_654_321)):
        (hosts.data / name).write_text("content")
        os.utime(hosts.data / name, ns=(mtime, mtime))
    (hosts.data / "twin").hardlink_to(hosts.data / "odd")
    keep_only(monkeypatch, unit, rounding=rounding)
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert (hosts.archive / "twin").samefile(hosts.archive / "odd")
    previewed = (await hosts.move(getattr(hosts, way)("/data/", "/archive/", dry_run=True))).preview
    assert previewed is not None
    assert previewed.unchanged.files == 3
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert hosts.progress.files_unchanged == 3
    assert not list(hosts.archive.glob(".crosshaul-*"))


@ways
@pytest.mark.parametrize("mtime", [YEAR_2300, YEAR_2038 + S, -(2**31) * S - S, -1, 0])
async def test_time_that_the_disk_cannot_hold_does_not_send_the_file_again(hosts, way, mtime, monkeypatch):
    (hosts.data / "a").write_text("content")
    os.utime(hosts.data / "a", ns=(mtime, mtime))
    keep_only(monkeypatch, S, last=YEAR_2038)
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert hosts.progress.files_unchanged == 1


@ways
@pytest.mark.parametrize("mtime", [-1, -876_543_211, -S - 1, -S, S + 123])
async def test_disk_that_counts_another_way_before_1970_is_sent_nothing_again(hosts, way, mtime, monkeypatch):
    """NTFS through FUSE keeps 100 ns of a time, but before 1970 whole seconds, cut off towards 1970."""
    (hosts.data / "a").write_text("content")
    os.utime(hosts.data / "a", ns=(mtime, mtime))
    utime = os.utime

    def keep(ns: int) -> int:
        return ns // 100 * 100 if ns >= 0 else -(-ns // S) * S

    monkeypatch.setattr(os, "utime", lambda file, ns: utime(file, ns=tuple(map(keep, ns))))
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert hosts.progress.files_unchanged == 1


@pytest.mark.parametrize("later", [1, 1_000_000, S, 2 * S])
async def test_file_changed_a_moment_later_is_sent_where_the_disk_can_tell(hosts, later):
    for folder, content, mtime in ((hosts.data, "new", 10**18 + later), (hosts.archive, "old", 10**18)):
        (folder / "a").write_text(content)
        os.utime(folder / "a", ns=(mtime, mtime))
    if (hosts.archive / "a").stat().st_mtime_ns != 10**18:
        pytest.skip("this disk has a coarse clock of its own")
    await hosts.move(hosts.order("/data/", "/archive/"))
    expected = "old" if later < S else "new"  # whole seconds may come from S3 or a disk that keeps no more
    assert (hosts.archive / "a").read_text() == expected


@ways
async def test_files_are_probed_where_nothing_can_be_written_without_a_name(hosts, way, monkeypatch):
    (hosts.data / "a").write_text("content")
    os.utime(hosts.data / "a", ns=(10**18 + S, 10**18 + S))
    keep_only(monkeypatch, 2 * S)
    opened = os.open

    def refuse_unnamed(path, flags, *args, **options):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        return opened(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", refuse_unnamed)
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert hosts.progress.files_unchanged == 1
    assert [path.name for path in hosts.archive.iterdir()] == ["a"]


@ways
async def test_hard_links_arrive_where_nobody_understands_the_clock(hosts, way, monkeypatch):
    """The second name was reported as a link to a file that is missing, and the hop failed at every retry."""
    (hosts.data / "a").write_text("content")
    os.utime(hosts.data / "a", ns=(10**18 + 7 * S, 10**18 + 7 * S))
    (hosts.data / "twin").hardlink_to(hosts.data / "a")
    keep_only(monkeypatch, 60 * S)
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert (hosts.archive / "twin").samefile(hosts.archive / "a")


@given(
    unit=st.sampled_from(UNITS),
    rounding=st.sampled_from(["down", "nearest", "up"]),
    mtime=st.integers(-(2**62), 2**62),
)
def test_what_a_probe_finds_out_predicts_what_is_kept(unit, rounding, mtime, tmp_path_factory):
    file = tmp_path_factory.mktemp("disk") / "file"
    file.touch()
    with pytest.MonkeyPatch.context() as patch, file.open("rb+") as opened:
        keep_only(patch, unit, last=YEAR_2038, rounding=rounding)
        found = kept_times.probe(opened.fileno())
        os.utime(opened.fileno(), ns=(mtime, mtime))
    assert found is not None
    assert found.kept(mtime) == file.stat().st_mtime_ns
