"""What all unit tests share."""

from collections.abc import Iterator

import pytest

from tests.support.moto_shortcuts import moto_shortcuts


@pytest.fixture(scope="session", autouse=True)
def quick_moto() -> Iterator[None]:
    with moto_shortcuts():
        yield
