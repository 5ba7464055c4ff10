"""Files that are one hole of any size: each is transferred or reported, and nothing else suffers."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent.files.digests import MAX_COMPARED_RANGES, MAX_FILE_RANGES, RANGE_BYTES
from events.base import MAX_INTEGER
from tests.support.hosts import Hosts, ways


@pytest.fixture
def hosts():
    """Yield hosts on a file system in memory, which holds files of any length."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        hosts = Hosts(Path(folder))
        yield hosts
        hosts.close()


@ways
@pytest.mark.parametrize("options", [{}, {"compare": "checksum"}, {"dry_run": True}], ids=str)
@pytest.mark.parametrize("size", [2**63 - 4096, (MAX_FILE_RANGES + 1) * RANGE_BYTES])
async def test_holes_beyond_any_disk_are_reported_and_the_rest_arrives(hosts, way, options, size):
    for name in ("hole", "second"):
        (hosts.data / name).touch()
        os.truncate(hosts.data / name, size)
    (hosts.archive / "second").touch()
    os.truncate(hosts.archive / "second", size)
    (hosts.data / "small").write_text("here")
    order = getattr(hosts, way)("/data/", "/archive/", **options)
    if options.get("dry_run"):
        preview = (await hosts.move(order)).preview
        assert preview is not None
        assert (preview.failed.files, preview.failed.bytes) == (2, min(2 * size, MAX_INTEGER))
        return
    error = await hosts.fails(order)
    assert [(one.code, one.path) for one in error.failures] == [
        ("file-too-large", "/archive/hole"),
        ("file-too-large", "/archive/second"),
    ]
    assert (hosts.archive / "small").read_text() == "here"
    assert not (hosts.archive / "hole").exists()
    assert hosts.progress.bytes_total == min(2 * size + 4, MAX_INTEGER)


@ways
async def test_file_too_large_to_compare_is_reported_and_the_rest_is_compared(hosts, way):
    size = (MAX_COMPARED_RANGES + 1) * RANGE_BYTES
    for folder in (hosts.data, hosts.archive):
        (folder / "hole").touch()
        os.truncate(folder / "hole", size)
        (folder / "small").write_text("here")
    error = await hosts.fails(getattr(hosts, way)("/data/", "/archive/", compare="checksum"))
    assert [(one.code, one.path) for one in error.failures] == [("file-too-large", "/archive/hole")]
    assert hosts.progress.files_unchanged == 1
