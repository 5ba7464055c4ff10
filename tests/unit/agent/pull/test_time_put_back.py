"""Files that are written in place while they are read, and their modification time put back."""

import os
from pathlib import Path

from agent.files.digests import MIB, RANGE_BYTES
from tests.support.hosts import ways

SIZE = RANGE_BYTES + 4 * MIB


def write_in_place(path: Path, content: bytes) -> None:
    """Replace the content of a file, and put its modification time back, as some programs do."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@ways
async def test_file_written_while_it_is_read_arrives_as_it_is_in_the_end(hosts, way):
    before, after = os.urandom(MIB) * (SIZE // MIB), os.urandom(MIB) * (SIZE // MIB)
    disk_image = hosts.data / "disk.img"
    disk_image.write_bytes(before)
    order = getattr(hosts, way)("/data/", "/archive/", streams=1)
    async with hosts.held(order, lambda progress: progress.bytes_done >= MIB) as moving:
        write_in_place(disk_image, after)
    await moving
    assert (hosts.archive / "disk.img").read_bytes() == after


@ways
async def test_file_written_during_a_pause_is_not_mixed_from_both_versions(hosts, way):
    before, after = os.urandom(MIB) * (SIZE // MIB), os.urandom(MIB) * (SIZE // MIB)
    disk_image = hosts.data / "disk.img"
    disk_image.write_bytes(before)
    order = getattr(hosts, way)("/data/", "/archive/", streams=1)
    await hosts.moves_until(order, lambda progress: progress.bytes_done >= RANGE_BYTES)
    write_in_place(disk_image, after)
    await hosts.move(order)
    assert (hosts.archive / "disk.img").read_bytes() == after


@ways
async def test_file_written_after_it_has_arrived_is_sent_again_when_the_hop_resumes(hosts, way):
    (hosts.data / "a.db").write_bytes(b"one")
    (hosts.data / "big").write_bytes(bytes(SIZE))
    order = getattr(hosts, way)("/data/", "/archive/", streams=1)
    await hosts.moves_until(order, lambda progress: progress.files_done)
    write_in_place(hosts.data / "a.db", b"two")
    await hosts.move(order)
    assert (hosts.archive / "a.db").read_bytes() == b"two"


@ways
async def test_move_keeps_a_file_that_was_written_after_it_was_read(hosts, way, monkeypatch):
    hosts.open_source()
    (hosts.data / "a.db").write_bytes(b"one")
    (hosts.data / "b.db").write_bytes(b"one")
    finalize = "agent.pull.destination.Destination.finalize"
    monkeypatch.setattr(finalize, lambda _: write_in_place(hosts.data / "a.db", b"two"))
    error = await hosts.fails(getattr(hosts, way)("/data/", "/archive/", move=True))
    assert [failure.path for failure in error.failures] in (["a.db"], ["/data/a.db"])
    assert [path.name for path in hosts.data.iterdir()] == ["a.db"]
    assert (hosts.data / "a.db").read_bytes() == b"two"


@ways
async def test_move_of_many_names_of_one_file_deletes_all(hosts, way):
    """Deleting one name changes the status of the others."""
    hosts.open_source()
    (hosts.data / "000").write_bytes(b"x")
    for number in range(1, 600):
        (hosts.data / f"{number:03}").hardlink_to(hosts.data / "000")
    await hosts.move(getattr(hosts, way)("/data/", "/archive/", move=True))
    assert list(hosts.data.iterdir()) == []
    assert len({path.stat().st_ino for path in hosts.archive.iterdir()}) == 1
