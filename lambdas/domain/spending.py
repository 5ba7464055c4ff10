"""What moving bytes costs on AWS by the prices of now, and what it has cost by those of then.

It is an upper bound by list prices: an agent may be inside AWS, where what it reads from a bucket of its
region costs nothing. Bytes between two servers cost nothing here.
"""

from typing import Self

from events.base import Message
from events.locations import Location, S3Location
from events.progress import Connection
from events.views import Dollars
from lambdas.domain import prices

RANGE_BYTES = 32 * 1024**2
"""Part of a file that an agent asks S3 for at once."""
PART_BYTES = 5 * 1024**2
"""The least part of a big file that S3 takes, and so the one with the most requests."""
RELAY_OBJECT_BYTES = 4 * 1024**2
"""Largest object that the relay writes (agent/lane/relay/tunnel.py)."""
_LISTED = 1000
"""Names in one answer of a LIST."""


class Spent(Message):
    """US dollars, by what they are paid for."""

    requests: Dollars = 0.0
    egress: Dollars = 0.0
    relay: Dollars = 0.0

    def __add__(self, other: Self) -> Self:
        return type(self)(
            requests=_rounded(self.requests + other.requests),
            egress=_rounded(self.egress + other.egress),
            relay=_rounded(self.relay + other.relay),
        )


NOTHING = Spent()


def price_of(
    ends: tuple[Location, Location],
    connection: Connection | None,
    storage_class: str | None,
    files: int,
    size: int,
) -> Spent:
    """Return what it costs to move so many files and bytes from one location to the other.

    What is moved in portions costs the same in all, so that each can be priced when it moves.
    """
    requests = egress = relay = 0.0
    source, destination = ends
    if isinstance(source, S3Location):
        requests += prices.S3_READ * (files + size / RANGE_BYTES) + prices.S3_WRITE * files / _LISTED
        egress += prices.EGRESS_GB * size / prices.GB
    if isinstance(destination, S3Location):
        requests += prices_of_class(storage_class)[0] * (files + size / PART_BYTES)
    if connection and connection.kind == "relay":
        relay += (prices.S3_WRITE + prices.S3_READ) * size / RELAY_OBJECT_BYTES
        relay += prices.EGRESS_GB * size / prices.GB
    return Spent(requests=_rounded(requests), egress=_rounded(egress), relay=_rounded(relay))


def prices_of_class(storage_class: str | None) -> tuple[float, float]:
    """Return the prices of a PUT, and of a GB a month; those of S3 Standard for a class without any."""
    return prices.S3_CLASSES.get(storage_class or "STANDARD", (prices.S3_WRITE, prices.S3_GB_MONTH))


def _rounded(dollars: float) -> float:
    """Return the amount to a billionth: rows stay short, and a million reports are right to a tenth cent."""
    return round(dollars, 9)
