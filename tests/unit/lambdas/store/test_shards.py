"""Entries that are spread over shards are found in the order of their times, however they are spread."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lambdas.store.shards import all_shards, earliest, shard_of

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@given(st.text(), st.integers(1, 32))
def test_a_key_always_belongs_to_one_of_the_shards(key: str, count: int) -> None:
    assert shard_of("hop#", key, count) == shard_of("hop#", key, count) in all_shards("hop#", count)


def test_ten_thousand_names_are_spread_evenly() -> None:
    found = [shard_of("heartbeat#", f"server-{number:05}", 8) for number in range(10_000)]
    assert all(1_000 < found.count(shard) < 1_500 for shard in all_shards("heartbeat#", 8))


@given(st.lists(st.lists(st.integers(0, 1000)), max_size=8), st.integers(1, 20))
def test_the_longest_overdue_come_first(shards: list[list[int]], limit: int) -> None:
    times = [[NOON + timedelta(seconds=one) for one in sorted(shard)] for shard in shards]
    expected = sorted(at for shard in times for at in shard)[:limit]
    assert earliest(times, lambda at: at, limit) == expected
