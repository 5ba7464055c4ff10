"""Fixtures of the control plane's tests."""

from datetime import UTC, datetime

import pytest

from lambdas import adapters
from lambdas.telemetry import metrics
from tests.support.control_plane import control_plane
from tests.support.world import a_world


@pytest.fixture(autouse=True)
def no_metric_is_left():
    """Forget what a test has counted outside a function, whose end would write it: a later one would."""
    yield
    metrics.clear_metrics()


@pytest.fixture
def here(monkeypatch):
    """Yield the API on fresh tables, without agents."""
    with control_plane(monkeypatch) as plane:
        yield plane


@pytest.fixture
def world(monkeypatch):
    """Yield transfers and four agents without the API; see `tests.support.world`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with a_world() as made:
        yield made


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that a test moves; wired before anything else."""

    class Clock:
        now = datetime.now(UTC)

        def __call__(self):
            return self.now

    ticking = Clock()
    monkeypatch.setattr(adapters, "clock", ticking)
    return ticking
