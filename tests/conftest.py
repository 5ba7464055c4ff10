"""What holds for every test."""

import gc
import os
from collections import Counter
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings
from xdist.remote import Producer

from infra.local.function_hooks import aws_rules
from tests.support.fuzzing import CAMPAIGN
from tests.support.scheduling import Scheduling, longest_first

settings.register_profile("crosshaul", deadline=None)
settings.register_profile(CAMPAIGN, deadline=None)
settings.load_profile("crosshaul")
"""A property is true or not, however busy the machine is: no example has a deadline."""

os.environ[aws_rules.PLUGINS_VARIABLE] = f"aws_rules={aws_rules.__name__}"


@pytest.fixture(autouse=True)
def no_call_that_aws_would_refuse() -> Iterator[None]:
    """Fail a test whose calls AWS would have refused, even if what it tests caught that."""
    aws_rules.refused.clear()
    yield
    assert aws_rules.refused == []


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage only in what is made after the collection: it makes a million objects that all stay.

    To look at them again and again took half of the time to collect, in each worker.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


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
