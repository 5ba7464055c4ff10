"""Files with several names, and links: what filters leave out, and what counts as unchanged."""

from pathlib import Path

import pytest

from tests.support.hosts import Hosts


@pytest.fixture
def hosts(tmp_path: Path):
    hosts = Hosts(tmp_path)
    yield hosts
    hosts.close()


ways = pytest.mark.parametrize("way", ["order", "local"])
"""Routes: over the lane, and on one host."""


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
