"""Addresses that agents dial each other at."""

import re
from collections.abc import Iterable

from lambdas.domain.errors import EndpointError

_ENDPOINT = re.compile(
    r"^(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}))?:(\d{1,5})$"
)
_LAST_PORT = 65535


def check_endpoints(endpoints: Iterable[str]) -> None:
    """Raise EndpointError for an address that is not `host:port`."""
    for endpoint in endpoints:
        if not _ENDPOINT.fullmatch(endpoint) or not 0 < int(endpoint.rpartition(":")[2]) <= _LAST_PORT:
            raise EndpointError(endpoint)
