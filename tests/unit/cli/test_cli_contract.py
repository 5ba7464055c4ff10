"""The command calls only what the API has: compares the fake's routes with OpenAPI."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from lambdas.api.app import describe
from tests.support.fakes_api import QUERIES, ROUTES


def described() -> dict[tuple[str, str], Any]:
    """Return the operations by (method, path with {} for parameters)."""
    return {
        (method.upper(), re.sub(r"\{[^}]*\}", "{}", path)): operation
        for path, operations in describe()["paths"].items()
        for method, operation in operations.items()
    }


def used() -> Iterator[tuple[str, str]]:
    for method, pattern, _ in ROUTES:
        path = pattern.replace("([^/]+)", "{}")
        start, bracket, verbs = path.partition("(")
        yield from ((method, start + verb) for verb in verbs.rstrip(")").split("|"))
        assert bracket or not verbs


@pytest.mark.parametrize(("method", "path"), sorted(used()))
def test_every_route_that_is_used_is_described(method: str, path: str) -> None:
    assert (method, path) in described()


@pytest.mark.parametrize("path", sorted(QUERIES))
def test_every_query_that_is_used_is_described(path: str) -> None:
    parameters = described()[("GET", path)].get("parameters", [])
    assert {one["name"] for one in parameters if one["in"] == "query"} >= QUERIES[path]
