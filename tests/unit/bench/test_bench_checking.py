"""Every difference between source and destination is found."""

import shutil

import pytest

from tests.bench.checking import differences
from tests.bench.workloads import change, files_of, write


@pytest.fixture
def both(tmp_path):
    sent, arrived = tmp_path / "sent", tmp_path / "arrived"
    for number in range(20):
        write(sent / f"sub {number % 3}/ü{number}", 1000 + number)
    (sent / "empty").mkdir()
    (sent / "link").symlink_to("nowhere")
    shutil.copytree(sent, arrived, symlinks=True)
    return sent, arrived


def test_the_same_is_the_same(both):
    assert differences(*both) == []


def test_one_wrong_bit_is_seen(both):
    path = both[1] / "sub 0/ü3"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert differences(*both) == ["sub 0/ü3 differs"]


def test_what_is_missing_or_was_never_sent_is_named(both):
    (both[1] / "sub 1/ü1").rename(both[1] / "half-done")
    assert differences(*both) == ["sub 1/ü1 is missing", "half-done was never sent"]


def test_a_kind_or_a_length_or_a_target_that_differs(both):
    arrived = both[1]
    (arrived / "empty").rmdir()
    (arrived / "empty").touch()
    (arrived / "link").unlink()
    (arrived / "link").symlink_to("elsewhere")
    (arrived / "sub 0/ü0").write_bytes(b"")
    assert sorted(differences(*both)) == ["empty differs", "link differs", "sub 0/ü0 differs"]


def test_a_tools_own_things_are_left_aside_at_the_top_only(both):
    (both[1] / ".own").mkdir()
    (both[1] / "sub 0/.own").touch()
    assert differences(*both, but={".own"}) == ["sub 0/.own was never sent"]


def test_a_change_touches_its_share_and_no_size(both):
    sizes = [path.stat().st_size for path in files_of(both[0])]
    change(both[0], 0.1, generation=1)
    assert len(differences(*both)) == 2
    assert [path.stat().st_size for path in files_of(both[0])] == sizes
