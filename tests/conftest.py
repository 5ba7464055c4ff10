"""What holds for every test."""

from collections import Counter

import pytest
from hypothesis import settings

settings.register_profile("crosshaul", deadline=None)
settings.load_profile("crosshaul")
"""A property is true or not, however busy the machine is: no example has a deadline."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers are told names: of two tests with one name only one would run, and nobody knew."""
    several = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if several:
        raise pytest.UsageError(f"several tests have one name: {several}")
