"""Test what is found at the destination of a push, with as few requests as that takes."""

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.s3.destination_listing import DestinationListing
from agent.s3.part_sizes import MAX_PARTS, MIN_PART_BYTES, in_flight_of, part_bytes_of
from infra.local.demo_files import MIB
from tests.support.s3_server import S3Server
from tests.unit.agent.s3.test_client import client_for

names = st.text(st.sampled_from("ab\x01\x02\ud7ff\ue000z\U00010000/"), min_size=1, max_size=4)


@settings(max_examples=50, deadline=None)
@given(there=st.sets(names, max_size=12), asked=st.sets(names, max_size=12), has_empty_pages=st.booleans())
def test_every_object_is_found_whatever_lies_between(there, asked, has_empty_pages):
    """Where many objects were deleted, S3 may answer with a page without any, and more to come."""
    with S3Server(page_keys=2) as server, closing(client_for(server.url)) as client:
        server.has_empty_pages = has_empty_pages
        for key in there:
            server.put(f"in/{key}", key.encode())
        listing = DestinationListing(client, "in/")
        ordered = sorted((f"in/{key}" for key in asked), key=str.encode)
        found = {key.removeprefix("in/") for key in ordered if listing.find(key)}
        assert found == there & asked


def test_millions_of_other_objects_are_not_read():
    with S3Server(page_keys=10) as server, closing(client_for(server.url)) as client:
        for number in range(10_000):
            server.put(f"in/{number:05}", b"")
        listing = DestinationListing(client, "in/")
        assert listing.find("in/00017")
        assert listing.find("in/09000")
        assert not listing.find("in/09999x")
        assert len(server.requests) <= 6


@given(st.integers(min_value=16 * MIB + 1, max_value=48 * 1024 * 1024 * MIB))
def test_parts_are_as_s3_takes_them_and_few_are_in_flight(size):
    part_bytes = part_bytes_of(size)
    assert part_bytes >= MIN_PART_BYTES
    assert -(-size // part_bytes) <= MAX_PARTS
    if size >= 200 * MIB:
        assert in_flight_of(size, part_bytes) * part_bytes <= size / 20


@pytest.mark.parametrize(
    ("size", "parts", "at_once"), [(300, 43, 2), (1024, 61, 3), (10_240, 160, 8), (1024 * 1024, 9987, 8)]
)
def test_parts_are_as_large_as_a_kill_at_the_half_permits(size, parts, at_once):
    """`size` in MiB. Of a TiB, even the least parts are larger than those that are fast."""
    part_bytes = part_bytes_of(size * MIB)
    assert (-(-size * MIB // part_bytes), in_flight_of(size * MIB, part_bytes)) == (parts, at_once)
