"""A file where the destination, or a directory above it, belongs."""

from pathlib import Path

import pytest

from infra.local.demo_files import write_random
from tests.support.hosts import Hosts


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("/data/t/", "/archive/file/"),
        ("/data/t/", "/archive/file/x/"),
        ("/data/t/x", "/archive/file/x"),
    ],
)
async def test_a_file_above_the_destination_is_said_to_be_one(
    tmp_path: Path, source: str, destination: str
) -> None:
    """What is in the way is the file above; nothing exists at the path itself."""
    hosts = Hosts(tmp_path)
    try:
        write_random(hosts.data / "t/x", 100)
        (hosts.archive / "file").write_text("stays")
        error = await hosts.fails(hosts.order(source, destination))
        for problem in error.failures or (error.problem,):
            assert problem.code == "in-the-way"
            assert "cannot be written: it or a directory above it is needed as a directory" in problem.message
            assert "already exists" not in problem.message
        assert "trailing slash" not in error.problem.advice
        assert (hosts.archive / "file").read_text() == "stays"
    finally:
        hosts.close()
