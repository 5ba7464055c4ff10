"""What holds for every test."""

from collections import Counter

import pytest
from hypothesis import settings
from xdist.remote import Producer

from tests.support.fuzzing import CAMPAIGN
from tests.support.scheduling import Scheduling, longest_first

settings.register_profile("crosshaul", deadline=None)
settings.register_profile(CAMPAIGN, deadline=None)
settings.load_profile("crosshaul")
"""A property is true or not, however busy the machine is: no example has a deadline."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers are given names: of two tests with one name only one would run, unnoticed."""
    several = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if several:
        raise pytest.UsageError(f"several tests have one name: {several}")
    items[:] = longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Hand out whole files in the order in which they are collected."""
    return Scheduling(config, log)
