"""The size of requests on fast, slow and unstable connections."""

from agent.files.digests import RANGE_BYTES
from agent.pull.request_size import INITIAL_BYTES, MAX_REQUEST_S, MIN_BYTES, RequestSize

FAST = MAX_REQUEST_S / 100


def test_grows_to_whole_ranges():
    request_size = RequestSize()
    sizes = []
    while request_size.size < RANGE_BYTES:
        sizes.append(request_size.size)
        request_size.on_success(FAST)
    assert sizes == [INITIAL_BYTES, 2 * INITIAL_BYTES, 4 * INITIAL_BYTES]


def test_slow_connection_gets_requests_of_seconds():
    request_size = RequestSize()
    rate = INITIAL_BYTES / (4 * MAX_REQUEST_S)
    for _ in range(20):
        request_size.on_success(request_size.size / rate)
        assert request_size.size / rate <= 2 * MAX_REQUEST_S
    assert request_size.size / rate > MAX_REQUEST_S / 4


def test_very_slow_connection_gets_minimum_requests():
    request_size = RequestSize()
    for _ in range(5):
        request_size.on_success(1000 * MAX_REQUEST_S)
    assert request_size.size == MIN_BYTES


def test_size_after_a_failure_grows_slowly():
    request_size = RequestSize()
    for _ in range(3):
        request_size.on_success(FAST)
    request_size.on_failure()
    assert request_size.size == RANGE_BYTES // 2
    request_size.on_success(FAST)
    assert request_size.size == RANGE_BYTES // 2 + RANGE_BYTES // 16
