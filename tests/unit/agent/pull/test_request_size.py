"""How much is asked for at once, on lines of every kind."""

from agent.files.digests import RANGE_BYTES
from agent.pull.request_size import INITIAL_BYTES, MAX_REQUEST_S, MIN_BYTES, RequestSize

FAST = MAX_REQUEST_S / 100


def test_a_good_line_soon_carries_whole_ranges():
    request_size = RequestSize()
    asked = []
    while request_size.size < RANGE_BYTES:
        asked.append(request_size.size)
        request_size.on_success(FAST)
    assert asked == [INITIAL_BYTES, 2 * INITIAL_BYTES, 4 * INITIAL_BYTES]


def test_a_slow_line_is_asked_for_as_much_as_it_brings_in_seconds():
    request_size = RequestSize()
    rate = INITIAL_BYTES / (4 * MAX_REQUEST_S)
    for _ in range(20):
        request_size.on_success(request_size.size / rate)
        assert request_size.size / rate <= 2 * MAX_REQUEST_S
    assert request_size.size / rate > MAX_REQUEST_S / 4


def test_a_very_slow_one_is_asked_for_little():
    request_size = RequestSize()
    for _ in range(5):
        request_size.on_success(1000 * MAX_REQUEST_S)
    assert request_size.size == MIN_BYTES


def test_what_broke_is_not_asked_for_again_at_once():
    request_size = RequestSize()
    for _ in range(3):
        request_size.on_success(FAST)
    request_size.on_failure()
    assert request_size.size == RANGE_BYTES // 2
    request_size.on_success(FAST)
    assert request_size.size == RANGE_BYTES // 2 + RANGE_BYTES // 16
