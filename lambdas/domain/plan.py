"""Plan a transfer: turn a `TransferSpec` into hops with exact destinations, or refuse what is impossible."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from events.base import Actor, display_text
from events.locations import AgentLocation, Location, RemoteLocation, S3Location, destination_of
from events.options import Options
from events.requests import MAX_DESTINATIONS, Shape, TransferRequest
from events.sizes import json_bytes
from events.states import HopState
from lambdas.domain.errors import DuplicateDestinationError, LimitError, OverlapError, RouteError
from lambdas.domain.hop import FIRST_CHECK_DELAY, Hop
from lambdas.domain.options import check_options
from lambdas.domain.problems import (
    ARRIVAL_INVALID,
    LOCATIONS_OVERLAP,
    NO_AGENT_INVOLVED,
    REMOTE_OF_ANOTHER_AGENT,
    SAME_LOCATION,
    TOO_MANY_DESTINATIONS,
    TOO_MANY_SELECTED,
)
from lambdas.domain.sizes import check_sizes
from lambdas.domain.transfer import Transfer

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 20

MAX_SELECTED = 80
MAX_SELECTED_BYTES = 16 * 1024
"""Maximum size of a transfer's selection as JSON: it is sent in one command."""


@dataclass(frozen=True, kw_only=True)
class TransferSpec:
    """What a person or a template asks to be transferred."""

    source: Location
    destinations: tuple[Location, ...]
    shape: Shape = "fan_out"
    options: Options = field(default_factory=Options)
    selection: tuple[str, ...] | None = None
    template_id: str | None = None
    owner: Actor | None = None
    """Owner of the template, on whose behalf the transfer runs; None without a template."""

    @classmethod
    def from_request(cls, request: TransferRequest, template_id: str | None = None) -> "TransferSpec":
        return cls(
            source=request.source,
            destinations=request.destinations,
            shape=request.shape,
            options=request.options,
            template_id=template_id,
        )

    @property
    def fingerprint(self) -> str:
        """Return a hash that is equal for equal specs."""
        parts = [str(self.source), *map(str, self.destinations), self.shape, self.options.model_dump_json()]
        text = "\0".join([*parts, *(self.selection or ())])
        return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def new_transfer_id() -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(_ID_LENGTH))


def same_transfer_id(*key_parts: str) -> str:
    """Return an id derived from these parts, so that repeating a request is harmless."""
    text = "".join(f"{len(part)}:{part}" for part in key_parts)
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest())
    digits = ""
    while len(digits) < _ID_LENGTH:
        number, digit = divmod(number, len(_DIGITS))
        digits += _DIGITS[digit]
    return digits


def plan(transfer_id: str, spec: TransferSpec, by: Actor, now: datetime) -> Transfer:
    """Return the transfer with its hops queued or waiting.

    Raises:
        LimitError: too many destinations or selected paths, or the commands would be too large.
        OptionsError: the options exclude one another or do not fit the locations.
        RouteError: no agent can carry bytes between two of the locations.
        OverlapError: a source and a destination are the same or contain one another.
        DuplicateDestinationError: two destinations are the same.
    """
    _check_limits(spec)
    gathered = spec.selection is not None or spec.template_id is not None
    check_options(spec.options, spec.source, spec.destinations, gathered=gathered)
    ends = _hop_ends(spec)
    _check_distinct([destination for _, destination in ends])
    for source, destination in ends:
        _check_route(source, destination)
        _check_apart(source, destination)
        _check_apart(spec.source, destination)
    transfer = Transfer(
        transfer_id=transfer_id,
        source=spec.source,
        destinations=spec.destinations,
        shape=spec.shape,
        options=spec.options,
        selection=spec.selection,
        template_id=spec.template_id,
        owner=spec.owner,
        created_by=by,
        created_at=now,
        asked_for=(by,),
        fingerprint=spec.fingerprint,
        hops=tuple(_hop(transfer_id, number, pair, spec, now) for number, pair in enumerate(ends)),
    )
    check_sizes(transfer, {})
    return transfer


def _hop_ends(spec: TransferSpec) -> list[tuple[Location, Location]]:
    """Return every hop's source and exact destination."""
    ends = []
    source = spec.source
    for destination in spec.destinations:
        arrival = _arrival(source, destination)
        ends.append((source, arrival))
        if spec.shape == "chain":
            source = arrival
    return ends


def _arrival(source: Location, destination: Location) -> Location:
    """Return the exact destination; raise LimitError if it is too long, or no path on an agent."""
    try:
        return destination_of(source, destination)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise LimitError(
            words=ARRIVAL_INVALID,
            source=display_text(str(source)),
            destination=destination,
            reason=reason,
        ) from error


def _hop(
    transfer_id: str, number: int, ends: tuple[Location, Location], spec: TransferSpec, now: datetime
) -> Hop:
    waits = spec.shape == "chain" and number > 0
    return Hop(
        transfer_id=transfer_id,
        number=number,
        source=ends[0],
        destination=ends[1],
        storage_class=spec.options.storage_class,
        after=number - 1 if waits else None,
        state=HopState.WAITING if waits else HopState.QUEUED,
        created_at=now,
        changed_at=now,
        due_at=now + FIRST_CHECK_DELAY,
    )


def _check_limits(spec: TransferSpec) -> None:
    if not 1 <= len(spec.destinations) <= MAX_DESTINATIONS:
        raise LimitError(words=TOO_MANY_DESTINATIONS, count=len(spec.destinations), limit=MAX_DESTINATIONS)
    selected = spec.selection or ()
    if len(selected) > MAX_SELECTED or sum(map(json_bytes, selected)) > MAX_SELECTED_BYTES:
        raise LimitError(
            words=TOO_MANY_SELECTED, count=len(selected), limit=MAX_SELECTED, kib=MAX_SELECTED_BYTES // 1024
        )


def _check_route(source: Location, destination: Location) -> None:
    if isinstance(source, S3Location) and isinstance(destination, S3Location):
        raise RouteError(words=NO_AGENT_INVOLVED, source=source, destination=destination)
    for location, other in ((source, destination), (destination, source)):
        if isinstance(location, RemoteLocation) and not _on_its_agent(location, other):
            raise RouteError(
                words=REMOTE_OF_ANOTHER_AGENT,
                source=source,
                destination=destination,
                location=location,
                agent_id=location.agent_id,
            )


def _on_its_agent(remote: RemoteLocation, other: Location) -> bool:
    return isinstance(other, AgentLocation) and other.agent_id == remote.agent_id


def _check_apart(source: Location, destination: Location) -> None:
    inner, outer = _key(destination), _key(source)
    if inner == outer:
        raise OverlapError(words=SAME_LOCATION, source=source, destination=destination)
    if _within(inner, outer) or _within(outer, inner):
        raise OverlapError(words=LOCATIONS_OVERLAP, source=source, destination=destination)


def _check_distinct(destinations: Sequence[Location]) -> None:
    seen: set[tuple[str, ...]] = set()
    for destination in destinations:
        key = _key(destination)
        if key in seen:
            raise DuplicateDestinationError(str(destination))
        seen.add(key)


def _key(location: Location) -> tuple[str, ...]:
    """Return the location's names from the top down, so that equal locations compare equal."""
    if isinstance(location, AgentLocation):
        return ("agent", location.agent_id, *_names(location.path))
    if isinstance(location, RemoteLocation):
        return ("remote", location.agent_id, location.remote, *_names(location.path))
    return ("s3", location.bucket, *_names(location.prefix))


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def _within(inner: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    return inner[: len(outer)] == outer
