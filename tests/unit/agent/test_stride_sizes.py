"""How much is asked for at once, on lines of every kind."""

from agent.digests import RANGE
from agent.movers.stride import FIRST, LONGEST, SHORTEST, Stride

FAST = LONGEST / 100


def test_a_good_line_soon_carries_whole_ranges():
    stride = Stride()
    asked = []
    while stride.size < RANGE:
        asked.append(stride.size)
        stride.came(FAST)
    assert asked == [FIRST, 2 * FIRST, 4 * FIRST]


def test_a_slow_line_is_asked_for_as_much_as_it_brings_in_seconds():
    stride = Stride()
    rate = FIRST / (4 * LONGEST)
    for _ in range(20):
        stride.came(stride.size / rate)
        assert stride.size / rate <= 2 * LONGEST
    assert stride.size / rate > LONGEST / 4


def test_a_very_slow_one_is_asked_for_little():
    stride = Stride()
    for _ in range(5):
        stride.came(1000 * LONGEST)
    assert stride.size == SHORTEST


def test_what_broke_is_not_asked_for_again_at_once():
    stride = Stride()
    for _ in range(3):
        stride.came(FAST)
    stride.broke()
    assert stride.size == RANGE // 2
    stride.came(FAST)
    assert stride.size == RANGE // 2 + RANGE // 16
