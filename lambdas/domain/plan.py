"""From a wish to a transfer and its hops: what arrives where, by which route, and what cannot be done."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from events.base import Actor
from events.locations import AgentLocation, Location, RemoteLocation, S3Location, destination_of
from events.options import Options
from events.requests import MAX_DESTINATIONS, Shape, TransferRequest
from events.states import HopState
from lambdas.domain.errors import DuplicateDestinationError, LimitError, OverlapError, RouteError
from lambdas.domain.hop import FIRST_CHECK_DELAY, Hop
from lambdas.domain.options import check_options
from lambdas.domain.sizes import check_sizes, json_bytes
from lambdas.domain.transfer import Transfer

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 20

MAX_SELECTED = 80
MAX_SELECTED_BYTES = 16 * 1024
"""What a template gathers into one transfer at most, as JSON: it travels in one command."""


@dataclass(frozen=True, kw_only=True)
class TransferSpec:
    """What a person or a template wants to have moved."""

    source: Location
    destinations: tuple[Location, ...]
    shape: Shape = "fan_out"
    options: Options = field(default_factory=Options)
    selection: tuple[str, ...] | None = None
    template_id: str | None = None
    owner: Actor | None = None
    """Of the template: for whom it is done."""

    @classmethod
    def of(cls, request: TransferRequest, template_id: str | None = None) -> "TransferSpec":
        return cls(
            source=request.source,
            destinations=request.destinations,
            shape=request.shape,
            options=request.options,
            template_id=template_id,
        )

    @property
    def fingerprint(self) -> str:
        """The same for the same wish."""
        words = [str(self.source), *map(str, self.destinations), self.shape, self.options.model_dump_json()]
        text = "\0".join([*words, *(self.selection or ())])
        return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def new_transfer_id() -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(_ID_LENGTH))


def same_transfer_id(*sameness: str) -> str:
    """The id that the same words always give: to wish the same again is harmless."""
    words = "".join(f"{len(word)}:{word}" for word in sameness)
    number = int.from_bytes(hashlib.sha256(words.encode("utf-8", "surrogateescape")).digest())
    digits = ""
    while len(digits) < _ID_LENGTH:
        number, digit = divmod(number, len(_DIGITS))
        digits += _DIGITS[digit]
    return digits


def plan(transfer_id: str, wish: TransferSpec, by: Actor, now: datetime) -> Transfer:
    """The transfer, with its hops queued or waiting.

    Raises LimitError, OptionsError, RouteError, OverlapError or DuplicateDestinationError, each with its
    advice.
    """
    _within_limits(wish)
    gathered = wish.selection is not None or wish.template_id is not None
    check_options(wish.options, wish.source, wish.destinations, gathered=gathered)
    ways = _ways(wish)
    _no_two_the_same([destination for _, destination in ways])
    for source, destination in ways:
        _can_travel(source, destination)
        _apart(source, destination)
        _apart(wish.source, destination)
    transfer = Transfer(
        transfer_id=transfer_id,
        source=wish.source,
        destinations=wish.destinations,
        shape=wish.shape,
        options=wish.options,
        selection=wish.selection,
        template_id=wish.template_id,
        owner=wish.owner,
        created_by=by,
        created_at=now,
        fingerprint=wish.fingerprint,
        hops=tuple(_hop(transfer_id, number, *way, wish.shape, now) for number, way in enumerate(ways)),
    )
    check_sizes(transfer, {})
    return transfer


def _ways(wish: TransferSpec) -> list[tuple[Location, Location]]:
    """Every hop's source and the place where it arrives."""
    ways = []
    source = wish.source
    for destination in wish.destinations:
        arrival = destination_of(source, destination)
        ways.append((source, arrival))
        if wish.shape == "chain":
            source = arrival
    return ways


def _hop(
    transfer_id: str, number: int, source: Location, destination: Location, shape: Shape, now: datetime
) -> Hop:
    waits = shape == "chain" and number > 0
    return Hop(
        transfer_id=transfer_id,
        number=number,
        source=source,
        destination=destination,
        after=number - 1 if waits else None,
        state=HopState.WAITING if waits else HopState.QUEUED,
        created_at=now,
        changed_at=now,
        due_at=now + FIRST_CHECK_DELAY,
    )


def _within_limits(wish: TransferSpec) -> None:
    if not 1 <= len(wish.destinations) <= MAX_DESTINATIONS:
        raise LimitError(
            f"{len(wish.destinations)} destinations were named.",
            f"Name between 1 and {MAX_DESTINATIONS}; for more, ask for several transfers.",
        )
    selected = wish.selection or ()
    if len(selected) > MAX_SELECTED or sum(map(json_bytes, selected)) > MAX_SELECTED_BYTES:
        raise LimitError(
            f"{len(selected)} paths were selected.",
            f"Select at most {MAX_SELECTED} paths, of {MAX_SELECTED_BYTES // 1024} KiB together.",
        )


def _can_travel(source: Location, destination: Location) -> None:
    if isinstance(source, S3Location) and isinstance(destination, S3Location):
        raise RouteError(
            f"{source} → {destination}: no agent takes part in this.",
            "Let S3 copy within itself (replication, or `aws s3 cp`), or name an agent as the destination.",
        )
    for place, other in ((source, destination), (destination, source)):
        if isinstance(place, RemoteLocation) and not _on_its_agent(place, other):
            raise RouteError(
                f"{source} → {destination}: {place} can be reached only from a path on {place.agent_id}.",
                f"Go by a path there: the chain {source} → {place.agent_id}:/… → {destination}.",
            )


def _on_its_agent(remote: RemoteLocation, other: Location) -> bool:
    return isinstance(other, AgentLocation) and other.agent_id == remote.agent_id


def _apart(source: Location, destination: Location) -> None:
    inner, outer = _place(destination), _place(source)
    if inner == outer:
        raise OverlapError(
            f"{source} would arrive at {destination}, where it is.", "Name another place to arrive at."
        )
    if _within(inner, outer) or _within(outer, inner):
        raise OverlapError(
            f"{source} and {destination}, where it would arrive, lie one inside the other.",
            "Name a place outside the source, and a source outside of it.",
        )


def _no_two_the_same(arrivals: Sequence[Location]) -> None:
    seen: set[tuple[str, ...]] = set()
    for arrival in arrivals:
        place = _place(arrival)
        if place in seen:
            raise DuplicateDestinationError(
                f"{arrival} is named more than once as a place to arrive at.", "Name each destination once."
            )
        seen.add(place)


def _place(location: Location) -> tuple[str, ...]:
    """The names from the top down, the slash at the end left out: what is the same place compares equal."""
    if isinstance(location, AgentLocation):
        return ("agent", location.agent_id, *_names(location.path))
    if isinstance(location, RemoteLocation):
        return ("remote", location.agent_id, location.remote, *_names(location.path))
    return ("s3", location.bucket, *_names(location.prefix))


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def _within(inner: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    return inner[: len(outer)] == outer
