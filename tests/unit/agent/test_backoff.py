from agent.backoff import Backoff


def test_delays_double_up_to_the_maximum():
    backoff = Backoff(first_s=0.5, max_s=3.0)
    assert [backoff.delay_s(retries) for retries in (0, 1, 2, 3, 4, 5000)] == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
