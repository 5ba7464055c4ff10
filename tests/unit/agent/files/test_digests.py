"""Digests of ranges, of files, and of everything that a hop moved."""

import os

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from agent.files.digests import (
    RANGE_BYTES,
    HopDigest,
    digest_of,
    file_digest,
    range_count,
    range_digest,
    ranges_of,
    read_digest,
)

lines = st.lists(
    st.tuples(st.sampled_from("fdl"), st.text("ab/\udcff"), st.integers(0, 9), st.binary(max_size=16)),
    unique=True,
)


def total(entries) -> str:
    found = HopDigest()
    for entry in entries:
        found.add(*entry)
    return found.hex()


@pytest.mark.parametrize(
    "size", [0, 1, RANGE_BYTES - 1, RANGE_BYTES, RANGE_BYTES + 1, 5 * RANGE_BYTES, 5 * RANGE_BYTES + 7]
)
def test_ranges_cover_a_file_without_a_gap(size):
    ranges = list(ranges_of(size))
    assert len(ranges) == range_count(size)
    assert [start for start, _ in ranges] == [RANGE_BYTES * number for number in range(len(ranges))]
    assert sum(length for _, length in ranges) == size
    assert all(length == RANGE_BYTES for _, length in ranges[:-1])
    assert (ranges == [(0, 0)]) is (size == 0)


def test_a_file_of_one_range_has_the_digest_of_its_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"some bytes")
    assert digest_in(tmp_path / "file", 10) == xxhash.xxh3_128_digest(b"some bytes")
    (tmp_path / "empty").touch()
    assert digest_in(tmp_path / "empty", 0) == xxhash.xxh3_128_digest(b"")


def digest_in(path, size: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read_digest(descriptor, size)
    finally:
        os.close(descriptor)


def test_a_longer_file_has_the_digest_of_its_ranges_digests(tmp_path):
    ranges = [b"a".ljust(RANGE_BYTES, b"b"), b"c".rjust(RANGE_BYTES, b"d"), b"ef"]
    (tmp_path / "file").write_bytes(b"".join(ranges))
    parts = [digest_of(each) for each in ranges]
    assert digest_in(tmp_path / "file", 2 * RANGE_BYTES + 2) == file_digest(parts)
    assert file_digest(parts) == digest_of(b"".join(parts))


def test_a_file_that_has_become_shorter_has_another_digest(tmp_path):
    (tmp_path / "file").write_bytes(b"0" * 100)
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    whole = range_digest(descriptor, 0, 100)
    os.truncate(tmp_path / "file", 99)
    assert range_digest(descriptor, 0, 100) != whole
    assert range_digest(descriptor, 50, 49) == digest_of(b"0" * 49)
    os.close(descriptor)


@given(entries=lines, random=st.randoms(use_true_random=False))
def test_a_hop_s_digest_does_not_depend_on_the_order(entries, random):
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert total(entries) == total(shuffled)
    assert len(total(entries)) == 32


@given(entries=lines.filter(bool), data=st.data())
def test_a_hop_s_digest_covers_every_entry(entries, data):
    without = list(entries)
    without.pop(data.draw(st.integers(0, len(entries) - 1)))
    assert total(entries) != total(without)


@given(
    first=st.tuples(st.text("ab\udcff"), st.integers(0, 99)),
    other=st.tuples(st.text("ab\udcff"), st.integers(0, 99)),
)
def test_names_and_sizes_are_not_confused(first, other):
    assert (total([("f", *first, b"x")]) == total([("f", *other, b"x")])) is (first == other)
