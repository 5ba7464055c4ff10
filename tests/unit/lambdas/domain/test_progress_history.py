"""The history of a hop's progress, from which its speed is drawn."""

import itertools
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.progress_history import MAX_POINTS, MIN_INTERVAL_S, ProgressHistory, with_point
from tests.support.fakes import MORNING

REPORTS = st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 2**60), st.booleans()), max_size=300)


@given(REPORTS)
def test_however_long_it_takes_few_points_remain_and_none_goes_back(reports):
    history: ProgressHistory = ()
    now = MORNING
    for seconds, bytes_done, always in reports:
        now += timedelta(seconds=seconds)
        history = with_point(history, now, bytes_done, always=always)
    assert len(history) <= MAX_POINTS
    assert all(one[0] < two[0] and one[1] <= two[1] for one, two in itertools.pairwise(history))
    if reports:
        assert history[0][0] == int((MORNING + timedelta(seconds=reports[0][0])).timestamp())


def test_a_day_of_reports_every_ten_seconds_keeps_the_shape_of_the_day():
    history: ProgressHistory = ()
    for step in range(8640):
        history = with_point(history, MORNING + timedelta(seconds=10 * step), step * 100, always=step == 0)
    assert len(history) > MAX_POINTS // 3
    gaps = [two[0] - one[0] for one, two in itertools.pairwise(history)]
    assert min(gaps) >= MIN_INTERVAL_S
    assert max(gaps) <= 24 * 3600 / 10
