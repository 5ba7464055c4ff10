"""Addresses that agents dial each other at."""

import re
from collections.abc import Iterable

from events.addresses import dialable
from lambdas.domain.errors import EndpointError

_ENDPOINT = re.compile(
    r"^(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}))?:(\d{1,5})$"
)
_LAST_PORT = 65535


def check_endpoints(endpoints: Iterable[str]) -> None:
    """Raise EndpointError for an address that is not `host:port`, or that no agent dials."""
    for endpoint in endpoints:
        if not _is_endpoint(endpoint) or not dialable([endpoint], loopback=True):
            raise EndpointError(endpoint)


def valid_endpoints(endpoints: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses that `check_endpoints` accepts."""
    return dialable(filter(_is_endpoint, endpoints), loopback=True)


def _is_endpoint(endpoint: str) -> bool:
    return bool(_ENDPOINT.fullmatch(endpoint)) and 0 < int(endpoint.rpartition(":")[2]) <= _LAST_PORT
