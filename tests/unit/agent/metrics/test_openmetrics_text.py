"""Whatever is counted, a scraper can read it, and reads what was counted."""

from hypothesis import given
from hypothesis import strategies as st

from agent.metrics.families import MAX_SERIES, Counter, Family, Histogram, Point
from agent.metrics.openmetrics import text
from tests.support.openmetrics import parse, value

words = st.text(max_size=20)


@given(st.lists(st.tuples(words, st.floats(0, 1e15)), max_size=30), words)
def test_a_scraper_reads_each_sum_whatever_the_labels_contain(amounts, help_text):
    counter = Counter("code")
    sums: dict[str, float] = {}
    for code, amount in amounts:
        counter.add(amount, code)
        sums[code] = sums.get(code, 0) + amount
    help_line = "x" + " ".join(help_text.split())
    metrics = parse(text([Family("m", "counter", help_line, counter.points())]))
    assert {dict(labels)["code"]: amount for (_, labels), amount in metrics["m"].samples.items()} == sums


@given(st.lists(st.floats(0, 1e6), max_size=50))
def test_a_scraper_reads_how_long_things_took(durations):
    histogram = Histogram(1, 60, 3600)
    for seconds in durations:
        histogram.observe(seconds)
    metrics = parse(text([Family("t_seconds", "histogram", "h", histogram.points(), "seconds")]))
    assert value(metrics, "t_seconds", "_count") == len(durations)
    for bound in (1, 60, 3600):
        at_most = sum(seconds <= bound for seconds in durations)
        assert value(metrics, "t_seconds", "_bucket", le=f"{bound}.0") == at_most


def test_ten_thousand_codes_are_a_hundred_series_and_no_count_is_lost():
    counter = Counter("code")
    for number in range(10_000):
        counter.add(1, f"code-{number}")
    points = counter.points()
    assert len(points) == MAX_SERIES + 1
    assert sum(point.value for point in points) == 10_000
    assert Point(10_000 - MAX_SERIES, (("code", "other"),)) in points
