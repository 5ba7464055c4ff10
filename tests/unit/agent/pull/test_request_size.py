"""How much is asked for at once, on lines of every kind."""

from agent.files.digests import RANGE_BYTES
from agent.pull.request_size import INITIAL_BYTES, MAX_REQUEST_S, MIN_BYTES, RequestSize

FAST = MAX_REQUEST_S / 100


def test_a_good_line_soon_carries_whole_ranges():
    stride = RequestSize()
    asked = []
    while stride.size < RANGE_BYTES:
        asked.append(stride.size)
        stride.on_success(FAST)
    assert asked == [INITIAL_BYTES, 2 * INITIAL_BYTES, 4 * INITIAL_BYTES]


def test_a_slow_line_is_asked_for_as_much_as_it_brings_in_seconds():
    stride = RequestSize()
    rate = INITIAL_BYTES / (4 * MAX_REQUEST_S)
    for _ in range(20):
        stride.on_success(stride.size / rate)
        assert stride.size / rate <= 2 * MAX_REQUEST_S
    assert stride.size / rate > MAX_REQUEST_S / 4


def test_a_very_slow_one_is_asked_for_little():
    stride = RequestSize()
    for _ in range(5):
        stride.on_success(1000 * MAX_REQUEST_S)
    assert stride.size == MIN_BYTES


def test_what_broke_is_not_asked_for_again_at_once():
    stride = RequestSize()
    for _ in range(3):
        stride.on_success(FAST)
    stride.on_failure()
    assert stride.size == RANGE_BYTES // 2
    stride.on_success(FAST)
    assert stride.size == RANGE_BYTES // 2 + RANGE_BYTES // 16
