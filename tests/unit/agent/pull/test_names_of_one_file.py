"""Files with several names, and links: what filters leave out, and what counts as unchanged."""

from pathlib import Path

from tests.support.hosts import ways


@ways
async def test_excluding_one_name_of_a_file_does_not_lose_the_other(hosts, way):
    (hosts.data / "draft.mov").write_bytes(b"reel")
    (hosts.data / "final.mov").hardlink_to(hosts.data / "draft.mov")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/", exclude=["draft.mov"]))
    assert (hosts.archive / "final.mov").read_bytes() == b"reel"
    assert not (hosts.archive / "draft.mov").exists()


@ways
async def test_including_only_one_name_of_a_file_sends_it(hosts, way):
    (hosts.data / "a.bin").write_bytes(b"reel")
    (hosts.data / "b.mov").hardlink_to(hosts.data / "a.bin")
    (hosts.data / "c.mov").hardlink_to(hosts.data / "a.bin")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/", include=["*.mov"]))
    assert (hosts.archive / "b.mov").read_bytes() == b"reel"
    assert (hosts.archive / "b.mov").samefile(hosts.archive / "c.mov")


def written(link: Path) -> tuple[int, int]:
    """Return what changes if a link is made again; its time of access changes whenever it is read."""
    found = link.lstat()
    return found.st_ino, found.st_ctime_ns


@ways
async def test_links_that_are_there_already_count_as_unchanged(hosts, way):
    (hosts.data / "same").symlink_to("anywhere")
    (hosts.data / "new").symlink_to("there")
    (hosts.data / "file").write_text("content")
    (hosts.data / "twin").hardlink_to(hosts.data / "file")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    before = written(hosts.archive / "same")
    (hosts.archive / "new").unlink()
    (hosts.archive / "new").symlink_to("elsewhere")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert written(hosts.archive / "same") == before
    assert str((hosts.archive / "new").readlink()) == "there"
    assert (hosts.progress.files_unchanged, hosts.progress.files_done) == (3, 4)


@ways
async def test_link_that_differs_is_kept_where_nothing_is_overwritten(hosts, way):
    (hosts.data / "a").symlink_to("new")
    (hosts.archive / "a").symlink_to("old")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/", overwrite="never"))
    assert str((hosts.archive / "a").readlink()) == "old"
    assert (
        await hosts.fails(getattr(hosts, way)("/data/", "/archive/", overwrite="fail"))
    ).failures_total == 1
    (hosts.data / "a").unlink()
    (hosts.data / "a").symlink_to("old")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/", overwrite="fail"))
    assert hosts.progress.files_unchanged == 1


@ways
async def test_unchanged_link_is_deleted_at_the_source_by_a_move(hosts, way):
    hosts.open_source()
    (hosts.data / "a").symlink_to("anywhere")
    (hosts.archive / "a").symlink_to("anywhere")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/", move=True))
    assert list(hosts.data.iterdir()) == []
    assert str((hosts.archive / "a").readlink()) == "anywhere"
