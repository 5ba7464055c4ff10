"""What the tests of the control plane begin with."""

from datetime import UTC, datetime

import pytest

from lambdas import wiring
from tests.control_plane import control_plane


@pytest.fixture
def here(monkeypatch):
    """The API on fresh tables; nobody has joined."""
    with control_plane(monkeypatch) as plane:
        yield plane


@pytest.fixture
def clock(monkeypatch):
    """Moves only when told to; wired before anything else is."""

    class Clock:
        now = datetime.now(UTC)

        def __call__(self):
            return self.now

    ticking = Clock()
    monkeypatch.setattr(wiring, "clock", ticking)
    return ticking
