"""What the tests of the control plane begin with."""

import pytest

from tests.control_plane import control_plane


@pytest.fixture
def here(monkeypatch):
    """The API on fresh tables; nobody has joined."""
    with control_plane(monkeypatch) as plane:
        yield plane
